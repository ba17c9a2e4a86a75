"""What is asked of an animator, held against its limits (conf/model/) before any model loads.

`snap`: ``error`` refuses what does not fit, and names what would; ``nearest`` takes that, and says so.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from reel.errors import UserError
from reel.models.animator import Animator
from reel.models.family import Size
from tasks.animate.catalogue import RECIPES
from tasks.animate.parts import scheduler_class
from tasks.animate.recipe import READ
from tasks.animate.settings import Key, Sampling

log = logging.getLogger(__name__)
Snap = Literal["error", "nearest"]


def frames(asked: int, model: Animator, snap: Snap, extra: int = 0) -> int:
    """The length of the film.

    Args:
        extra: frames that are made behind it and cut off; what is taken as nearest leaves room for them.

    Raises:
        UserError: a length that the family does not make.
    """
    rule = model.limits.frames
    if rule.fits(asked):
        return asked
    room = rule.model_copy(update={"most": max(rule.most - extra, rule.least)})
    near = room.nearest(asked)
    if snap == "nearest":
        log.warning("frames: %d instead of %d (model %s makes %s)", near, asked, model.name, rule)
        return near
    raise UserError(
        f"frames: model {model.name} makes {rule} frames, got {asked}", fix=f"frames={near}, or snap=nearest"
    )


def side(name: str, asked: int, model: Animator, snap: Snap, unit: int) -> int:
    """A side of the frame, px.

    Args:
        unit: what it must be a multiple of.

    Raises:
        UserError: a side that the family does not make.
    """
    least = math.ceil(model.limits.least_side / unit) * unit
    near = max(least, round(asked / unit) * unit)
    if near == asked:
        return asked
    if snap == "nearest":
        log.warning("%s: %d instead of %d (model %s needs multiples of %d)", name, near, asked, model.name, unit)
        return near
    raise UserError(
        f"{name}: sides must be multiples of {unit} px and {least} at least for model {model.name}, got {asked}",
        fix=f"{name}={near}, or snap=nearest",
    )


def size(width: int, height: int, model: Animator) -> None:
    """Raises: UserError: more pixels than the family makes, or another size than those that it makes."""
    only = model.limits.only()
    if only:
        _one_of(width, height, only, model)
    most = model.limits.most_pixels
    if width * height > most:
        factor = math.sqrt(most / (width * height))
        unit = model.multiple_of
        smaller = "x".join(str(int(one * factor) // unit * unit) for one in (width, height))
        raise UserError(
            f"width, height: {width}x{height} are more pixels than model {model.name} makes ({most:,})",
            fix=f"{smaller}, for instance",
        )


def _one_of(width: int, height: int, only: Sequence[Size], model: Animator) -> None:
    if any((one.width, one.height) == (width, height) for one in only):
        return
    near = min(only, key=lambda one: (abs(math.log(one.width * height / (one.height * width))), -one.width))
    raise UserError(
        f"width, height: model {model.name} makes {width}x{height} into another size; it makes "
        + (
            f"{near.width}x{near.height} alone"
            if len(only) == 1
            else f"{len(only)} sizes (rotoscope models {model.name})"
        ),
        fix=f"width={near.width} height={near.height}",
    )


def rate(fps: float, model: Animator) -> None:
    """Raises: UserError: a frame rate that the family does not make."""
    limits = model.limits
    low, high = limits.least_fps, limits.most_fps
    whole = not limits.whole_fps or float(fps).is_integer()
    if low <= fps <= high and whole:
        return
    near = min(max(round(fps), low), high)
    fix = f"fps={near:g}" + ("; finish=[interpolate] makes more of them" if fps > high else "")
    raise UserError(f"fps: model {model.name} makes {limits.rates()} frames a second, got {fps:g}", fix=fix)


def rendered(length: int, extra: int, model: Animator) -> int:
    """Frames that are made: the film's, and those behind it that are cut off.

    Raises:
        UserError: more than the family makes, or a number that its frames rule does not allow.
    """
    rule = model.limits.frames
    if extra % rule.step:
        raise UserError(
            f"animate.extra_frames: model {model.name} makes multiples of {rule.step} more, got {extra}",
            fix=f"animate.extra_frames={round(extra / rule.step) * rule.step}",
        )
    if length + extra > rule.most:
        raise UserError(
            f"frames: {length} and {extra} that are made to be cut off are more than the {rule.most} that model "
            f"{model.name} makes",
            fix=f"frames={rule.nearest(max(rule.most - extra, rule.least))}, or animate.extra_frames=0 "
            "(the end may flash then)",
        )
    return length + extra


def keys(found: Sequence[tuple[str, Key]], length: int, model: Animator, snap: Snap, extra: int = 0) -> list[Key]:
    """Where the pictures stand, in order.

    Args:
        found: the setting that names each, and where it is to stand.
        length: frames of the film.
        extra: those that are made behind it and cut off.

    Raises:
        UserError: past the end, two at one frame, more than the family takes, or at a frame where it takes none.
    """
    limits = model.limits
    if not found:
        raise UserError("picture: there is none", fix="picture=key.png: what is to come to life")
    if len(found) > limits.most_pictures:
        raise UserError(f"pictures: model {model.name} takes {limits.most_pictures} at most, got {len(found)}")
    if len(found) < limits.least_pictures:
        raise UserError(
            f"pictures: model {model.name} needs the first and the last frame, got {len(found)} picture",
            fix="picture=a.png last=b.png",
        )
    taken: dict[int, str] = {}
    placed = []
    for name, asked in found:
        if asked.at >= length:
            raise UserError(
                f"{name}: frame {asked.at} is past the end: {length} frames, counted from 0",
                fix=f"at={length - 1}, or at=last",
            )
        _allowed(name, asked.at, length, model)
        key = _on_grid(name, asked, length, model, snap)
        if key.at in taken:
            raise UserError(f"{name}: frame {key.at} has a picture already ({taken[key.at]})")
        taken[key.at] = name
        if key.at and key.at + limits.late >= length + extra:
            raise UserError(
                f"{name}: model {model.name} puts a picture at frame {key.at} {limits.late} frame later, and makes "
                "none there",
                fix="animate.extra_frames=8: they are made behind the end, and cut off",
            )
        placed.append(key)
        if key.strength != 1 and "strength" not in RECIPES[model.architecture].reads:
            raise UserError(
                f"{name}: model {model.name} holds a frame to its picture as it is, and knows no strength, got "
                f"{key.strength:g}",
                fix="leave the strength out",
            )
    if limits.pictures == "first_last" and extra and length - 1 in taken:
        raise UserError(
            f"animate.extra_frames: model {model.name} puts the last picture behind all frames that it makes, and "
            f"{extra} of them are cut off",
            fix="animate.extra_frames=0",
        )
    if limits.pictures != "any" and 0 not in taken:
        raise UserError(f"picture: model {model.name} needs one at the first frame", fix="picture=key.png")
    return placed


def _allowed(name: str, at: int, length: int, model: Animator) -> None:
    ends = {"first": (0,), "first_last": (0, length - 1)}.get(model.limits.pictures)
    if ends is not None and at not in ends:
        where = "the first frame" if len(ends) == 1 else "the first and the last frame"
        raise UserError(f"{name}: model {model.name} takes pictures at {where} alone, got frame {at}")


def _on_grid(name: str, key: Key, length: int, model: Animator, snap: Snap) -> Key:
    grid = model.limits.grid
    if key.at % grid == 0:
        return key
    near = min(round(key.at / grid) * grid, (length - 1) // grid * grid)
    if snap == "nearest":
        log.warning("%s: at frame %d instead of %d (multiples of %d)", name, near, key.at, grid)
        return key.model_copy(update={"at": near})
    raise UserError(
        f"{name}: model {model.name} takes pictures at multiples of {grid}, got frame {key.at}",
        fix=f"at={near}, or snap=nearest",
    )


def prompt(text: str, model: Animator) -> None:
    """Raises: UserError: no prompt where the family needs one, or one where it reads none."""
    needs = model.limits.prompt
    words = len(text.split())
    if needs == "needed" and not words:
        raise UserError(
            f"prompt: model {model.name} needs one",
            fix="say what is in the picture and how it moves, in full sentences",
        )
    if needs == "none" and words:
        raise UserError(f"prompt: model {model.name} reads none", fix="prompt=''")
    if 0 < words < model.advice.words:
        log.warning(
            "prompt: %d words; model %s was trained with long ones: describe picture, motion and camera",
            words,
            model.name,
        )


def sampling(cfg: Sampling, model: Animator) -> None:
    """Raises: UserError: two passes of a family that has one, settings or arguments that its pipeline does not read."""
    recipe = RECIPES[model.architecture]
    _read(cfg, recipe.reads, model)
    if cfg.two_pass:
        _refining(cfg, model)
    for key, given in (("call", model.call), ("refine_call", model.refine_call)):
        unknown = sorted(set(given) - recipe.call)
        if unknown:
            known = ", ".join(sorted(recipe.call)) or "none"
            raise UserError(f"model.{key}: {', '.join(unknown)} is not set there; known for {recipe.name}: {known}")


def _refining(cfg: Sampling, model: Animator) -> None:
    """Refuse a second pass that the family does not have, or that its pipeline would begin elsewhere than asked."""
    if not model.refines:
        raise UserError(
            f"animate.two_pass: model {model.name} names no latent upsampler (model.parts.latent_upsampler)",
            fix="animate.two_pass=false",
        )
    if RECIPES[model.architecture].refines_from == "strength":
        if cfg.refine_strength == 1:
            raise UserError(
                "animate.refine_strength: at 1 the second pass begins at noise alone, and nothing of the first is left",
                fix="below 1, such as animate.refine_strength=0.4, or one pass: animate.two_pass=false",
            )
        return
    if cfg.refine_timesteps is None:
        raise UserError(
            f"animate.refine_timesteps: the second pass of model {model.name} begins at the noise of the first of its "
            "time steps, and without a list would begin at noise alone",
            fix=f"animate.refine_timesteps={told(model.advice.refine_timesteps or [909.375, 725, 421.875])}",
        )
    if cfg.refine_strength != 1:
        raise UserError(
            f"animate.refine_strength: model {model.name} does not read it: the first of animate.refine_timesteps says "
            "how far its second pass goes",
            fix="animate.refine_strength=1",
        )


def told(timesteps: Sequence[float]) -> str:
    """A list of time steps as one types it."""
    return f"[{','.join(f'{step:g}' for step in timesteps)}]"


def _read(cfg: Sampling, read: Collection[str], model: Animator) -> None:
    """Refuse a setting that would have no effect."""
    for name in sorted((READ - set(read)) & Sampling.model_fields.keys()):
        none = Sampling.model_fields[name].get_default(call_default_factory=True)
        if getattr(cfg, name) != none:
            told = str(none).lower() if isinstance(none, bool) else "null" if none is None else f"{none}"
            raise UserError(f"animate.{name}: model {model.name} does not read it", fix=f"animate.{name}={told}")


def scheduler(
    settings: Mapping[str, Any], timesteps: Sequence[float] | None, model: Animator, *, refining: bool = False
) -> None:
    """Hold a list of time steps against the scheduler that would be given them.

    Args:
        settings: of scheduler_config.json, with the family's changes.
        refining: whether they are a second pass's.

    Raises:
        UserError: a scheduler that shifts them: its noise would be another than the list says; or one of another class.
    """
    scheduler_class(RECIPES[model.architecture], settings)
    shifts = {
        "use_dynamic_shifting": bool(settings.get("use_dynamic_shifting")),
        "shift": settings.get("shift", 1.0) != 1.0,
        "shift_terminal": settings.get("shift_terminal") is not None,
    }
    wrong = [name for name, on in shifts.items() if on]
    if timesteps and wrong and not RECIPES[model.architecture].sampler:  # one of its own takes them as they are
        own, recipe = "refine_" if refining else "", RECIPES[model.architecture]
        list_only = refining and recipe.refines_from == "timesteps"  # it begins where its list does
        without = "" if list_only else f", or animate.{own}timesteps=null"
        raise UserError(
            f"animate.{own}timesteps: the scheduler of model {model.name} would shift them ({', '.join(wrong)}), and "
            "then the noise is not what the list says",
            fix=f"model.{own}scheduler_config={{use_dynamic_shifting: false, shift: 1.0, shift_terminal: null}}"
            + without,
        )
