"""Timeframe tracks: pictures on frame ranges, as the three back-ends that take them want them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from reel.errors import UserError
from reel.schedule.compile import PictureInterval, compile_pictures
from reel.schedule.model import Schedule

LTX_STEP = 8
"""LTX-Video packs 8 frames into one latent frame: lengths are 8k + 1, and latents begin at multiples of 8."""


@dataclass(frozen=True)
class TileTrack:
    """A ControlNet tile picture for every frame, with at most two at a time."""

    pictures: tuple[str, ...]
    a: np.ndarray
    """(N,) int: index into ``pictures``, -1 for none."""
    b: np.ndarray
    """(N,) int: the second picture of a transition, -1 for none."""
    strength_a: np.ndarray
    """(N,) float: conditioning scale of ``a``; 0 where there is none."""
    strength_b: np.ndarray
    """(N,) float: conditioning scale of ``b``."""


@dataclass(frozen=True)
class SparseCondition:
    """One picture of SparseCtrl at one frame."""

    frame: int
    picture: str
    strength: float


@dataclass(frozen=True)
class LtxPlan:
    """Conditions for LTX-Video, and what had to move."""

    frames: int
    """Length to render: the nearest 8k + 1 that is not shorter."""
    conditions: tuple[SparseCondition, ...]
    moved: tuple[str, ...]
    """One plain sentence for each thing that is not where the schedule has it."""


def tile_track(schedule: Schedule, frames: int, fps: float = 12.0, seed: int = 0) -> TileTrack:
    """Pictures and strengths per frame for a ControlNet that takes a picture for every frame.

    Raises:
        UserError: no pictures, no key in the clip, or a strength undefined or negative.
    """
    return tile_of(_intervals(schedule, frames, fps, seed), frames)


def tile_of(intervals: Sequence[PictureInterval], frames: int) -> TileTrack:
    """The same of intervals that are there already."""
    pictures = tuple(dict.fromkeys(i.picture for i in intervals))
    number = {picture: n for n, picture in enumerate(pictures)}
    a, b = np.full(frames, -1), np.full(frames, -1)
    strength_a, strength_b = np.zeros(frames), np.zeros(frames)
    for interval in intervals:
        at = np.arange(interval.start, interval.stop)
        on = interval.strength > 0
        first, second = at[on & (a[at] < 0)], at[on & (a[at] >= 0)]
        a[first], strength_a[first] = number[interval.picture], interval.strength[first - interval.start]
        b[second], strength_b[second] = number[interval.picture], interval.strength[second - interval.start]
    return TileTrack(pictures, a, b, strength_a, strength_b)


def sparse_conditions(
    schedule: Schedule, frames: int, fps: float = 12.0, seed: int = 0, every: int | None = None
) -> tuple[SparseCondition, ...]:
    """Pictures for SparseCtrl: one at the strongest first frame of each range.

    Args:
        every: also one at each further ``every`` frames of a range, to pin long ranges down.

    Raises:
        UserError: as `tile_track`.
    """
    return tuple(sorted(sparse_of(_intervals(schedule, frames, fps, seed), every), key=lambda c: c.frame))


def sparse_of(intervals: Sequence[PictureInterval], every: int | None = None) -> list[SparseCondition]:
    """The same of intervals that are there already, range after range."""
    result: list[SparseCondition] = []
    for interval in intervals:
        peak = int(np.argmax(interval.strength >= interval.strength.max() - 1e-9))
        offsets = range(peak, len(interval.strength), every or len(interval.strength))
        result += [
            SparseCondition(interval.start + o, interval.picture, float(interval.strength[o]))
            for o in offsets
            if interval.strength[o] > 0
        ]
    return result


def ltx_conditions(schedule: Schedule, frames: int, fps: float = 12.0, seed: int = 0) -> LtxPlan:
    """Pictures for LTX-Video, moved to the nearest multiple of 8, where a latent begins.

    Raises:
        UserError: as `tile_track`, or two pictures land on one place.
    """
    length = -(-(frames - 1) // LTX_STEP) * LTX_STEP + 1
    moved = [] if length == frames else [f"the clip has {length} frames instead of {frames} (LTX needs 8k + 1)"]
    taken: dict[int, SparseCondition] = {}
    for condition in sparse_conditions(schedule, frames, fps, seed):
        at = min(int(np.floor(condition.frame / LTX_STEP + 0.5)) * LTX_STEP, length - 1)
        if at in taken:
            raise UserError(
                f"'{taken[at].picture}' and '{condition.picture}' both land on frame {at}: "
                "LTX is given pictures at multiples of 8",
                fix="start the two ranges at least 8 frames apart",
            )
        if at != condition.frame:
            moved.append(f"'{condition.picture}' is at frame {at} instead of {condition.frame}")
        taken[at] = SparseCondition(at, condition.picture, min(condition.strength, 1.0))
        if condition.strength > 1:
            moved.append(f"'{condition.picture}' has strength 1 instead of {condition.strength:g}, the most LTX takes")
    return LtxPlan(length, tuple(taken[at] for at in sorted(taken)), tuple(moved))


BACK_ENDS = ("tile", "sparsectrl", "ltx")


def described(schedule: Schedule, back_end: str, frames: int, fps: float = 12.0, seed: int = 0) -> str:
    """What a back-end of `BACK_ENDS` gets, as text: one row for each picture, or stretch of frames with equal ones.

    Raises:
        UserError: as `tile_track` and `ltx_conditions`.
    """
    if back_end == "tile":
        return "\n".join(["  frame  ControlNet tile", *_tile_rows(tile_track(schedule, frames, fps, seed))])
    if back_end == "sparsectrl":
        conditions = sparse_conditions(schedule, frames, fps, seed)
        return "\n".join(["  frame  SparseCtrl", *map(_condition_row, conditions)])
    plan = ltx_conditions(schedule, frames, fps, seed)
    head = f"  frame  LTX-Video, {plan.frames} frames"
    return "\n".join([head, *map(_condition_row, plan.conditions), *(f"moved: {sentence}" for sentence in plan.moved)])


def _condition_row(condition: SparseCondition) -> str:
    return f"{condition.frame:>7}  {condition.picture} {condition.strength:.2f}"


def _tile_rows(tile: TileTrack) -> Iterator[str]:
    names = ["", *tile.pictures]
    shown = [
        " + ".join(f"{names[n + 1]} {strength:.2f}" for n, strength in ((a, one), (b, two)) if n >= 0)
        for a, b, one, two in zip(tile.a, tile.b, tile.strength_a, tile.strength_b, strict=True)
    ]
    first = 0
    for content, same in itertools.groupby(shown):
        last = first + len(list(same)) - 1
        yield f"{first if first == last else f'{first}-{last}':>7}  {content}"
        first = last + 1


def _intervals(schedule: Schedule, frames: int, fps: float, seed: int) -> list[PictureInterval]:
    if not schedule.has_pictures:
        raise UserError("this schedule has no pictures", fix="kind: track, with 'picture' in its keys")
    return compile_pictures(schedule, frames, fps, seed)
