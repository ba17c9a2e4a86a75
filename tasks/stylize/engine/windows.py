"""Context windows: which frames a motion module sees together, and how overlapping results are weighed.

Names and meaning are those of AnimateDiff-Evolved's context options. The uniform schedules move from step to step by
an ordered halving (0, 1/2, 1/4, 3/4, ... of the clip), so that no frame is always at a window's border.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reel.errors import UserError

Schedule = Literal["standard-static", "standard-uniform", "looped-uniform"]
Fuse = Literal["flat", "pyramid", "overlap-linear"]


@dataclass(frozen=True)
class Window:
    """Frames that are seen together.

    Attributes:
        frames: (L,) int, distinct frame numbers in the order in which the motion module sees them.
        weights: (L,) float64, this window's share of each of its frames; the shares of a frame sum to one.
    """

    frames: np.ndarray
    weights: np.ndarray

    def is_whole(self, count: int) -> bool:
        """All frames in their natural order: no gathering and no fusing is needed."""
        return len(self.frames) == count and bool((self.frames == np.arange(count)).all())


@dataclass(frozen=True)
class WindowPlan:
    """How a clip is cut into windows.

    Attributes:
        context_length: frames in a window.
        context_overlap: frames that neighbours share; below ``context_length``.
        context_stride: 1: neighbouring frames only; k: also windows over every 2nd, 4th, ... 2**(k-1)th frame.
        schedule: ``standard-static`` always gives the same windows, ``standard-uniform`` moves them from step to step,
            ``looped-uniform`` lets them run over the end of the clip into its beginning.
        fuse: ``flat`` (mean), ``pyramid`` (a window's middle counts most), ``overlap-linear`` (cross-fade).
        closed_loop: with ``looped-uniform``, windows over the joint of end and beginning as everywhere else.
    """

    context_length: int = 16
    context_overlap: int = 4
    context_stride: int = 1
    schedule: Schedule = "standard-static"
    fuse: Fuse = "pyramid"
    closed_loop: bool = False

    def __post_init__(self) -> None:
        if self.context_length < 1 or self.context_stride < 1:
            raise UserError("context_length and context_stride must be 1 or more")
        if not 0 <= self.context_overlap < self.context_length:
            raise UserError(
                f"context_overlap ({self.context_overlap}) must be 0 or more and below "
                f"context_length ({self.context_length})",
                fix=f"stylize.windows.context_overlap={self.context_length // 4}",
            )
        if self.closed_loop and self.schedule != "looped-uniform":
            raise UserError(
                f"closed_loop needs windows that run over the clip's end; {self.schedule} has none",
                fix="stylize.windows.context_schedule=looped-uniform",
            )


def make_windows(count: int, plan: WindowPlan, step: int = 0) -> list[Window]:
    """The windows of one denoising step.

    Args:
        count: frames of the clip.
        step: number of the denoising step, from 0; the uniform schedules move with it.

    Returns:
        windows that together cover every frame; each frame's weights sum to one.
    """
    looped = plan.schedule == "looped-uniform"
    if plan.closed_loop and count < plan.context_length:
        raise UserError(
            f"a closed loop of {count} frames is shorter than context_length ({plan.context_length})",
            fix=f"stylize.windows.context_length={count}",
        )
    if count < plan.context_length or (count == plan.context_length and not looped):
        frames = [np.arange(count)]
    elif plan.schedule == "standard-static":
        frames = _static(count, plan)
    elif looped:
        frames = [window for window in _uniform(count, plan, step) if len(set(window.tolist())) == len(window)]
    else:
        frames = _straightened(_uniform(count, plan, step), count)
    return _weighed(frames, count, plan)


def ordered_halving(step: int) -> float:
    """0, 1/2, 1/4, 3/4, 1/8, ...: the step's bits mirrored about the binary point.

    >>> [ordered_halving(i) for i in range(4)]
    [0.0, 0.5, 0.25, 0.75]
    """
    return int(f"{step:064b}"[::-1], 2) / 2**64


def _static(count: int, plan: WindowPlan) -> list[np.ndarray]:
    """Windows at a fixed distance; the last one is moved back so that it ends with the clip."""
    length, hop = plan.context_length, plan.context_length - plan.context_overlap
    starts = [*range(0, count - length, hop), count - length]
    return [np.arange(start, start + length) for start in starts]


def _uniform(count: int, plan: WindowPlan, step: int) -> list[np.ndarray]:
    """Windows around the circle of frames, moved by the step, at every stride that fits the clip."""
    length, overlap = plan.context_length, plan.context_overlap
    strides = min(plan.context_stride, math.ceil(math.log2(count / length)) + 1)
    shift = round(count * ordered_halving(step))
    windows = []
    for stride in (1 << k for k in range(strides)):
        first = int(ordered_halving(step) * stride) + shift
        end = count + shift - (0 if plan.closed_loop else overlap)
        starts = range(first, end, length * stride - overlap)
        windows += [np.arange(start, start + length * stride, stride) % count for start in starts]
    return windows


def _straightened(windows: list[np.ndarray], count: int) -> list[np.ndarray]:
    """Windows that run over the clip's end, moved back so that they end with it.

    Where one went over, its first frame in the new round may be seen by no window any more: then a window of
    neighbouring frames begins there. Windows too wide for the clip are left out.
    """
    straight: list[np.ndarray] = []
    for place, window in enumerate(windows):
        falls = np.flatnonzero(np.diff(window) < 0)
        if len(falls) == 0:
            straight.append(window)
            continue
        stride = int(window[1] - window[0]) % count
        straight.append(count - 1 - np.arange(len(window))[::-1] * stride)
        again = int(window[falls[0] + 1])
        following = windows[place + 1] if place + 1 < len(windows) else straight[0]
        if again not in following:
            straight.append(again + np.arange(len(window)))
    unique = {tuple(w.tolist()): w for w in straight if w[0] >= 0 and w[-1] < count}
    return list(unique.values())


def _weighed(frames: list[np.ndarray], count: int, plan: WindowPlan) -> list[Window]:
    raw = [_shape(window, count, plan) for window in frames]
    total = np.zeros(count)
    for window, weights in zip(frames, raw, strict=True):
        total[window] += weights
    return [Window(window, weights / total[window]) for window, weights in zip(frames, raw, strict=True)]


def _shape(window: np.ndarray, count: int, plan: WindowPlan) -> np.ndarray:
    """(L,) positive weights of one window before they are made to sum to one."""
    length = len(window)
    position = np.arange(length)
    if plan.fuse == "pyramid":
        return np.minimum(position, length - 1 - position) + 1.0
    weights = np.ones(length)
    ramp = np.arange(1, plan.context_overlap + 1) / (plan.context_overlap + 1)
    if plan.fuse == "overlap-linear" and 0 < len(ramp) <= length:
        if plan.closed_loop or window.min() > 0:  # a loop has no end that nothing fades into
            weights[: len(ramp)] = ramp
        if plan.closed_loop or window.max() < count - 1:
            weights[-len(ramp) :] = np.minimum(weights[-len(ramp) :], ramp[::-1])
    return weights


def relative_cost(count: int, plan: WindowPlan, steps: int = 1) -> float:
    """Frames that the motion modules compute, over the clip's frames: 1 for a single window."""
    return sum(len(w.frames) for step in range(steps) for w in make_windows(count, plan, step)) / (count * steps)
