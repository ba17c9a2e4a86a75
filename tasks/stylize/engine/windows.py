"""Context windows: which frames a motion module sees together, and how overlapping results are weighed.

Names and meaning are those of AnimateDiff-Evolved's context options. The uniform schedules move from step to step by
an ordered halving (0, 1/2, 1/4, 3/4, ... of the clip), so that no frame is always at a window's border.

The frames of each window are those that AnimateDiff-Evolved (``animatediff/context.py``) gives, but for two things at
strides above 1: a window that would see a frame twice or run out of the clip is left out (AnimateDiff-Evolved keeps it,
and stops with an index error at the latter), and a frame in no window gets one (there its result is divided by a total
weight of zero).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from reel.errors import UserError

if TYPE_CHECKING:
    import numpy as np

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
        import numpy as np

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
    import numpy as np

    return _weighed([np.array(window) for window in cut(count, plan, step)], count, plan)


def cut(count: int, plan: WindowPlan, step: int = 0) -> list[Sequence[int]]:
    """The frame numbers of each of a step's windows, without weights; arguments as for `make_windows`.

    Raises:
        UserError: a closed loop of fewer frames than a window has.
    """
    looped = plan.schedule == "looped-uniform"
    if plan.closed_loop and count < plan.context_length:
        raise UserError(
            f"a closed loop of {count} frames is shorter than context_length ({plan.context_length})",
            fix=f"stylize.windows.context_length={count}",
        )
    if count < plan.context_length or (count == plan.context_length and not looped):
        return [range(count)]
    if plan.schedule == "standard-static":
        return [*_static(count, plan)]
    if looped:
        rounds = [[frame % count for frame in window] for window in _uniform(count, plan, step)]
        return [window for window in rounds if len(set(window)) == len(window)]
    straight = _straightened(_uniform(count, plan, step), count)
    return [*_completed(straight, count, plan.context_length)]


def ordered_halving(step: int) -> float:
    """0, 1/2, 1/4, 3/4, 1/8, ...: the step's bits mirrored about the binary point.

    >>> [ordered_halving(i) for i in range(4)]
    [0.0, 0.5, 0.25, 0.75]
    """
    return int(f"{step:064b}"[::-1], 2) / 2**64


def _static(count: int, plan: WindowPlan) -> list[range]:
    """Windows at a fixed distance; the last one is moved back so that it ends with the clip."""
    length, hop = plan.context_length, plan.context_length - plan.context_overlap
    starts = [*range(0, count - length, hop), count - length]
    return [range(start, start + length) for start in starts]


def _uniform(count: int, plan: WindowPlan, step: int) -> list[range]:
    """Windows around the circle of frames, moved by the step, at every stride that fits the clip.

    Frame numbers go on beyond the clip's end: frame ``count`` is frame 0 of the next round.
    """
    length, overlap = plan.context_length, plan.context_overlap
    strides = min(plan.context_stride, math.ceil(math.log2(count / length)) + 1)
    part = ordered_halving(step)
    shift = round(count * part)
    windows = []
    for stride in (1 << k for k in range(strides)):
        first = int(part * stride) + shift
        end = count + shift - (0 if plan.closed_loop else overlap)
        starts = range(first, end, length * stride - overlap)
        windows += [range(start % count, start % count + length * stride, stride) for start in starts]
    return windows


def _straightened(windows: list[range], count: int) -> list[range]:
    """Windows that run over the clip's end, moved back so that they end with it.

    Where one went over and the window that follows lacks its first frame of the new round, a window of neighbouring
    frames begins there. Windows too wide for the clip are left out.
    """
    straight: list[range] = []
    for place, window in enumerate(windows):
        over = window[-1] - (count - 1)
        if over <= 0:
            straight.append(window)
            continue
        straight.append(range(window.start - over, window.stop - over, window.step))
        again = next(frame for frame in window if frame >= count) - count
        following = windows[place + 1] if place + 1 < len(windows) else straight[0]
        if again not in {frame % count for frame in following}:
            straight.append(range(again, again + len(window)))
    return [window for window in dict.fromkeys(straight) if window[0] >= 0 and window[-1] < count]


def _completed(windows: list[range], count: int, length: int) -> list[range]:
    """Windows of neighbouring frames added until every frame is in one, from the first missing frame on.

    Frames go missing at strides above 1: the window that follows one over the end may be moved or left out as well.
    """
    missing = set(range(count)).difference(*windows)
    while missing:
        start = min(min(missing), count - length)
        windows = [*windows, range(start, start + length)]
        missing.difference_update(windows[-1])
    return windows


def _weighed(frames: list[np.ndarray], count: int, plan: WindowPlan) -> list[Window]:
    import numpy as np

    raw = [_shape(window, count, plan) for window in frames]
    total = np.zeros(count)
    for window, weights in zip(frames, raw, strict=True):
        total[window] += weights
    return [Window(window, weights / total[window]) for window, weights in zip(frames, raw, strict=True)]


def _shape(window: np.ndarray, count: int, plan: WindowPlan) -> np.ndarray:
    """(L,) positive weights of one window before they are made to sum to one."""
    import numpy as np

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
    return sum(len(window) for step in range(steps) for window in cut(count, plan, step)) / (count * steps)
