"""What the commands share: their flags, their settings as conf/ has them, and the store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from flows.edge.arguments import path
from flows.edge.help_first import HelpFirst
from flows.paths import Paths
from reel.config import parse
from reel.errors import UserError, suggest
from reel.store import Store


class Parser(HelpFirst):
    """argparse whose complaints are user errors: one message, a fix, exit code 2."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"rotoscope {command}", description=description, allow_abbrev=False)
        self.add_argument("--store", type=path, help="the store (default: paths.store, or $ROTOSCOPE_STORE)")
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
    from flows.config.compose import plain_settings
    from flows.config.root import Root

    root: Root[Any] = Root(name, None)
    own = name == SHARED and (root.folder / "local" / "default.yaml").is_file()
    return plain_settings(root, ["+local=default"] if own else [])


def store_path(chosen: Path | None) -> Path:
    """The store's folder: the one asked for, or ``paths.store``.

    Raises:
        UserError: that one is no path.
    """
    if chosen is None:
        data = settings()
        try:
            chosen = parse(Paths, data["paths"], "paths").store
        except UserError as error:
            from flows.config.root import Root
            from flows.config.setting_places import Origins, placed

            raise placed(error, Origins(Root(SHARED, Paths), [], {"local": "default"}, data)) from None
    return chosen.absolute()


def open_store(chosen: Path | None) -> Store:
    """The store, which must be there: a command that only looks makes none.

    Raises:
        UserError: there is no store yet.
    """
    path = store_path(chosen)
    if not (path / "objects").is_dir():
        if chosen is not None:
            raise UserError(
                f"--store: no store at {path}", fix="check the folder's name; without --store it is paths.store"
            )
        raise UserError(
            f"nothing has been rendered here yet: no store at {path}",
            fix="make demo renders the sample clip, rotoscope FLOW a clip of yours; --store looks into another store",
        )
    return Store(path)
