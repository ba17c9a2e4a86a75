"""What an `animate` is held to: which files, at which frames, at which size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.animate.settings import Animate
from flows.flow import Source
from flows.render.schedules import Compiled
from reel.errors import UserError
from tasks.animate import checks, pictures
from tasks.animate.settings import Key
from tasks.extract import Extract
from tasks.media import geometry
from tasks.media.source import source_digest
from tasks.pick import Pick

if TYPE_CHECKING:
    from reel.schedule.model import Schedule
    from reel.schedule.track import SparseCondition


@dataclass(frozen=True)
class Held:
    """A file that the film is held to.

    Attributes:
        source: the file and its digest.
        key: where the film shows it, and how firmly.
        setting: that names it, for messages.
        extract: how its frames are taken at the film's size.
        small: the same for a first pass at half the size; None: there is one pass.
        pick: which of its frames; None: all, it is a picture.
    """

    source: Source
    key: Key
    setting: str
    extract: Extract
    small: Extract | None = None
    pick: Pick | None = None


@dataclass(frozen=True)
class Named:
    """A picture as the settings name it; ``clip``: a film, of which the last frames count."""

    setting: str
    path: Path
    key: Key
    clip: bool = False


def named(cfg: Animate, compiled: Compiled, length: int) -> list[Named]:
    """Everything that the settings name, in the order of the frames.

    Args:
        length: frames of the film.

    Raises:
        UserError: a track's picture that lies nowhere near.
    """
    found = []
    if cfg.picture is not None:
        found.append(Named("picture", cfg.picture, Key(at=0, strength=cfg.strength)))
    if cfg.extend is not None:
        found.append(Named("extend", cfg.extend, Key(at=0, strength=1.0), clip=True))
    for index, one in enumerate(cfg.pictures):
        at = length - 1 if one.at == "last" else one.at
        found.append(Named(f"pictures.{index}", one.picture, Key(at=at, strength=one.strength)))
    if cfg.last is not None:
        found.append(Named("last", cfg.last, Key(at=length - 1, strength=cfg.last_strength)))
    if cfg.loop and cfg.picture is not None:
        found.append(Named("loop", cfg.picture, Key(at=length - 1, strength=cfg.strength)))
    track = compiled.tracks.get("track")
    if track is not None:
        for place in _conditions(track, length, cfg):
            if place.strength > 1:
                raise UserError(f"track: {place.picture} has strength {place.strength:g}, 1 is the most")
            found.append(Named("track", Path(place.picture), Key(at=place.frame, strength=place.strength)))
    return sorted(found, key=lambda each: each.key.at)


def _conditions(track: Schedule, length: int, cfg: Animate) -> Sequence[SparseCondition]:
    from reel.schedule.track import sparse_conditions  # numpy, where there is a track

    try:
        return sparse_conditions(track, length, float(cfg.fps), cfg.seed)
    except UserError as error:
        raise UserError(f"track: {error.message}", fix=error.fix) from None


def held(cfg: Animate, wanted: Sequence[Named], length: int) -> tuple[list[Held], int, int]:
    """The files looked at and placed, and the film's width and height, px.

    Raises:
        UserError: a file or a place that does not work; see `tasks.animate.pictures` and `tasks.animate.checks`.
    """
    named = [(one.setting, one.key) for one in wanted]
    keys = checks.keys(named, length, cfg.model, cfg.snap, cfg.animate.extra_frames)
    stills = {one.path: pictures.look(one.path, one.setting, background=cfg.background is not None)
              for one in wanted if not one.clip}  # fmt: skip
    first = wanted[0]
    width, height = _size(cfg, stills.get(first.path) or _clip_shape(cfg, first))
    checks.size(width, height, cfg.model)
    found = []
    for one, key in zip(wanted, keys, strict=True):
        if not one.clip:
            pictures.check_fit(stills[one.path], width, height, cfg.fit, one.setting)
        extract = _extract(cfg, width, height, clip=one.clip)
        small = _extract(cfg, width // 2, height // 2, clip=one.clip) if cfg.animate.two_pass else None
        pick = _last_frames(cfg, one, extract) if one.clip else None
        found.append(Held(Source(one.path, source_digest(one.path)), key, one.setting, extract, small, pick))
    _refuse_inside_clip(found)
    return found, width, height


def _refuse_inside_clip(found: Sequence[Held]) -> None:
    """Refuse a picture at a frame that the clip shows which the film goes on from."""
    shown = max((len(one.pick.frames) for one in found if one.pick is not None), default=0)
    for one in found:
        if one.pick is None and one.key.at < shown:
            raise UserError(
                f"{one.setting}: frame {one.key.at} is the clip's, which the film shows on frames 0 to {shown - 1}",
                fix=f"a later frame, {shown} at least, or fewer extend_frames",
            )


def unit(cfg: Animate) -> int:
    """What the film's sides are multiples of, px: twice the model's where a first pass is half as large."""
    return cfg.model.multiple_of * (2 if cfg.animate.two_pass else 1)


def _size(cfg: Animate, shown: pictures.Still) -> tuple[int, int]:
    """The film's size: as it is asked for, or of the picture's shape."""
    if cfg.width is None and cfg.height is None:
        known = cfg.model.limits.only() or cfg.model.advice.sizes
        sizes = [one for one in known if one.width % unit(cfg) == one.height % unit(cfg) == 0]
        if not sizes:
            raise UserError(f"width, height: model {cfg.model.name} advises no size", fix="width=512 height=512")
        best = pictures.bucket(shown, sizes)
        return best.width, best.height
    sides = {"width": cfg.width, "height": cfg.height}
    asked = {n: None if s is None else checks.side(n, s, cfg.model, cfg.snap, unit(cfg)) for n, s in sides.items()}
    plan = geometry.plan(
        pictures.shape_of(shown), short_side=None, **asked, fit=cfg.fit, multiple_of=unit(cfg)
    )  # a side that is not given follows
    return plan.width, plan.height


def _extract(cfg: Animate, width: int, height: int, *, clip: bool) -> Extract:
    return Extract(
        width=width,
        height=height,
        fit=cfg.fit,
        multiple_of=cfg.model.multiple_of,
        background=cfg.background or "#000000",
        fps=str(cfg.fps) if clip else "source",
    )


def _clip_shape(cfg: Animate, one: Named) -> pictures.Still:
    """The shape of a clip, as that of a picture."""
    from tasks.extract import prepare

    try:
        _, job = prepare(Extract(fps=str(cfg.fps), multiple_of=1), one.path)
    except UserError as error:
        fix = None if "extract." in (error.fix or "") else error.fix  # of settings that are not here
        raise UserError(f"{one.setting}: {error.message.removeprefix('clip: ')}", fix=fix) from None
    return pictures.Still(one.path, job.plan.width, job.plan.height)


def _last_frames(cfg: Animate, one: Named, extract: Extract) -> Pick:
    """The clip's last frames at the film's rate.

    Raises:
        UserError: a number that the model does not take, or a shorter clip.
    """
    from tasks.extract import prepare

    if not cfg.model.limits.clips:
        raise UserError(f"extend: model {cfg.model.name} takes pictures alone", fix="picture=last_frame.png")
    rule, count = cfg.model.limits.frames, cfg.extend_frames
    near = max(rule.rest, round((count - rule.rest) / rule.step) * rule.step + rule.rest)
    if near != count and cfg.snap == "error":
        raise UserError(
            f"extend_frames: model {cfg.model.name} takes {rule.step}k+{rule.rest} frames of a clip, got {count}",
            fix=f"extend_frames={near}, or snap=nearest",
        )
    _, job = prepare(extract, one.path)
    there = len(job.expected)
    if there < near:
        raise UserError(
            f"extend: {one.path.name} has {there} frames at {cfg.fps:g} a second, {near} are needed",
            fix="a longer clip",
        )
    if near >= cfg.frames:
        raise UserError(f"extend_frames: {near} of {cfg.frames} frames leave nothing to be made", fix="more frames")
    return Pick(frames=list(range(there - near, there)))
