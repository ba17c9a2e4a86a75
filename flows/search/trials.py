"""One point of a search at one rung: rendered on the frames and in the steps of the rung, and measured.

A passage is a clip of its own: the frames before and after it are not there, motion modules see it alone. What is made
before the renderer (frames, maps) is made of the whole clip once and picked from, so every trial shares it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from flows.flow import Divisible, Flow, Made, RenderPlan
from flows.render import measures
from flows.render.settings import Rendering
from reel import measure
from reel.errors import UserError
from reel.op import Context
from reel.search.goals import Rung
from tasks.cached import Stage


def evaluate(flow: Flow[Any], cfg: Rendering, rung: Rung, ctx: Context) -> tuple[dict[str, float], Made]:
    """Render the passages of a rung and measure them with the metrics of ``cfg``.

    Args:
        cfg: the point's settings; their steps are the rung's already.

    Returns:
        every number by its key, the mean over the passages, each counting by its frames (a number that no passage has
        is absent); and what the last passage drew.
    """
    assert flow.plan is not None
    todo = cast(Divisible, flow.plan(cfg, ctx.store))
    sums: dict[str, float] = defaultdict(float)
    weights: dict[str, int] = defaultdict(int)
    for frames in rung.passages:
        part = todo if len(frames) == todo.count else todo.part(frames)
        made = part.draw(ctx)
        for key, value in _numbers(part, made, ctx).items():
            sums[key] += value * len(frames)
            weights[key] += len(frames)
    return {key: total / weights[key] for key, total in sums.items()}, made


def _numbers(todo: RenderPlan, made: Made, ctx: Context) -> dict[str, float]:
    """What the metrics say of a passage."""
    found: dict[str, float] = {}

    def told(stage: Stage) -> None:
        if stage.op.startswith("measure."):
            found.update(measure.load(ctx.store.get(stage.digest)).flat)
        ctx.tell(stage)

    measures.run(todo.measures, made, replace(ctx, told=told))
    return found


def needed(values: Mapping[str, float], keys: Sequence[str]) -> dict[str, float]:
    """All of a point's numbers.

    Raises:
        UserError: one of the keys that the search needs is not among them.
    """
    missing = [key for key in keys if key not in values]
    if missing:
        raise UserError(f"{', '.join(missing)}: there was nothing to measure in this render")
    return dict(values)
