"""The space of a search: which settings vary, between which values, and settings with chosen values put in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reel.config import suggest
from reel.errors import UserError
from reel.nested import flat

GROUPS = ("controls", "stylize", "preprocess")
"""Groups whose numbers may vary, beside the seed: the others change which frames there are, or not the picture."""
WEIGHT = (0.0, 1.2, 0.05)
"""Range and step of a control's weight where the space says nothing."""
_DEFAULT_PARTS = 24
MOST_VALUES = 1_000_000
"""On one axis: finer steps than a picture can show, and than Optuna's decimals can divide."""
_EPSILON = 1e-9


@dataclass(frozen=True)
class Axis:
    """One setting that varies over a lattice.

    Attributes:
        key: dotted settings key.
        low, high: least and greatest value, both reached.
        step: distance of neighbouring values.
        integer: whether the setting takes whole numbers only.
    """

    key: str
    low: float
    high: float
    step: float
    integer: bool = False

    @property
    def count(self) -> int:
        return round((self.high - self.low) / self.step) + 1

    def value(self, place: int) -> float | int:
        """The value at a place of the lattice, 0..count-1, without the rounding dirt of sums."""
        raw = float(f"{self.low + place * self.step:.9g}") + 0.0
        return round(raw) if self.integer else raw

    def nearest(self, value: float) -> float | int:
        """The value of the lattice that is nearest to a number."""
        return self.value(min(self.count - 1, max(0, round((value - self.low) / self.step))))

    def __str__(self) -> str:
        return f"{self.key} {self.low:g}..{self.high:g} by {self.step:g}"


def axes(space: Mapping[str, Any] | None, settings: Mapping[str, Any], effort: str = "") -> list[Axis]:
    """The axes of a search.

    Args:
        space: range by key, ``{controls.pose.weight: [0.2, 1.2]}``, a third number is the step; keys may be nested.
            None: the weight of every control in use.
        settings: the whole settings as plain data.
        effort: key of the number of steps, which may not vary: the proxies have their own.

    Raises:
        UserError: nothing to search over, an unknown key (with the nearest), one that may not vary, an empty range.
    """
    if space is None:
        found = [Axis(f"controls.{name}.weight", *WEIGHT) for name in settings.get("controls") or {}]
        if not found:
            raise UserError(
                "search: there is no control whose weight could be searched for (control=[])",
                fix="control=[pose,lineart], or name what should vary: search.space={stylize.strength:[0.4,1]}",
            )
        return found
    if not space:
        raise UserError("search.space: is empty", fix="leave it out to search for the weight of every control in use")
    known = dict(_numbers(settings))
    for key, _ in flat(space):
        if key == effort:
            why = "the proxies have steps of their own"
            raise UserError(f"search.space: {key}: {why}", fix="set search.proxy.steps and this apart")
    return [_axis(key, limits, known) for key, limits in flat(space)]


def _numbers(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every key under `GROUPS` that holds a number or nothing, with what it holds; and the seed."""
    yield "seed", settings.get("seed", 0)
    for group in GROUPS:
        for key, value in flat(settings.get(group) or {}, f"{group}."):
            if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
                yield key, value


def _axis(key: str, limits: Any, known: Mapping[str, Any]) -> Axis:
    where = f"search.space: {key}"
    if key not in known:
        raise UserError(
            f"{where}: no setting with a number{suggest(key, known)}",
            fix=f"numbers under {', '.join(GROUPS)}, and seed, may vary",
        )
    numbers = list(limits) if isinstance(limits, Sequence) and not isinstance(limits, str) else []
    if len(numbers) not in (2, 3) or not all(map(_is_number, numbers)):
        raise UserError(
            f"{where}: {limits!r} is not a range", fix="[from, to] or [from, to, step], such as [0, 1.2, 0.05]"
        )
    low, high = float(numbers[0]), float(numbers[1])
    integer = isinstance(known[key], int)
    if not low < high:
        raise UserError(f"{where}: the range {low:g}..{high:g} is empty", fix="from must be below to")
    if integer and any(n != int(n) for n in numbers):
        raise UserError(f"{where}: takes whole numbers only, got {limits!r}")
    step = float(numbers[2]) if len(numbers) == 3 else _step(key, low, high, integer)
    if step <= 0 or step > high - low + _EPSILON:
        raise UserError(f"{where}: a step of {step:g} does not fit into {low:g}..{high:g}")
    parts = (high - low) / step
    if parts > MOST_VALUES:
        raise UserError(f"{where}: a step of {step:g} makes more than {MOST_VALUES} values", fix="a larger step")
    if abs(parts - round(parts)) > 1e-6:
        raise UserError(
            f"{where}: steps of {step:g} from {low:g} do not end at {high:g}",
            fix=f"to {low + int(parts) * step:g}, or steps of {(high - low) / round(parts):g}",
        )
    return Axis(key, low, high, step, integer)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _step(key: str, low: float, high: float, integer: bool) -> float:
    """The step where none is given: 1, 0.05 for weights where it fits, else so that there are 25 values."""
    if integer:
        return 1.0
    wanted = WEIGHT[2] if key.endswith(".weight") else (high - low) / _DEFAULT_PARTS
    step = (high - low) / max(1, round((high - low) / wanted))
    return float(f"{step:.12g}")  # 0.05 and not 0.049999999999999996, which Optuna finds not to divide the range
