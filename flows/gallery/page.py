"""The gallery as a page of the server, and as files that open from disk."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tasks.gallery
from flows.gallery.catalogue import Catalogue
from reel.files import make_folder, write_atomic
from reel.progress import progress
from reel.store import Store
from tasks.gallery.thumbs import Role, thumb
from tasks.pages.page import embedded, filled, script, style

_WEB = Path(tasks.gallery.__file__).parent / "web"
ROLES: dict[str, Role] = {"result": "frames", "source": "original"}
"""Names of a render's thumbnails, and what they are of."""
SCRIPTS = ("state", "tile", "detail", "compare", "main")
_SERVED = "connect-src 'self'; media-src 'self'; img-src 'self' data:"
_FILES = "img-src 'self' file: data:"


def build(data: Mapping[str, Any], *, token: str = "") -> bytes:
    """The page.

    Args:
        data: see `flows.gallery.catalogue.shown`.
        token: of the server that shows it; empty: it stands among files, shows thumbnails and takes no marks.
    """
    parts = {
        "POLICY": _SERVED if token else _FILES,
        "STYLE": style(_WEB / "gallery.css"),
        "DATA": embedded({**data, "token": token}),
        "SCRIPT": script(*(_WEB / f"{name}.js" for name in SCRIPTS)),
    }
    return filled(_WEB / "gallery.html", parts)


def export(store: Store, folder: Path) -> int:
    """Write the gallery as files: index.html, and the thumbnails beside it in ``thumb``.

    Returns:
        number of renders.

    Raises:
        UserError: the folder cannot be written to.
    """
    catalogue = Catalogue(store)
    data = catalogue.data()
    make_folder(folder / "thumb", "--export")
    with progress(len(data["renders"]), "thumbnails", "render") as bar:
        for one in data["renders"]:
            record = catalogue.record(one["run"])
            assert record is not None
            for name, role in ROLES.items():
                if (made := thumb(store, record, role)) is not None:
                    own = folder / "thumb" / one["run"]
                    own.mkdir(exist_ok=True)
                    shutil.copyfile(made, own / f"{name}.webp")
                elif name == "source":
                    one["source"] = False
            bar.update(1)
    write_atomic(folder / "index.html", build(data))
    return len(data["renders"])
