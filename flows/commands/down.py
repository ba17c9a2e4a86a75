"""Stop the servers that `rotoscope up` started."""

from __future__ import annotations

from collections.abc import Sequence

from flows.commands.common import Parser, store_path
from flows.prefect_server import servers


def main(argv: Sequence[str]) -> int:
    """``rotoscope down``: their data stays."""
    options = Parser("down", __doc__ or "").parse_args(list(argv))
    store = store_path(options.store)
    for name in servers.NAMES:
        print(f"{name:8} {'stopped' if servers.down(store, name) else 'was not up'}")
    return 0
