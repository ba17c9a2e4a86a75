"""What the commands share: their settings as conf/ has them, the store, and plain tables."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from flows.edge.help_first import HelpFirst
from reel.config import Config, from_home, suggest
from reel.errors import UserError
from reel.store import Store


class Parser(HelpFirst):
    """argparse whose complaints are user errors: one message, a fix, exit code 2."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"rotoscope {command}", description=description, allow_abbrev=False)
        self.add_argument("--store", type=from_home, help="the store (default: paths.store, or $ROTOSCOPE_STORE)")
        self.add_argument("--debug", action="store_true", help="tracebacks for every error")

    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"unrecognized arguments: (\S+)", message)
        near = suggest(unknown[1], self._option_string_actions) if unknown else ""
        fix = f"{self.prog} --help"
        if unknown and unknown[1].startswith("paths.store="):  # how flows are told of it
            fix = f"{self.prog} --store {unknown[1].partition('=')[2]}"
        raise UserError(f"{message}{near}", fix=fix)


SHARED = "_render"
"""The root config that every flow that renders takes in."""


def settings(name: str = SHARED) -> Mapping[str, Any]:
    """The composed settings of a root config as plain data, your own conf/local included.

    Args:
        name: a flow's; what all renders share where it is left out.

    Raises:
        UserError: the files do not compose.
    """
    from hydra import compose
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from flows.config.compose import Root, hydra_ready, plain
    from flows.config.diagnose import diagnose

    root = Root(name, Config)
    own = ["+local=default"] if name == SHARED and (root.folder / "local" / "default.yaml").is_file() else []
    with hydra_ready(root) as engine:
        try:
            return plain(compose(root.name, overrides=own), root)
        except (HydraException, OmegaConfBaseException) as error:
            raise diagnose(root, engine, own, error) from error


def store_path(chosen: Path | None) -> Path:
    """The store's folder: the one asked for, or ``paths.store``."""
    return (chosen or from_home(settings()["paths"]["store"])).absolute()


def open_store(chosen: Path | None) -> Store:
    """The store, which must be there: a command that only looks makes none.

    Raises:
        UserError: there is no store yet.
    """
    path = store_path(chosen)
    if not (path / "objects").is_dir():
        raise UserError(f"no store at {path}", fix="render something first (rotoscope FLOW), or give --store")
    return Store(path)


def table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """Left-aligned columns; the last one is as long as it likes."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def size(count: float) -> str:
    """Bytes in words: ``3.4 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def local(moment: datetime.datetime) -> str:
    """A time as the clock on the wall shows it."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
