"""Stop the servers that `rotoscope up` started."""

from __future__ import annotations

from collections.abc import Sequence

from flows.commands.common import Parser, store_path
from flows.prefect_server import servers
from reel.errors import UserError


def main(argv: Sequence[str]) -> int:
    """``rotoscope down``: their data stays."""
    options = Parser("down", __doc__ or "").parse_args(list(argv))
    store = store_path(options.store)
    here = servers.folder(store).is_dir()
    if options.store and not here:
        raise UserError(f"no server was started for the store {store}", fix="name the one that `up` was given")
    for name in servers.NAMES:
        print(f"{name:8} {'stopped' if here and servers.down(store, name) else 'was not up'}")
    return 0
