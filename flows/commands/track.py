"""Log to MLflow what could not be logged when it was rendered; `--all` logs every record, as into a new database."""

from __future__ import annotations

from collections.abc import Sequence

from flows.commands.common import Parser, open_store, settings
from reel.config import parse


def main(argv: Sequence[str]) -> int:
    """``rotoscope track``: records are the truth, MLflow a copy that can be brought up to date at any time."""
    from tasks.tracking.rebuild import flush_pending, rebuild
    from tasks.tracking.settings import Tracking

    parser = Parser("track", __doc__ or "")
    parser.add_argument("--all", action="store_true", help="every record, into the MLflow that conf/tracking names")
    options = parser.parse_args(list(argv))
    store = open_store(options.store)
    if options.all:
        logged, failed = rebuild(store, parse(Tracking, settings()["tracking"], "tracking"))
    else:
        logged, failed = flush_pending(store)
    for run, why in failed.items():
        print(f"{run}: {why}")
    print(f"logged {len(logged)} renders" + (f", {len(failed)} still pending" if failed else ""))
    return 1 if failed else 0
