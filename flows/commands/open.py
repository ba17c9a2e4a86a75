"""Show a render: print the paths of its files, and open its film where there is a desktop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from flows.commands.common import Parser, open_store
from reel.errors import UserError
from reel.history.record import RenderRecord, Role, find_record, latest_with, locate
from reel.store import Store

_SHOWN = ("movie", "page", "sheet")
"""What is opened of a render, the best first."""


def main(argv: Sequence[str]) -> int:
    """``rotoscope open [RUN]``: files that are not where they were exported to are taken from the store."""
    parser = Parser("open", __doc__ or "")
    parser.add_argument("run", nargs="?", default="last", help="a run's id or a part of it (default: the last one)")
    parser.add_argument("--print", action="store_true", help="print the paths only")
    options = parser.parse_args(list(argv))
    store = open_store(options.store)
    record = _latest(store) if options.run in ("last", "latest") else find_record(store, options.run)
    found = files(store, record)
    for role, path in found:
        print(f"  {role:<8} {path}")
    chosen = next((path for role in _SHOWN for known, path in found if known == role), None)
    program = viewer()
    if chosen is not None and program and not options.print:
        subprocess.Popen([program, str(chosen)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    return 0


def _latest(store: Store) -> RenderRecord:
    """The latest render with files: a search's trials, which are records too, make none.

    Raises:
        UserError: there is none.
    """
    return latest_with(store.root, "outputs", lambda record: bool(record.outputs)) or find_record(store, "latest")


def files(store: Store, record: RenderRecord) -> list[tuple[Role, Path]]:
    """Role and place of each file of a render.

    Raises:
        UserError: it has none, or all are gone.
    """
    found = [(item.role, path) for item in record.outputs if (path := locate(store, record, item)) is not None]
    if not found:
        gone = f"its files are gone from {record.output} and from the store" if record.outputs else "it made no files"
        again = f"rotoscope {record.flow.replace('_', '-')} --from {record.run} renders it again"
        raise UserError(
            f"{record.flow} {record.run}, {record.status}: {gone}",
            fix=f"rotoscope open {record.parent}, what it is a part of" if record.parent else again,
        )
    return found


def viewer() -> str | None:
    """The program that opens a file as a double click does; None where nobody would see it."""
    if sys.platform == "darwin":
        return None if os.environ.get("SSH_CONNECTION") else "open"
    shown = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return shutil.which("xdg-open") if shown else None
