"""List the sweeps, the latest last; with an id, the points of one: status, run, why a point failed."""

from __future__ import annotations

from collections.abc import Sequence

from flows.commands.common import Parser, open_store
from flows.edge.text import local, table
from reel.history.sweep import Manifest, list_sweeps
from reel.history.sweep_files import Point


def main(argv: Sequence[str]) -> int:
    """``rotoscope sweeps [ID]``: from the manifests in the store."""
    parser = Parser("sweeps", __doc__ or "")
    parser.add_argument("id", nargs="?", help="a sweep's id, a part of it that fits no other, or latest")
    options = parser.parse_args(list(argv))
    store = open_store(options.store)
    if options.id is not None:
        print(_points(Manifest.load(store, options.id)))
        return 0
    found = list_sweeps(store)
    if found:
        print(table([_row(one) for one in found], ("sweep", "started", "points", "status", "over")))
    else:
        print("no sweeps yet: rotoscope FLOW -m seed=1,2,3")
    return 0


def _row(sweep: Manifest) -> tuple[str, ...]:
    told = ", ".join(f"{count} {name}" for name, count in sweep.counts.items() if count)
    over = ", ".join(axis.name for axis in sweep.axes)
    return (sweep.id, local(sweep.created), str(len(sweep.planned)), told, over)


def _points(sweep: Manifest) -> str:
    points = sweep.points
    keys = list(points[0].values)
    rows = [
        (point.index, *(point.values[key] for key in keys), point.status, _seconds(point), _what(point))
        for point in points
    ]
    return f"sweep {sweep.id}\n{table(rows, ('#', *keys, 'status', 'seconds', 'run'))}"


def _seconds(point: Point) -> str:
    return "" if point.seconds is None else f"{point.seconds:.1f}"


def _what(point: Point) -> str:
    return (point.reason or "").partition("\n")[0] if point.status == "failed" else point.run or ""
