"""What is asked of Wan VACE, held against what it was trained on, before any model loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.dance.driven_checks import check_frames, check_maps
from flows.dance.settings import DanceControl
from reel.errors import UserError
from reel.models.animator import Animator
from tasks.vace.settings import Vace
from tasks.vace.windows import STEP

WEIGHTS = ("weight", "layer_weights")
"""What of a control VACE reads beside its kind; its YAML says the rest for AnimateDiff's sake."""


def check_controls(live: Mapping[str, DanceControl], how: Vace, model: Animator) -> None:
    """Whether the family can be driven by these controls.

    Raises:
        UserError: none, several that are not drawn into one, kinds it was not trained on, or settings it does not read.
    """
    if model.call:
        raise UserError(f"model.call: {', '.join(model.call)} is not set there; the controls' weights are set")
    check_maps(live, model, how.renderer, WEIGHTS)
    if how.overlay:
        _check_overlay(live, how)
    elif len(live) > 1:
        names = list(live)
        raise UserError(
            f"controls: renderer vace reads one map, got {' and '.join(names)}: it was not trained on several",
            fix=f"control=[{names[-1]}], or stylize.overlay=[{','.join(names)}] draws them into one, the last on top",
        )


def _check_overlay(live: Mapping[str, DanceControl], how: Vace) -> None:
    if sorted(how.overlay) != sorted(live):
        raise UserError(
            f"stylize.overlay: names {', '.join(how.overlay)}; the controls in use are {', '.join(live)}",
            fix=f"stylize.overlay=[{','.join(live)}], or control=[{','.join(dict.fromkeys(how.overlay))}]",
        )
    if len(live) == 1:
        raise UserError("stylize.overlay: one map needs none", fix="stylize.overlay=[]")
    first, *others = live.values()
    if any((one.weight, one.layer_weights) != (first.weight, first.layer_weights) for one in others):
        told = ", ".join(f"controls.{name}.weight={one.weight:g}" for name, one in live.items())
        raise UserError(
            f"stylize.overlay: maps drawn into one have one weight, and these differ: {told}",
            fix=" ".join(f"controls.{name}.weight={first.weight:g}" for name in live),
        )


def check_clip(width: int, height: int, count: int, fps: float, how: Vace, model: Animator) -> None:
    """Whether the family makes a clip of that size, length and rate.

    Raises:
        UserError: naming what it makes, and what to set.
    """
    check_frames(width, height, fps, model)
    limits = model.limits
    if count % STEP != 1 or count < limits.frames.least:
        near = max(limits.frames.least, (count - 1) // STEP * STEP + 1)
        more = " (a longer clip)" if near > count else ""
        raise UserError(
            f"model {model.name} makes {STEP}k+1 frames, {limits.frames.least} at least; the clip has {count}",
            fix=f"extract.max_frames={near}{more}",
        )
    if how.windows.frames > limits.frames.most:
        raise UserError(
            f"stylize.windows.frames: model {model.name} makes {limits.frames.most} frames at once, got "
            f"{how.windows.frames}",
            fix=f"stylize.windows.frames={limits.frames.most}",
        )
    if len(how.references) > limits.most_pictures:
        raise UserError(
            f"stylize.references: model {model.name} takes {limits.most_pictures} pictures at most, got "
            f"{len(how.references)}"
        )


def check_layers(live: Mapping[str, DanceControl], shape: Mapping[str, Any], model: Animator) -> None:
    """Raises: UserError: not one weight for each of the transformer's VACE layers."""
    count = len(shape["vace_layers"])
    for name, control in live.items():
        if control.layer_weights is not None and len(control.layer_weights) != count:
            raise UserError(
                f"controls.{name}.layer_weights: {len(control.layer_weights)} values; model {model.name} has {count} "
                "VACE layers",
                fix=f"{count} factors, the first layer's first",
            )
