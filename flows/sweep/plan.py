"""``sweep.plan=true``: the points of a sweep, what is cached of each, and what the rest will take. Runs nothing."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flows.edge.text import duration, memory, size, table
from reel.errors import UserError
from reel.estimate import Estimate
from reel.forecast import History, needs
from reel.history.sweep_files import Point

if TYPE_CHECKING:
    from flows.sweep.sweep import Work
    from tasks.cached import Foreseen

Foresee = Callable[[Any], "list[Foreseen]"]


@dataclass
class Outlook:
    """What one point will do.

    Attributes:
        cached: ops whose output is in the store already.
        shared: ops that an earlier point of the sweep computes.
        estimate: what the others will take, and the point beside them.
        problem: why it cannot be foreseen.
    """

    cached: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    estimate: Estimate = field(default_factory=Estimate)
    problem: str = ""

    @property
    def computed(self) -> list[str]:
        return [call.op for call in self.estimate.calls]


def show(work: Work, foresee: Foresee | None) -> None:
    """Print the plan of a sweep.

    Args:
        foresee: the flow's look at its cache; None: the flow has none, and only the points are shown.
    """
    manifest = work.manifest
    history = History(manifest.store)
    points = manifest.points
    wanted = ("failed",) if work.settings.only_failed else ("pending",)
    order = [index for index in work.order if points[index].status in wanted]
    looks = _look(work, order, foresee, history) if foresee else {}
    axes = ", ".join(f"{axis.name} ({len(axis.values)})" for axis in manifest.axes) or "nothing"
    print(f"sweep {manifest.id}: {len(points)} point{'s' * (len(points) != 1)} over {axes}\n")
    print(_table(points, looks, set(order)))
    print()
    for line in _totals(work, order, looks, history):
        print(line)


def _look(work: Work, order: Sequence[int], foresee: Foresee, history: History) -> dict[int, Outlook]:
    """Outlooks of the points to run, in their order: what one computes, imports and loads is there for the next."""
    looks: dict[int, Outlook] = {}
    made: set[str] = set()
    used: set[str] = set()
    for index in order:
        look = looks[index] = Outlook()
        try:
            stages = foresee(work.points[index].config)
        except UserError as error:
            look.problem = error.message.partition("\n")[0]
            continue
        look.cached = [one.stage.op for one in stages if one.stage.reused]
        look.shared = [one.stage.op for one in stages if one.stage.key in made]
        coming = [one for one in stages if not one.stage.reused and one.stage.key not in made]
        look.estimate = history.estimate(work.root.name, coming, used)
        made.update(one.stage.key for one in coming)
        used.update(*(needs(one) for one in coming))
    return looks


def _table(points: Sequence[Point], looks: dict[int, Outlook], todo: set[int]) -> str:
    keys = list(points[0].values)
    rows = []
    for point in points:
        look = looks.get(point.index)
        seconds = basis = what = ""
        if look is not None and look.problem:
            what = look.problem
        elif look is not None:
            seconds, basis = _seconds(look.estimate), look.estimate.basis if look.computed else ""
            what = ", ".join(map(_short, look.computed)) or "nothing: all is cached"
        elif point.index in todo:
            what = "?"
        elif point.status == "failed":
            what = (point.reason or "").partition("\n")[0]
        values = (_cut(point.values[key]) for key in keys)
        rows.append((point.index, *values, point.status, seconds, basis, what))
    return table(rows, ("#", *keys, "status", "seconds", "basis", "to compute"))


def _seconds(estimate: Estimate) -> str:
    """``12.3 (9.8-16.0)``; `` + ?`` where of some of it nothing is known."""
    told = f"{estimate.seconds:.1f} ({estimate.low:.1f}-{estimate.high:.1f})"
    if not estimate.unknown:
        return told
    return f"{told} + ?" if any(call.runs for call in estimate.calls) else "?"


def _totals(work: Work, order: Sequence[int], looks: dict[int, Outlook], history: History) -> list[str]:
    if not looks:
        left = len(order)
        return [f"{left} point{'s' * (left != 1)} to run; nothing was run (leave out sweep.plan to run them)"]
    lines = [f"{len(order)} of {len(work.points)} points to run"]
    for text, ops in (
        ("computed", [op for look in looks.values() for op in look.computed]),
        ("from an earlier point", [op for look in looks.values() for op in look.shared]),
        ("from the store", [op for look in looks.values() for op in look.cached]),
    ):
        if counts := Counter(map(_short, ops)):
            lines.append(f"  {text:22}" + ", ".join(f"{op} {count}" for op, count in counts.items()))
    fine = [look.estimate for look in looks.values() if not look.problem]
    calls = [call for estimate in fine for call in estimate.calls]
    wanted = sum(call.size or 0 for call in calls) + len(fine) * history.exported(work.root.name)
    free = shutil.disk_usage(work.manifest.store.root).free
    if any(call.runs for call in calls) or not calls:
        lines.append(f"  {'time':22}{_time(fine)}, one point after another")
        lines.append(f"  {'disk':22}about {size(wanted)} ({size(free)} are free)")
    if peak := max((call.memory_mib or 0.0 for call in calls), default=0.0):
        lines.append(f"  {'memory':22}about {memory(peak * 2**20)} at most")
    if unknown := sorted({_short(op) for estimate in fine for op in estimate.unknown}):
        lines.append(f"  not known from past runs, and left out of all sums: {', '.join(unknown)}")
    if wanted > free:
        lines.append("  warning: the disk is too small for it (`rotoscope gc` shows what can go)")
    lines.append("nothing was run (leave out sweep.plan to run it)")
    return lines


def _time(estimates: Sequence[Estimate]) -> str:
    """Sums over all points; their errors add up, since it is the same costs that are too high or too low in each."""
    seconds, low, high = (sum(getattr(one, name) for one in estimates) for name in ("seconds", "low", "high"))
    once = sum(call.once for one in estimates for call in one.calls)
    share = f", {duration(once)} of it for imports and loading" if once >= 1 else ""
    return f"about {duration(seconds)} ({duration(low)} to {duration(high)}){share}"


def _short(op: str) -> str:
    """``denoise`` for ``stylize.denoise``."""
    return op.rpartition(".")[2]


def _cut(text: str) -> str:
    return f"{text[:37]}..." if len(text) > 40 else text
