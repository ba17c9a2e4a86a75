"""``sweep.plan=true``: the points of a sweep, what is cached of each, and what the rest will take. Runs nothing."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.edge.text import duration, memory, size, table
from reel.errors import UserError
from reel.forecast import Guess, History
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
        computed: ops to compute, with what each will take; those that an earlier point computes are not in it.
        shared: ops that an earlier point of the sweep computes.
        problem: why it cannot be foreseen.
    """

    cached: list[str] = field(default_factory=list)
    computed: list[tuple[str, Guess]] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    problem: str = ""


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
    """Outlooks of the points to run, in their order: what one computes is there for the next."""
    looks: dict[int, Outlook] = {}
    made: set[str] = set()
    for index in order:
        look = looks[index] = Outlook()
        try:
            stages = foresee(work.points[index].config)
        except UserError as error:
            look.problem = error.message.partition("\n")[0]
            continue
        for one in stages:
            if one.stage.reused:
                look.cached.append(one.stage.op)
            elif one.stage.key in made:
                look.shared.append(one.stage.op)
            else:
                made.add(one.stage.key)
                look.computed.append((one.stage.op, history.guess(one.fields)))
    return looks


def _table(points: Sequence[Point], looks: dict[int, Outlook], todo: set[int]) -> str:
    keys = list(points[0].values)
    rows = []
    for point in points:
        look = looks.get(point.index)
        seconds = what = ""
        if look is not None:
            known = [guess.seconds for _, guess in look.computed if guess.seconds is not None]
            told = [f"{sum(known):.1f}"] if known or not look.computed else []
            told += ["?"] * (len(known) < len(look.computed))
            seconds = "" if look.problem else " + ".join(told)
            what = look.problem or ", ".join(_short(op) for op, _ in look.computed) or "nothing: all is cached"
        elif point.index in todo:
            what = "?"
        elif point.status == "failed":
            what = (point.reason or "").partition("\n")[0]
        rows.append((point.index, *(_cut(point.values[key]) for key in keys), point.status, seconds, what))
    return table(rows, ("#", *keys, "status", "seconds", "to compute"))


def _totals(work: Work, order: Sequence[int], looks: dict[int, Outlook], history: History) -> list[str]:
    flow = work.root.name
    if not looks:
        left = len(order)
        return [f"{left} point{'s' * (left != 1)} to run; nothing was run (leave out sweep.plan to run them)"]
    guesses = [guess for look in looks.values() for _, guess in look.computed]
    ops = [(op, "computed") for look in looks.values() for op, _ in look.computed]
    ops += [(op, "cached") for look in looks.values() for op in look.cached]
    ops += [(op, "shared") for look in looks.values() for op in look.shared]
    lines = [f"{len(order)} of {len(work.points)} points to run"]
    for kind, text in (("computed", "computed"), ("shared", "from an earlier point"), ("cached", "from the store")):
        counts = Counter(_short(op) for op, how in ops if how == kind)
        if counts:
            lines.append(f"  {text:22}" + ", ".join(f"{op} {count}" for op, count in counts.items()))
    fine = sum(not look.problem for look in looks.values())
    seconds = sum(guess.seconds or 0.0 for guess in guesses) + fine * history.overhead(flow)
    wanted = sum(guess.size or 0 for guess in guesses) + fine * history.exported(flow)
    peak = max((guess.memory_mib or 0.0 for guess in guesses), default=0.0)
    unknown = sorted({_short(op) for look in looks.values() for op, guess in look.computed if not guess.calls})
    folder = Path(work.manifest.store.root)
    free = shutil.disk_usage(folder).free
    if any(guess.calls for guess in guesses) or not guesses:
        lines.append(f"  {'time':22}about {duration(seconds)}, one point after another")
        lines.append(f"  {'disk':22}about {size(wanted)} ({size(free)} are free)")
    if peak:
        lines.append(f"  {'memory':22}about {memory(peak * 2**20)} at most")
    if unknown:
        lines.append(f"  seconds and size not known from past runs, and left out of all sums: {', '.join(unknown)}")
    if wanted > free:
        lines.append("  warning: the disk is too small for it (`rotoscope gc` shows what can go)")
    lines.append("nothing was run (leave out sweep.plan to run it)")
    return lines


def _short(op: str) -> str:
    """``denoise`` for ``stylize.denoise``."""
    return op.rpartition(".")[2]


def _cut(text: str) -> str:
    return f"{text[:37]}..." if len(text) > 40 else text
