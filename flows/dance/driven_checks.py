"""What is asked of a model that a clip's maps drive, held against what it was trained on, before any model loads."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

from flows.dance.settings import Dance, DanceControl
from reel.errors import UserError
from reel.models.animator import Animator
from tasks.stylize.settings.compute import check_compute
from tasks.stylize.settings.controls import ControlSettings, live_controls


def check_driven(cfg: Dance, renderer: str) -> dict[str, DanceControl]:
    """The controls that drive the clip.

    Raises:
        UserError: something that none of these models can be asked for.
    """
    check_compute(cfg.compute)
    refuse_schedules(cfg, renderer)
    check_seed(cfg.seed, renderer)
    return live_controls(cfg.controls)


def refuse_schedules(cfg: Dance, renderer: str) -> None:
    """Raises: UserError: something over the frames or places, of which these models know nothing."""
    given = {name: getattr(cfg, name) for name in ("prompt_schedule", "strength_schedule", "guidance_schedule")}
    given |= {f"controls.{name}.weight_schedule": one.weight_schedule for name, one in cfg.controls.items()}
    given["regions"] = cfg.regions or None
    for key, value in given.items():
        if value is not None:
            raise UserError(
                f"{key}: renderer {renderer} has one prompt and one weight for all frames and places",
                fix=f"leave {key} out, or renderer=animatediff",
            )


def check_seed(seed: int, renderer: str) -> None:
    """Raises: UserError: a seed that PyTorch's generators do not take as it is."""
    if not 0 <= seed < 2**62:
        raise UserError(f"seed: renderer {renderer} takes seeds from 0 to {2**62 - 1}, got {seed}", fix="seed=1")


def check_maps(live: Mapping[str, DanceControl], model: Animator, renderer: str, reads: Collection[str]) -> None:
    """Whether the family can be driven by maps of these kinds.

    Args:
        reads: the settings of a control that it reads, beside its kind.

    Raises:
        UserError: none, kinds that it was not trained on, or settings that it does not read.
    """
    if not live:
        raise UserError(f"controls: renderer {renderer} is driven by a map, and there is none", fix="control=[pose]")
    for name, control in live.items():
        if control.kind not in model.limits.maps:
            raise UserError(
                f"controls.{name}.kind: model {model.name} was not trained on maps of kind {control.kind}; on "
                f"{', '.join(model.limits.maps)}",
                fix=_fitting(model),
            )
        for key in _unread(control, reads):
            read = f"; it reads {' and '.join(reads)}" if reads else ": the map counts as it was trained"
            raise UserError(
                f"controls.{name}.{key}: renderer {renderer} does not read it{read}",
                fix=f"leave controls.{name}.{key} out, or renderer=animatediff",
            )


def _fitting(model: Animator) -> str:
    known = {"openpose": "control=[pose]", "depth": "control=[depth]", "lineart": "control=[lineart]"}
    return " or ".join(fix for kind, fix in known.items() if kind in model.limits.maps) or "another control"


def _unread(control: DanceControl, reads: Collection[str]) -> Iterator[str]:
    """Settings of a control that are not at their default and do nothing here."""
    usual = ControlSettings(kind=control.kind)
    for name in ControlSettings.model_fields:
        if name not in ("kind", *reads) and getattr(control, name) != getattr(usual, name):
            yield name
    if control.mask_file is not None:
        yield "mask_file"


def check_frames(width: int, height: int, fps: float, model: Animator) -> None:
    """Whether the family makes frames of that size and rate.

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
