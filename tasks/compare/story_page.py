"""The page of a film: its shots in order, each with its key picture, its words and figures; the film jumps to a shot.

One HTML file that loads nothing, as the comparison's page is, and with the same care: what a story says goes into it as
JSON, and the page's script makes text nodes of it, never markup.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from reel.clip import Clip
from reel.store import Stored
from tasks.compare.page import embedded

_WEB = Path(__file__).parent / "web"
MOST_BYTES = 60_000_000
"""Of a film inside the page; a larger one is played from the file beside it."""
_TYPES = {".mp4": "video/mp4", ".webm": "video/webm"}


def build(title: str, shots: Sequence[Mapping[str, Any]], stills: Clip, film: Stored) -> bytes:
    """The page.

    Args:
        shots: what is told of each (`flows.storyboard.stages.facts`), with its ``place`` in the film, its ``figures``
            and the ops that were ``computed``.
        stills: their key pictures, a frame each.
        film: what `tasks.film.cut` gave.
    """
    fps = Fraction(film.meta["fps"])
    rows = [
        {**shot, "still": _still(stills, number), "start": float(shot["place"]["first"] / fps),
         "stop": float((shot["place"]["first"] + shot["place"]["frames"]) / fps)}
        for number, shot in enumerate(shots)
    ]  # fmt: skip
    about = {"title": title, "shots": rows, "fps": float(fps), "frames": film.meta["frames"],
             "figures": film.meta.get("figures", {}), "movie": _movie(film)}  # fmt: skip
    parts = {
        "TITLE": html.escape(title),
        "STYLE": _read("story.css"),
        "DATA": embedded(about),
        "SCRIPT": _read("story.js"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _read("story.html")).encode()


def _still(stills: Clip, number: int) -> str:
    """A key picture as a data address."""
    from PIL import Image

    held = io.BytesIO()
    picture = Image.fromarray(stills.frame(number))
    picture.thumbnail((640, 640))
    picture.save(held, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(held.getvalue()).decode()}"


def _movie(film: Stored) -> str:
    """The film as a data address, or the name of the file beside the page."""
    name = film.meta["movie"]
    kind = _TYPES.get(Path(name).suffix)
    if kind is None or film.path(name).stat().st_size > MOST_BYTES:
        return str(name)
    return f"data:{kind};base64,{base64.b64encode(film.read(name)).decode()}"


def _read(name: str) -> str:
    return (_WEB / name).read_text("utf-8")
