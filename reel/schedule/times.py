"""Places in time: frames, ranges, counts from the end, percent, seconds, timecodes and formulas."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from reel.schedule.expressions import Expression, ExpressionError, Node, format_node, parse_expression

Kind = Literal["frame", "end", "percent", "seconds", "formula"]

_CODE = r"\d+:\d{2}(?::\d{2})?(?:[.:]\d+)?"
ATOM = rf"(?:{_CODE}|-?\d+(?:\.\d+)?(?:%|s)?|end|\([^;:\n]*\))"
"""Pattern of one place that is not a bare formula."""

_EXAMPLES = "a frame such as 24, a range 12-22, 50%, 1.5s, 0:01.5 or max_f/2"
_RANGE = re.compile(rf"\s*({ATOM})\s*(?:-|–|—|\.\.)\s*({ATOM})\s*")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d{2})(?:\.(\d+))?(?::(\d+))?$")


class TimeError(ValueError):
    """A place in time that cannot be read; ``code`` is one of RS2xx or RS4xx."""

    def __init__(self, code: str, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.fix = code, message, fix


@dataclass(frozen=True, slots=True)
class Time:
    """A place in time before the number of frames is known.

    ``frame``: ``value`` counts from 0. ``end``: ``value`` counts from the number of frames N (-1 is the last
    frame, 0 the end of a range that runs to the end). ``percent``: share of N. ``seconds``: times fps, rounded to
    the nearest frame. ``formula``: an expression over ``max_f`` and ``fps``, cut to a whole number.
    """

    kind: Kind
    value: float = 0.0
    formula: Expression | None = None
    extra_frames: int = 0
    """Frames of a timecode ``hh:mm:ss:ff`` beyond its seconds."""

    def resolve(self, frames: int, fps: float, seed: int = 0) -> int:
        """The frame, from 0; it may lie outside 0 .. frames - 1.

        Raises: ValueError when a formula is undefined or absurdly large.
        """
        if self.kind == "frame":
            return int(self.value)
        if self.kind == "end":
            return frames + int(self.value)
        if self.kind == "percent":
            return math.floor(self.value * frames / 100 + 1e-9)
        if self.kind == "seconds":
            return math.floor(self.value * fps + 0.5) + self.extra_frames
        assert self.formula is not None
        env = {"t": 0.0, "max_f": float(frames - 1), "fps": fps, "s": float(seed), "seconds": 0.0}
        value = float(self.formula.evaluate(env))
        if not abs(value) < 1e9:
            raise ValueError(f"{self.formula.text} is {value:g}, which is not a frame")
        return int(value)

    @property
    def absolute(self) -> bool:
        """The place does not depend on the number of frames or the frame rate."""
        return self.kind == "frame"

    def __str__(self) -> str:
        if self.kind == "frame":
            return str(int(self.value))
        if self.kind == "end":
            return "end" if self.value == 0 else str(int(self.value))
        if self.kind == "percent":
            return f"{self.value:g}%" if float(f"{self.value:g}") == self.value else f"{self.value!r}%"
        if self.kind == "seconds":
            if not self.extra_frames:
                return f"{self.value!r}s"
            whole = int(self.value)
            return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}:{self.extra_frames:02d}"
        assert self.formula is not None
        return f"({format_node(self.formula.root)})"


def frame(value: int) -> Time:
    return Time("frame", float(value))


def parse_time(text: str, *, range_end: bool = False) -> Time:
    """Read one place: ``24``, ``-4``, ``50%``, ``1.5s``, ``0:01.5``, ``00:00:01:12``, ``end``, ``(max_f/2)``.

    Args:
        range_end: the place closes a range, where ``100%`` and ``end`` mean N rather than the last frame.

    Raises:
        TimeError: what is wrong with it.
    """
    text = text.strip()
    if re.fullmatch(r"\d{1,9}", text):
        return Time("frame", float(text))
    if re.fullmatch(r"-\d{1,9}", text):
        return Time("end", float(text))
    if text == "end":
        return Time("end", 0.0 if range_end else -1.0)
    if match := re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*(%|s)", text):
        return _measured(float(match[1]), match[2], range_end)
    if match := _CLOCK.fullmatch(text):
        return _clock(match)
    if re.fullmatch(r"-?\d+\.\d+", text):
        low = math.floor(float(text))
        raise TimeError("RS202", f"{text} is between two frames", f"{low} or {low + 1}; {text}s for seconds")
    return _formula(text)


def _measured(value: float, unit: str, range_end: bool) -> Time:
    if unit == "s":
        return Time("seconds", value)
    if value > 100:
        raise TimeError("RS210", f"{value:g}% lies beyond the end", "0% to 100%")
    if value == 100:
        return Time("end", 0.0 if range_end else -1.0)
    return Time("percent", value)


def _clock(match: re.Match[str]) -> Time:
    hours, minutes, seconds, fraction, frames = match.groups()
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    if frames is not None and hours is None:
        raise TimeError("RS201", f"{match[0]}: frames follow hours, minutes and seconds", "hh:mm:ss:ff")
    if whole > 10**7:
        raise TimeError("RS201", f"{match[0]} is too long a time")
    return Time("seconds", float(f"{whole}.{fraction or 0}"), extra_frames=int((frames or "0")[:6]))


def _formula(text: str) -> Time:
    try:
        formula = parse_expression(text)
    except ExpressionError as error:
        if not re.search(r"max_f|fps", text):
            raise TimeError("RS201", f"'{text[:40]}' is not a place in time", _EXAMPLES) from None
        raise TimeError(error.code, error.message, error.fix) from None
    if wrong := formula.names - {"max_f", "fps", "s", "pi", "tau", "e"}:
        raise TimeError("RS402", f"a key cannot depend on {', '.join(sorted(wrong))}", "max_f or fps")
    if formula.root.op == "num" and formula.root.value < 1e9 and float(formula.root.value).is_integer():
        return Time("frame", formula.root.value)
    if not abs(float(formula.evaluate({"t": 0.0, "max_f": 95.0, "fps": 12.0, "s": 0.0}))) < 1e9:
        raise TimeError("RS407", f"'{text[:40]}' is not a frame: it is undefined or far too large")
    return Time("formula", formula=formula)


@lru_cache(maxsize=4096)
def parse_place(text: str) -> tuple[Time, Time | None]:
    """Read a key: one place, or a range ``a-b`` (also ``a..b``) that covers the frames a .. b - 1.

    Raises:
        TimeError: what is wrong with it; RS206 for a range that is empty whatever the clip.
    """
    if match := _RANGE.fullmatch(text):
        start, stop = parse_time(match[1]), parse_time(match[2], range_end=True)
        first, after = (start.value, start.extra_frames), (stop.value, stop.extra_frames)
        if start.kind == stop.kind and start.kind != "formula" and first >= after:
            fix = f"{stop}-{start}" if first > after else f"{start}"
            raise TimeError("RS206", f"the range {text.strip()} holds no frame", fix)
        return start, stop
    return parse_time(text), None


def shift_max_f(formula: Expression, by: int) -> Expression:
    """Rewrite a formula for a dialect whose ``max_f`` is larger by ``by`` than ours (FizzNodes keys: N, ours N - 1)."""
    op = "+" if by > 0 else "-"
    return formula.replace("max_f", Node(op, None, (Node("name", "max_f"), Node("num", float(abs(by))))))


def format_place(start: Time, stop: Time | None) -> str:
    """The text that `parse_place` reads back to the same."""
    if stop is None:
        return str(start)
    plain = start.kind in ("frame", "percent", "seconds") and stop.kind in ("frame", "percent", "seconds")
    return f"{start}-{stop}" if plain else f"{start}..{stop}"
