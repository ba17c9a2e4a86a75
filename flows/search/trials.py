"""One point of a search at one rung: rendered as `dance` renders, on the frames and in the steps of the rung, measured.

A passage is a clip of its own: the frames before and after it are not there, motion modules see it alone. What is made
before the renderer (frames, maps) is made of the whole clip once and picked from, so every trial shares it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from flows.dance import stages
from reel import measure
from reel.clip import Clip
from reel.errors import UserError
from reel.op import Context, get
from reel.search.goals import Rung
from tasks.cached import Stage, call
from tasks.pick import Pick
from tasks.stylize.engine.split import Stages

if TYPE_CHECKING:
    from flows.dance.flow import Dance

Note = Callable[[Stage], Stage]
T = TypeVar("T")


def evaluate(cfg: Dance, rung: Rung, ctx: Context, note: Note) -> dict[str, float]:
    """Render the passages of a rung and measure them with the metrics of ``cfg``.

    Args:
        cfg: the point's settings; their steps are the rung's already.
        note: told of every finished stage; hands it back.

    Returns:
        every number by its key, the mean over the passages, each counting by its frames. A number that no passage has
        is absent.
    """
    todo = stages.plan(cfg, ctx.store)
    whole = stages.material(todo, ctx, note)
    count = Clip.open(ctx.store, whole.frames).count
    sums: dict[str, float] = defaultdict(float)
    weights: dict[str, int] = defaultdict(int)
    for frames in rung.passages:
        part = whole if len(frames) == count else _picked(todo, whole, frames, ctx, note)
        own = todo if part is whole else replace(todo, stylize=at_frames(todo.stylize, frames))
        for key, value in _numbers(own, part, ctx, note).items():
            sums[key] += value * len(frames)
            weights[key] += len(frames)
    return {key: total / weights[key] for key, total in sums.items()}


def _numbers(todo: stages.Plan, made: stages.Material, ctx: Context, note: Note) -> dict[str, float]:
    """What the metrics say of a passage."""
    drawn = stages.draw(todo, made, ctx, note)
    found: dict[str, float] = {}

    def kept(stage: Stage) -> Stage:
        if stage.op.startswith("measure."):
            found.update(measure.load(ctx.store.get(stage.digest)).flat)
        return note(stage)

    stages.measure(todo, stages.Rendered(made.frames, made.poses, drawn.frames, ""), ctx, kept)
    return found


def _picked(
    todo: stages.Plan, whole: stages.Material, frames: Sequence[int], ctx: Context, note: Note
) -> stages.Material:
    """The material of some frames. Poses need no picking: detectors see each frame by itself, and remember it."""

    def pick(digest: str) -> str:
        return note(call(get("pick", "pick"), Pick(frames=list(frames)), {"frames": digest}, ctx)).digest

    def pick_mask(digest: str) -> str:
        return digest if Clip.open(ctx.store, digest).count == 1 else pick(digest)

    chosen = pick(whole.frames)
    return stages.Material(
        frames=chosen,
        maps={name: pick(digest) for name, digest in whole.maps.items()},
        masks={name: pick_mask(digest) for name, digest in whole.masks.items()},
        poses={name: stages.detect(todo, name, chosen, ctx, note) for name in filter(None, [todo.detector])},
    )


def at_frames(settings: Stages, frames: Sequence[int]) -> Stages:
    """The renderer's settings for some frames of the clip: every list that has a value per frame is picked from."""

    def some(values: list[T] | None) -> list[T] | None:
        return None if values is None else [values[index] for index in frames]

    denoise = settings.denoise
    controls = {
        name: control.model_copy(update={"weight_schedule": some(control.weight_schedule)})
        for name, control in denoise.controls.items()
    }
    prompts = denoise.prompts and denoise.prompts.model_copy(
        update={name: some(getattr(denoise.prompts, name)) for name in ("a", "b", "blend")}
    )
    update = {
        "controls": controls,
        "strength_schedule": some(denoise.strength_schedule),
        "guidance_schedule": some(denoise.guidance_schedule),
        "prompts": prompts,
    }
    return replace(settings, denoise=denoise.model_copy(update=update))


def needed(values: Mapping[str, float], keys: Sequence[str]) -> dict[str, float]:
    """All of a point's numbers.

    Raises:
        UserError: one of the keys that the search needs is not among them.
    """
    missing = [key for key in keys if key not in values]
    if missing:
        raise UserError(f"{', '.join(missing)}: there was nothing to measure in this render")
    return dict(values)
