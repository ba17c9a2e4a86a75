"""Times: timecodes from the user, ticks of the file, and which frames a range takes.

Zero is where a player's clock stands when the file begins: the container's start, the earliest of its streams.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from reel.errors import UserError

_RATE = re.compile(r"[+-]?(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12}|\d{1,12}/\d{1,12})(?:e[+-]?\d{1,2})?", re.IGNORECASE)
_TIMECODE = re.compile(r"(?:(?:(\d+):)?([0-5]?\d):)?([0-5]?\d(?:\.\d+)?)")


def seconds(value: float | int | str) -> float:
    """Seconds from a number, with ``s`` behind it or not, or a timecode ``[[hh:]mm:]ss[.f]``.

    Raises:
        ValueError: it is neither; the message shows the form.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip()
    if re.fullmatch(r"\d+(\.\d+)?", plain := re.sub(r"\s*s(?:ec)?$", "", text)):
        return float(plain)
    match = _TIMECODE.fullmatch(text)
    if match is None:
        raise ValueError("must be seconds (12.5) or a timecode (mm:ss.f or hh:mm:ss.f)")
    hours, minutes, rest = match.groups(default="0")
    return float(int(hours) * 3600 + int(minutes) * 60 + Fraction(rest))


def rate(value: float | int | str) -> Fraction:
    """Frames per second from a number or a fraction such as ``30000/1001``, with ``fps`` behind it or not.

    Raises:
        ValueError: it is neither.
    """
    text = re.sub(r"\s*fps$", "", str(value).strip(), flags=re.IGNORECASE)
    if _RATE.fullmatch(text):  # an exponent would be worked out digit by digit
        try:
            return Fraction(text)
        except ZeroDivisionError:
            pass
    raise ValueError("must be a number of frames per second (24 or 24fps), a fraction (30000/1001), or source")


@dataclass(frozen=True)
class Selection:
    """The frames that a range takes.

    Attributes:
        pts: their times in ticks, as the file has them.
        stop: the tick at which the last one ends.
        start, duration: seconds, exact, on the player's clock.
    """

    pts: list[int]
    stop: int
    start: Fraction
    duration: Fraction


def frame_step(pts: Sequence[int]) -> Fraction:
    """Median ticks between frames; 0 for a single frame."""
    from statistics import median  # takes its time, and reading a file's facts does without

    return Fraction(median(b - a for a, b in pairwise(pts))) if len(pts) > 1 else Fraction(0)


def select(
    pts: Sequence[int],
    time_base: Fraction,
    zero: Fraction,
    *,
    start: float | None,
    end: float | None,
    max_frames: int | None,
    last_duration: int = 0,
    name: str = "the clip",
) -> Selection:
    """Choose frames by their times; ``start`` and ``end`` go to the nearest frame boundary.

    Args:
        pts: ascending times of all frames, ticks.
        time_base: seconds per tick.
        zero: the tick (exact) at which the player's clock is 0.
        start, end: seconds; None: from the first frame, to the end of the last.
        last_duration: how long the last frame is shown, ticks; 0: unknown, the usual step is taken.

    Raises:
        UserError: the range lies outside the clip or holds no frame.
    """
    step = frame_step(pts) or Fraction(last_duration) or Fraction(1, 25) / time_base
    clip_end = pts[-1] + (last_duration or round(step))
    length = float((clip_end - zero) * time_base)
    for key, value in (("start", start), ("end", end)):
        limit = length - (float(step * time_base) / 2 if key == "start" else -float(step * time_base) / 2)
        if value is not None and value > limit:
            raise UserError(
                f"extract.{key}: {_clock(value)} is outside the clip: {name} ends at {_clock(length)}",
                fix=f"choose extract.{key} between 0 and {length:.3f} seconds",
            )
    boundaries = [*pts, clip_end]
    # A start never goes to the clip's end: the last frame may be held for long. Decimals count as they are written.
    first = 0 if start is None else _nearest(pts, zero + Fraction(str(start)) / time_base)
    last = len(pts) if end is None else _nearest(boundaries, zero + Fraction(str(end)) / time_base)
    chosen = list(pts[first:last])[:max_frames]
    if not chosen:
        begins, ends = (_clock(float((tick - zero) * time_base)) for tick in boundaries[first : first + 2])
        raise UserError(
            f"extract: between extract.start and extract.end there is no frame of {name}: both go to {begins}, the "
            "nearest frame boundary",
            fix=f"the frame that begins there is shown until {ends}: extract.end={ends.removesuffix(' s')}",
        )
    stop = pts[first + len(chosen)] if first + len(chosen) < len(pts) else clip_end
    return Selection(chosen, stop, (chosen[0] - zero) * time_base, (stop - chosen[0]) * time_base)


