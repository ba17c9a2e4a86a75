"""Settings of a schedule in our own two forms: their names, how they are read, and how they are written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

from reel.config import suggest
from reel.schedule.curves import NAMES
from reel.schedule.expressions import VARIABLES, ExpressionError, parse_expression
from reel.schedule.model import KINDS, Schedule, Then, default_then
from reel.schedule.times import TimeError, parse_time

CHOICES: dict[str, tuple[str, ...]] = {
    "kind": KINDS,
    "mixing": ("lerp", "slerp"),
    "beyond": ("toward", "drop"),
}
TEXTS = ("head", "tail", "negative", "joiner")
NUMBERS: dict[str, tuple[float, float]] = {
    "frames": (1, 10_000_000),
    "fps": (0.001, 1000),
    "hold_ratio": (0, 1),
    "outside": (-1e12, 1e12),
}
NAMES_OF_SETTINGS = (*CHOICES, *TEXTS, *NUMBERS, "then", "loop")
_ON, _OFF = ("true", "on", "yes"), ("false", "off", "no")
_THEN = re.compile(r"\s*([a-z-]+)\s*(?:\(([^()]*)\))?\s*")


class SettingError(ValueError):
    """A setting that cannot be used; ``code`` is RS121 or RS122."""

    def __init__(self, code: str, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.fix = code, message, fix


def parse_then(text: str) -> Then:
    """Read ``hold``, ``blend``, ``blend(8)``, ``ease(in-out)`` or ``ease(in-out, 0.5s)``.

    Raises:
        SettingError: what is allowed instead.
    """
    match = _THEN.fullmatch(text)
    mode = match[1] if match else ""
    if match is None or mode not in ("hold", "blend", "ease"):
        raise SettingError(
            "RS122", f"'{text[:40]}' is not a transition", "hold, blend, blend(8), ease(in-out) or ease(in-out, 8)"
        )
    inside = [part.strip() for part in (match[2] or "").split(",") if part.strip()]
    curve = inside.pop(0) if mode == "ease" and inside and not re.match(r"[\d.]", inside[0]) else "in-out"
    if mode == "ease" and curve not in NAMES:
        raise SettingError("RS122", f"there is no curve '{curve}'{suggest(curve, NAMES)}", ", ".join(NAMES))
    if len(inside) > 1 or (mode == "hold" and inside):
        raise SettingError("RS122", f"'{text.strip()[:40]}' has too many parts", "hold, blend(8) or ease(in-out, 8)")
    over = None
    if inside:
        try:
            over = parse_time(inside[0])
        except TimeError as error:
            raise SettingError(
                "RS122", f"the length of a transition is frames or seconds: {error.message}", "8 or 0.5s"
            ) from None
        if over.kind not in ("frame", "seconds", "percent") or over.value <= 0:
            raise SettingError("RS122", f"a transition cannot take '{inside[0]}'", "8 or 0.5s")
    return Then(mode, curve if mode == "ease" else "linear", over)  # type: ignore[arg-type]


def read_setting(name: str, text: str) -> dict[str, Any]:
    """Fields of `Schedule` for one setting.

    Raises:
        SettingError: unknown name (with the nearest ones) or a value that is not allowed.
    """
    if name == "joiner" and len(text) > 1 and text[0] == text[-1] == '"':
        return {name: text[1:-1]}  # in the one-line form, where blanks at the ends would be lost
    if name in TEXTS:
        return {name: text}
    text = text.strip()
    if name in CHOICES:
        if text not in CHOICES[name]:
            raise SettingError(
                "RS122", f"{name} cannot be '{text[:40]}'{suggest(text, CHOICES[name])}", " or ".join(CHOICES[name])
            )
        return {"what" if name == "kind" else name: text}
    if name in NUMBERS:
        return {name: _number(name, text)}
    if name == "then":
        return {"then": parse_then(text)}
    if name == "loop":
        if text.lower() not in _ON + _OFF:
            raise SettingError("RS122", f"loop cannot be '{text[:40]}'", "true or false")
        return {"loop": text.lower() in _ON}
    raise SettingError("RS121", f"unknown setting '{name[:40]}'{suggest(name, NAMES_OF_SETTINGS)}")


def _number(name: str, text: str) -> float | int:
    low, high = NUMBERS[name]
    try:
        value = float(text)
    except ValueError:
        raise SettingError("RS122", f"{name} must be a number, got '{text[:40]}'") from None
    if not low <= value <= high or math.isnan(value):
        raise SettingError("RS122", f"{name} must lie between {low:g} and {high:g}, got {text}")
    if name == "frames":
        if not value.is_integer():
            raise SettingError("RS122", f"frames must be a whole number, got {text}")
        return int(value)
    return value


def read_variable(name: str, text: str) -> tuple[str, Any]:
    """One entry of ``variables``: a name and a formula over t, max_f, fps, seconds and s.

    Raises:
        SettingError: the name is taken, or the formula cannot be read.
    """
    if not re.fullmatch(r"[A-Za-z_]\w{0,30}", name) or name in VARIABLES or name in ("and", "or", "not"):
        raise SettingError("RS122", f"'{name[:40]}' cannot be a variable's name", "a word such as pw_a")
    try:
        return name, parse_expression(text.strip())
    except ExpressionError as error:
        raise SettingError(error.code, f"variable {name}: {error.message}", error.fix) from None


_DEFAULTS = {f.name: f.default for f in fields(Schedule) if f.default is not MISSING}


def settings_of(schedule: Schedule) -> Iterator[tuple[str, str]]:
    """Settings that differ from their defaults, as text, in the order in which they are written."""
    yield "kind", schedule.what
    for name in ("frames", "fps"):
        if (value := getattr(schedule, name)) is not None:
            yield name, f"{value!r}"
    if schedule.then != default_then(schedule.what):
        yield "then", str(schedule.then)
    if schedule.loop:
        yield "loop", "true"
    for name in ("hold_ratio", "beyond", "mixing", "outside", "head", "tail", "negative", "joiner"):
        value = getattr(schedule, name)
        if name == "joiner" and not (schedule.head or schedule.tail or schedule.negative):
            continue
        if value != _DEFAULTS[name]:
            yield name, value if isinstance(value, str) else f"{value!r}"
