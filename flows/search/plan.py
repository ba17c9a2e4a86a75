"""A search, worked out and checked before anything is computed: space, goals, levels of effort, number of trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from flows.flow import Divisible, Flow
from flows.render.settings import Rendering
from flows.search import definition
from flows.search.definition import Definition
from flows.search.settings import EXTENT, OWN, Search, Searched
from reel import measure
from reel.config import FIGURES, FILES, parse, suggest
from reel.content import with_content
from reel.errors import UserError
from reel.nested import at, placed
from reel.search.goals import Goal, Limit, Rung, affordable, entrants, parse_limit, passages, rung
from reel.search.search_axes import Axis, axes
from reel.store import Store

FEWEST = 8  # steps of a proxy: models of fewer are distilled, and draw in those alone
USUAL_LIMITS = {"flicker.mean": "1.5x", "background.steady": "0.95x", "background.place": "0.9x"}


@dataclass(frozen=True)
class Job:
    """A search, checked.

    Attributes:
        flow: what trials are rendered with.
        base: what trials start from: settings of the flow, with the metrics that the search needs.
        settings: the same as plain data.
        plan: the render of the given settings.
        trials: points to try on the proxy.
    """

    flow: Flow[Any]
    store: Store
    search: Searched
    base: Rendering
    settings: Mapping[str, Any]
    axes: Sequence[Axis]
    goals: Sequence[Goal]
    limits: Sequence[Limit]
    plan: Divisible
    trials: int

    @property
    def keys(self) -> list[str]:
        """The numbers that are shown of every trial."""
        return list(dict.fromkeys([*(g.key for g in self.goals), *(limit.goal.key for limit in self.limits)]))

    @property
    def needed(self) -> list[str]:
        """The numbers that every trial must have. Of a clip that a usual limit says nothing of (a close-up has no
        background), it is kept."""
        return self.keys if self.search.constraints is not None else [goal.key for goal in self.goals]

    @property
    def given(self) -> dict[str, float]:
        """The point of the space that is nearest to the given settings: the first one tried."""
        return {axis.key: axis.nearest(_number(at(self.settings, axis.key), axis.low)) for axis in self.axes}

    def about(self) -> dict[str, Any]:
        """What makes this search the one it is."""
        rendered, measures = self.base.result_part({FILES, FIGURES}), self.plan.measures
        return {
            "settings": with_content(type(self.base), rendered),
            "measure": {op.id: settings.result_part() for op, settings in measures.ops},
            "reference": measures.reference.digest if measures.reference else None,
            **self.search.result_part({EXTENT}),
            **{"space": [str(axis) for axis in self.axes], "objectives": [goal.key for goal in self.goals]},
            "constraints": [str(limit) for limit in self.limits],
        }

    def begin(self) -> Definition:
        """Its definition on disk. Raises: UserError when a search of its name has other settings."""
        names = tuple(one.name for one in self.rungs([None] * self.plan.count))
        new = definition.new(self.search.name, self.about(), dict(self.settings))
        return definition.opened(
            self.store, new.model_copy(update={"rungs": names, "space": tuple(self.axes), "goals": tuple(self.goals)})
        )

    def rungs(self, poses: Sequence[Any]) -> list[Rung]:
        """The levels of effort, cheapest first: proxy, half the clip, all of it. Where one is no cheaper than the
        next it is left out.

        Args:
            poses: for every frame the largest person, or None.
        """
        return levels(poses, self.search, int(at(self.settings, str(self.flow.effort))))

    def announcement(self, known: Definition) -> str:
        """What the search is going to do, for a person to read."""
        rungs = self.rungs([None] * self.plan.count)
        counts = entrants(self.trials, len(rungs), self.search.reduction)
        effort = ", ".join(
            f"{n} x {one.name} ({one.frames} frames, {one.steps} steps)" for n, one in zip(counts, rungs, strict=True)
        )
        cost = sum(n * one.cost for n, one in zip(counts, rungs, strict=True))
        goals = [f"{goal.key} ({'higher' if goal.higher else 'lower'} is better)" for goal in self.goals]
        return "\n".join(
            [
                f"search {known.id}: {' x '.join(str(axis) for axis in self.axes)}",
                f"  for {', '.join(goals)}" + (f"; {', '.join(map(str, self.limits))}" if self.limits else ""),
                f"  {effort}: as much work as {cost:.3g} full renders",
            ]
        )


def prepare(flow: Flow[Any], cfg: Search, store: Store) -> Job:
    """Check everything that can be checked without computing.

    Args:
        flow: what trials are rendered with; its plans are `flows.flow.Divisible`.

    Raises:
        UserError: what would make the search, or every trial of it, fail.
    """
    assert flow.plan is not None
    assert flow.effort is not None
    whole = cfg.model_dump(mode="json", exclude=set(OWN))
    space = axes(cfg.search.space, whole, flow.effort)
    goals, limits = _goals(cfg)
    names = dict.fromkeys(key.partition(".")[0] for key in [*(g.key for g in goals), *(one.goal.key for one in limits)])
    settings = {**whole, "measure": {name: cfg.measure.get(name) or {} for name in names}}
    for axis in space:
        for value in (axis.value(0), axis.value(axis.count - 1)):
            parse(flow.settings, placed(settings, {axis.key: value}))
    base = parse(flow.settings, settings)
    plan = cast(Divisible, flow.plan(base, store))
    if not hasattr(plan, "part"):
        raise UserError(
            "search: trials begin with some of the clip's frames, and this renderer makes a clip in one",
            fix=f"a sweep: rotoscope {flow.name} -m KEY=0.6,0.8,1.0, or renderer=animatediff",
        )
    for name, why in plan.measures.passed_over.items():
        raise UserError(f"search: {name} says nothing about these renders: {why}", fix="other search.objectives")
    rungs = levels([None] * plan.count, cfg.search, int(at(settings, flow.effort)))
    parse(flow.settings, placed(settings, {flow.effort: rungs[0].steps}))
    if cfg.search.constraints is None and min(len(part) for one in rungs for part in one.passages) < 2:
        limits = []  # one frame keeps all of them
    trials = _trials(cfg.search, rungs)
    return Job(flow, store, cfg.search, base, settings, space, goals, limits, plan, trials)


def levels(poses: Sequence[Any], search: Searched, steps: int) -> list[Rung]:
    """See `Job.rungs`."""
    count, proxy = len(poses), search.proxy
    few = min(proxy.steps or max(FEWEST, math.ceil(steps / 2)), steps)
    full = rung("full", [range(count)], steps, count, steps)
    half = rung("half", passages(poses, math.ceil(count / 2), proxy.passages), steps, count, steps)
    first = rung("proxy", passages(poses, proxy.frames, proxy.passages), few, count, steps)
    found = [full]
    for cheaper in (half, first):
        if cheaper.cost < found[0].cost:
            found.insert(0, cheaper)
    return found


def _trials(search: Searched, rungs: Sequence[Rung]) -> int:
    if search.budget is None:
        assert search.trials is not None
        return search.trials
    costs = [one.cost for one in rungs]
    paid = affordable(search.budget, costs, search.reduction)
    if paid == 0:
        raise UserError(
            f"search.budget: {search.budget:g} full renders pay for no trial: one that goes all the way comes to "
            f"{sum(costs):.3g}",
            fix="a larger search.budget",
        )
    return min(paid, search.trials or paid)


def _goals(cfg: Search) -> tuple[list[Goal], list[Limit]]:
    """The objectives and constraints, with their directions from the metrics' declarations."""
    keys = cfg.search.objectives or _usual(cfg)
    goals = [_goal(key, "search.objectives") for key in dict.fromkeys(keys)]
    bounds = USUAL_LIMITS if cfg.search.constraints is None else cfg.search.constraints
    limits = [parse_limit(_goal(key, "search.constraints"), bound) for key, bound in bounds.items()]
    return goals, limits


def _usual(cfg: Search) -> list[str]:
    """Pose and character fidelity as the model allows them to be measured."""
    model, stylize = getattr(cfg, "model", None), getattr(cfg, "stylize", None)
    if model is not None and model.base.embedded:
        return ["probe_joints.error", "probe_attributes.kept"]
    picture = cfg.reference or getattr(stylize, "ip_adapter", None)
    return ["pose.oks", "clip_image.mean" if picture else "clip_text.mean"]


def _goal(key: str, where: str) -> Goal:
    described = measure.describe(key)
    if described is None:
        known = [one.key(value) for one in measure.measures() for value in one.values if value.better]
        raise UserError(f"{where}: no metric gives {key!r}{suggest(key, known)}", fix=f"known: {', '.join(known)}")
    _, value = described
    if value.better is None:
        raise UserError(f"{where}: neither more nor less of {key} is better by itself", fix="another number")
    label = value.label + (f" ({value.unit})" if value.unit else "")
    return Goal(key, value.better == "higher", label, value.tells)


def _number(value: Any, instead: float) -> float:
    return float(value) if isinstance(value, int | float) else instead
