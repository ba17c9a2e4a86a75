"""Tell what a render computed, what it reused, and which setting made each difference."""

from __future__ import annotations

from collections.abc import Sequence

from flows.commands.common import Parser, open_store
from flows.edge.text import local
from reel.history.record import StageRecord, find_record
from reel.history.why import explain
from reel.store import Store


def main(argv: Sequence[str]) -> int:
    """``rotoscope why [RUN]``: per stage a hit or a miss, and on a miss which fields of its key are new."""
    parser = Parser("why", __doc__ or "")
    parser.add_argument("run", nargs="?", default="last", help="a run's id or a part of it (default: the last one)")
    options = parser.parse_args(list(argv))
    store = open_store(options.store)
    record = find_record(store, "latest" if options.run in ("last", "latest") else options.run)
    print(f"{record.flow} {record.run}, {record.status}, started {local(record.started)}")
    if record.reason:
        print(f"  {record.reason}")
    for stage in record.stages:
        print("\n".join(told(store, stage)))
    if not record.stages:
        print("  no stage was finished")
    return 0


def told(store: Store, stage: StageRecord) -> list[str]:
    """A stage in words: reused, or computed and why."""
    head = f"  {'hit ' if stage.reused else 'miss'}  {stage.op:28} {stage.seconds:8.2f} s"
    if stage.reused:
        return [f"{head}  reused {stage.digest[:12]}"]
    reason = explain(store, stage.key)
    if reason.compared_with is None:
        return [f"{head}  the first of its kind in this store"]
    if not reason.differences:
        return [f"{head}  same key as before; its bytes were missing or damaged, so they were made again"]
    return [f"{head}  differs from the nearest earlier one in", *(f"          {one}" for one in reason.differences)]
