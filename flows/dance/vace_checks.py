"""What is asked of Wan VACE, held against what it was trained on, before any model loads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from flows.dance.settings import Dance, DanceControl
from reel.errors import UserError
from reel.models.animator import Animator
from tasks.stylize.settings.controls import ControlSettings
from tasks.vace.settings import Vace
from tasks.vace.windows import STEP

ONLY_WEIGHTS = ("kind", "weight", "layer_weights")
"""What of a control VACE reads; its YAML says the rest for AnimateDiff's sake."""


def refuse_schedules(cfg: Dance) -> None:
    """Raises: UserError: something over the frames or places, of which VACE knows nothing."""
    given = {name: getattr(cfg, name) for name in ("prompt_schedule", "strength_schedule", "guidance_schedule")}
    given |= {f"controls.{name}.weight_schedule": one.weight_schedule for name, one in cfg.controls.items()}
    given["regions"] = cfg.regions or None
    for key, value in given.items():
        if value is not None:
            raise UserError(
                f"{key}: renderer vace has one prompt and one weight for all frames and places",
                fix=f"leave {key} out, or renderer=animatediff",
            )


def check_seed(seed: int) -> None:
    """Raises: UserError: a seed that PyTorch's generators do not take as it is."""
    if not 0 <= seed < 2**62:
        raise UserError(f"seed: renderer vace takes seeds from 0 to {2**62 - 1}, got {seed}", fix="seed=1")


def check_controls(live: Mapping[str, DanceControl], how: Vace, model: Animator) -> None:
    """Whether the family can be driven by these controls.

    Raises:
        UserError: none, several that are not drawn into one, kinds it was not trained on, or settings it does not read.
    """
    if model.call:
        raise UserError(f"model.call: {', '.join(model.call)} is not set there; the controls' weights are set")
    if not live:
        raise UserError("controls: renderer vace is driven by a map, and there is none", fix="control=[pose]")
    for name, control in live.items():
        if control.kind not in model.limits.maps:
            raise UserError(
                f"controls.{name}.kind: model {model.name} was not trained on maps of kind {control.kind}; on "
                f"{', '.join(model.limits.maps)}",
                fix="control=[pose], control=[depth] or control=[lineart]",
            )
        for key in _unread(control):
            raise UserError(
                f"controls.{name}.{key}: renderer vace does not read it; it reads weight and layer_weights",
                fix=f"leave controls.{name}.{key} out, or renderer=animatediff",
            )
    if how.overlay:
        _check_overlay(live, how)
    elif len(live) > 1:
        names = list(live)
        raise UserError(
            f"controls: renderer vace reads one map, got {' and '.join(names)}: it was not trained on several",
            fix=f"control=[{names[-1]}], or stylize.overlay=[{','.join(names)}] draws them into one, the last on top",
        )


def _unread(control: DanceControl) -> Iterator[str]:
    """Settings of a control that are not at their default and do nothing here."""
    usual = ControlSettings(kind=control.kind)
    for name in ControlSettings.model_fields:
        if name not in ONLY_WEIGHTS and getattr(control, name) != getattr(usual, name):
            yield name
    if control.mask_file is not None:
        yield "mask_file"


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
    limits, unit = model.limits, model.multiple_of
    if width % unit or height % unit:
        raise UserError(
            f"model {model.name}: sides must be multiples of {unit} px, got {width}x{height}",
            fix=f"extract.multiple_of={unit}",
        )
    if min(width, height) < limits.least_side:
        raise UserError(
            f"model {model.name}: sides have {limits.least_side} px at least, got {width}x{height}",
            fix=f"extract.short_side={limits.least_side}",
        )
    if width * height > limits.most_pixels:
        factor = math.sqrt(limits.most_pixels / (width * height))
        raise UserError(
            f"model {model.name}: {width}x{height} are more pixels than it makes ({limits.most_pixels:,})",
            fix=f"extract.short_side={int(min(width, height) * factor) // unit * unit}",
        )
    if not limits.least_fps <= round(fps, 3) <= limits.most_fps:
        raise UserError(
            f"extract.fps: model {model.name} was trained at {limits.most_fps:g} frames a second, and is told no other "
            f"rate; got {fps:g}",
            fix=f"extract.fps={limits.most_fps:g}",
        )
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
