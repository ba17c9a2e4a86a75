"""Resolves a schedule against a clip: which key each frame belongs to, which it moves to, and how far it has come.

Everything that depends on the number of frames happens here, once, in numpy; prompts, values and pictures are three
views of the same plan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reel.errors import UserError
from reel.schedule.curves import apply_curve
from reel.schedule.model import Key, Schedule, Then


@dataclass(frozen=True)
class Plan:
    """A schedule on ``frames`` frames. K keys that count, in order of time; N frames."""

    schedule: Schedule
    frames: int
    fps: float
    seed: int
    keys: tuple[Key, ...]
    start: np.ndarray
    """(K,) int: first frame of each key; below 0 or beyond N - 1 for keys outside the clip."""
    stop: np.ndarray
    """(K,) int: first frame after the key's range (start + 1 for a single place), at most the next key's start."""
    held: np.ndarray
    """(K,) int: last frame that shows the key alone, before its transition begins."""
    at: np.ndarray
    """(N,) int: the frame on the keys' time line; in a loop, frames before the first key stand after the last one."""
    index: np.ndarray
    """(N,) int: the key that each frame belongs to."""
    target: np.ndarray
    """(N,) int: the key it moves to; equal to ``index`` where nothing moves."""
    weight: np.ndarray
    """(N,) float in 0..1: share of ``target``."""

    def env(self, frames: np.ndarray) -> dict[str, np.ndarray | float]:
        """Variables of expressions at the given frames."""
        t = np.asarray(frames, float)
        env: dict[str, np.ndarray | float] = {
            "t": t, "max_f": float(self.frames - 1), "s": float(self.seed), "fps": self.fps, "seconds": t / self.fps,
        }  # fmt: skip
        for name, formula in self.schedule.variables:
            env[name] = formula.evaluate(env)
        return env


def make_plan(schedule: Schedule, frames: int, fps: float = 12.0, seed: int = 0) -> Plan:
    """Lay a schedule over a clip.

    Args:
        frames: number of frames N, at least 1.
        fps: frames per second, for keys in seconds.

    Raises:
        UserError: no key lies inside the clip, or a formula is undefined.
    """
    if frames < 1 or not 0 < fps < 1e6:
        raise UserError(f"a schedule needs at least 1 frame and a frame rate above 0, got {frames} at {fps:g} fps")
    keys, start, stop = _ordered(schedule, frames, fps, seed)
    if not keys:
        raise UserError(f"no key of the schedule lies before frame {frames}")
    follower = np.append(start[1:], frames + start[0] if schedule.loop else np.iinfo(np.int64).max // 2)
    stop = np.minimum(stop, follower)
    held = np.maximum(stop - 1, start)
    if schedule.hold_ratio is not None:
        until = np.minimum(follower, frames)
        held = start + np.rint((until - start) * schedule.hold_ratio).astype(np.int64)
        held = np.maximum(np.where(held == until, held - 1, held), start)
    held = _shorten(schedule, keys, start, held, follower, frames, fps)

    at = np.arange(frames)
    index = np.searchsorted(start, at, side="right") - 1
    before = index < 0
    at = np.where(before & schedule.loop, at + frames, at)
    index = np.where(before, len(keys) - 1 if schedule.loop else 0, index)
    last = len(keys) - 1
    target = np.where(index < last, index + 1, 0 if schedule.loop else last)
    weight = _weights(schedule, keys, at, index, held, follower)
    target = np.where(weight > 0, target, index)
    return Plan(schedule, frames, fps, seed, keys, start, stop, held, at, index, target, weight)


def _ordered(schedule: Schedule, frames: int, fps: float, seed: int) -> tuple[tuple[Key, ...], np.ndarray, np.ndarray]:
    """Keys in order of time, one for each starting frame (the last written wins), with start and stop."""
    placed: dict[int, tuple[Key, int]] = {}
    for key in schedule.keys:
        try:
            first = key.at.resolve(frames, fps, seed)
            after = key.until.resolve(frames, fps, seed) if key.until is not None else first + 1
        except ValueError as error:
            raise UserError(str(error)) from None
        if schedule.beyond == "drop" and first >= frames:
            continue
        placed[first] = (key, max(after, first + 1))
    order = sorted(placed)
    start = np.array(order, dtype=np.int64)
    stop = np.array([placed[first][1] for first in order], dtype=np.int64)
    return tuple(placed[first][0] for first in order), start, stop


def _shorten(
    schedule: Schedule,
    keys: tuple[Key, ...],
    start: np.ndarray,
    held: np.ndarray,
    follower: np.ndarray,
    frames: int,
    fps: float,
) -> np.ndarray:
    """Transitions of a fixed length begin that long before the next key."""
    for i, key in enumerate(keys):
        over = schedule.then_of(key).over
        if over is not None and follower[i] <= 2 * frames + abs(int(start[0])):
            held[i] = max(int(start[i]), int(follower[i]) - max(1, over.resolve(frames, fps)))
    return held


def _weights(
    schedule: Schedule, keys: tuple[Key, ...], at: np.ndarray, index: np.ndarray, held: np.ndarray, follower: np.ndarray
) -> np.ndarray:
    """(N,) share of the next key at each frame."""
    weight = np.zeros(len(at))
    kinds: dict[Then, int] = {}
    kind_of = np.array([kinds.setdefault(schedule.then_of(key), len(kinds)) for key in keys])
    length = np.maximum(follower - held, 1)
    moving = (at > held[index]) & (at >= 0)
    for then, kind in kinds.items():
        if then.mode == "hold":
            continue
        chosen = np.flatnonzero(moving & (kind_of[index] == kind) & (follower[index] < np.iinfo(np.int64).max // 4))
        steps = length[index[chosen]]
        weight[chosen] = apply_curve(then.curve, (at[chosen] - held[index[chosen]]) / steps, steps)
    return weight
