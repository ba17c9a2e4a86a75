"""What is asked of Wan-Animate, held against what it was trained on, before any model loads."""

from __future__ import annotations

from collections.abc import Mapping

from flows.dance.driven_checks import check_frames, check_maps
from flows.dance.settings import DanceControl
from reel.errors import UserError
from reel.models.animator import Animator
from tasks.wan_animate.settings import WanAnimate


def check_controls(live: Mapping[str, DanceControl], how: WanAnimate, model: Animator) -> None:
    """Whether the family can be driven by these controls.

    Raises:
        UserError: none, several, kinds it was not trained on, or settings it does not read: the pipeline has no weight.
    """
    if model.call:
        raise UserError(f"model.call: {', '.join(model.call)} is not set there; stylize.segments and stylize.mode are")
    check_maps(live, model, how.renderer, ())
    if len(live) > 1:
        raise UserError(
            f"controls: renderer {how.renderer} reads one map, got {' and '.join(live)}", fix="control=[pose]"
        )


def check_references(how: WanAnimate, model: Animator) -> None:
    """Raises: UserError: no picture of the character, or several."""
    if len(how.references) == model.limits.most_pictures:
        return
    told = f"got {len(how.references)}" if how.references else "and there is none"
    first = how.references[0] if how.references else "girl.png"
    raise UserError(
        f"stylize.references: model {model.name} draws the character of one picture, {told}",
        fix=f"'stylize.references=[{first}]'",
    )


def check_clip(width: int, height: int, count: int, fps: float, how: WanAnimate, model: Animator) -> None:
    """Whether the family makes a clip of that size, length and rate.

    Raises:
        UserError: naming what it makes, and what to set.
    """
    check_frames(width, height, fps, model)
    limits, carried = model.limits.frames, how.segments.carried
    least = max(limits.least, carried + 1)
    if count < least:
        raise UserError(
            f"model {model.name} makes {least} frames at least"
            + (f" (stylize.segments.carried={carried})" if least > limits.least else "")
            + f"; the clip has {count}",
            fix=f"extract.max_frames={least}, or a longer clip",
        )
    if how.segments.frames > limits.most:
        raise UserError(
            f"stylize.segments.frames: model {model.name} makes {limits.most} frames at once, got "
            f"{how.segments.frames}",
            fix=f"stylize.segments.frames={limits.most}",
        )