def _nearest(boundaries: Sequence[int], tick: Fraction) -> int:
    """Index of the boundary that is nearest to a moment; the earlier one of two."""
    after = bisect_left(boundaries, tick)
    if after == len(boundaries) or (after and tick - boundaries[after - 1] <= boundaries[after] - tick):
        return after - 1
    return after


def _clock(value: float) -> str:
    minutes, rest = divmod(value, 60)
    return f"{value:.3f} s" if minutes < 1 else f"{int(minutes)}:{rest:06.3f}"


def due(pts: Sequence[int], time_base: Fraction, fps: Fraction) -> list[int]:
    """The new frame from which on each frame may be shown, when a clip is brought to a constant rate.

    The rule: **a new frame shows the frame nearest to its moment, but none more than half a new frame early**; of two
    that are equally near, the later one. So a frame counts from half-way between the one before and itself, or from
    half a new frame before its time, whichever is later. Where the rate is lowered that is the nearest frame; where
    it is raised, or in the long pauses of a screen recording, frames are held until the next one is due.

    Args:
        pts: ascending times, ticks; the first one is the moment of new frame 0.
        time_base: seconds per tick.
        fps: the new rate.

    Returns:
        for each frame the number of a new one, not descending. A new frame shows the last one that is due by then.
    """
    rate = fps * time_base  # new frames per tick
    a, b = rate.numerator, rate.denominator
    shifted = [tick - pts[0] for tick in pts]
    starts = [max((x + y) * a, 2 * y * a - b) for x, y in pairwise(shifted)]
    return [0, *(-(-start // (2 * b)) for start in starts)]


def resample(
    selection: Selection, time_base: Fraction, fps: Fraction, max_frames: int | None
) -> tuple[Selection, list[int]]:
    """The same stretch of time at a constant rate, by the rule of `due`.

    Returns:
        the selection, without the frames that are not due any more, and shortened to ``max_frames`` where that is
        less; and the times of the new frames in ticks of ``1 / fps`` seconds.
    """
    count = max(1, round(selection.duration * fps))
    shorter = max_frames is not None and max_frames < count
    if max_frames is not None:
        count = min(count, max_frames)
    kept = selection.pts[: bisect_left(due(selection.pts, time_base, fps), count)]
    stop = selection.pts[len(kept)] if len(kept) < len(selection.pts) else selection.stop
    duration = count / fps if shorter else selection.duration
    return Selection(kept, stop, selection.start, duration), list(range(count))


@dataclass(frozen=True)
class Timing:
    """When the frames that are fed are shown, and at what rate the movie runs.

    Attributes:
        pts: ticks of ``time_base`` seconds, the first one 0.
        duration: seconds.
        fps: constant rate of the movie (frames are held or dropped for it), or None to keep the times.
    """

    pts: list[int]
    time_base: Fraction
    duration: Fraction
    fps: Fraction | None = None

    @property
    def shown(self) -> list[int]:
        """The frame of each picture of the movie, by its number."""
        if self.fps is None:
            return list(range(len(self.pts)))
        count = max(1, round(self.duration * self.fps))
        starts = due(self.pts, self.time_base, self.fps)
        return [bisect_right(starts, number) - 1 for number in range(count)]

    @property
    def begins(self) -> list[Fraction]:
        """When each picture of the movie begins, seconds, and when the last one ends."""
        if self.fps is None:
            return [*(tick * self.time_base for tick in self.pts), self.duration]
        return [Fraction(number) / self.fps for number in range(len(self.shown) + 1)]


def ticks(begins: Sequence[Fraction], tick: Fraction) -> list[int]:
    """How long each picture is shown, in ticks: each moment is rounded for itself, so that nothing adds up."""
    rounded = [int(moment / tick + Fraction(1, 2)) for moment in begins]
    return [after - before for before, after in pairwise(rounded)]
