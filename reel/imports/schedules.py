"""Schedules of other tools as settings: read in their dialect, their words made readable, written in ours."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from reel.errors import UserError
from reel.imports.words import Words, readable
from reel.schedule.codes import ERROR
from reel.schedule.dialects.base import Options
from reel.schedule.expressions import number, parse_expression
from reel.schedule.model import Key, Schedule, What
from reel.schedule.read import parse
from reel.schedule.texts import full_text
from reel.schedule.write import write
from reel.values import shortened

MOST_AS_KEYS = 300
"""Keys that are written as YAML of their own; more are one text."""


@dataclass
class Taken:
    """A schedule as settings take it.

    Attributes:
        value: what stands under ``prompt_schedule`` and the like; None where one text or number holds all along.
        constant: that text or number.
        negative: the negative prompt, where the text is one.
        how: what is not the same; empty: nothing.
    """

    value: Any = None
    constant: Any = None
    negative: str = ""
    how: str = ""
    words: list[Words] = field(default_factory=list)


def read(text: str, dialect: str, what: What, options: Options | None = None) -> tuple[Schedule, list[str]]:
    """A text in a dialect, with the warnings there are about it.

    Raises:
        ValueError: it cannot be read; the first mistake.
    """
    parsed = parse(text, dialect, what, options=options)
    errors = parsed.report.errors
    if parsed.schedule is None or errors:
        first = errors[0] if errors else parsed.report.sorted()[0]
        raise ValueError(f"{first.message} ({first.code})")
    told = [one.message for one in parsed.report.sorted() if one.severity != ERROR and one.code in ("RS310", "RS311")]
    return parsed.schedule, told


def prompts(schedule: Schedule, told: list[str] | None = None) -> Taken:
    """Prompts of a schedule in our form.

    Raises:
        ValueError: a text that cannot be made readable.
    """
    taken = Taken()
    schedule = _readable(schedule, taken.words)
    taken.how = "; ".join(dict.fromkeys([*(told or []), *(one.how for one in taken.words if one.how)]))
    keys = schedule.keys
    if len({(key.prompt, key.negative) for key in keys}) == 1 and "`" not in (keys[0].prompt or ""):
        taken.constant, taken.negative = full_text(schedule, keys[0])
        return taken
    taken.value, how = _written(schedule)
    taken.how = "; ".join(filter(None, [taken.how, how]))
    return taken


def values(schedule: Schedule, base: float | None = None) -> tuple[Taken, float]:
    """Values of a schedule in our form, as factors of a number.

    Args:
        base: what they are factors of; None: the greatest constant value, so that none is above 1.

    Returns: the schedule, and the number; there is no schedule where all values are that number.
    """
    constants = [one for key in schedule.keys if (one := _constant(key)) is not None]
    numbers = len(constants) == len(schedule.keys)
    if numbers and len(set(constants)) == 1 and schedule.outside in (None, constants[0]):
        return Taken(constant=constants[0]), constants[0]
    factor = base if base is not None else max([*constants, 0.0]) or 1.0
    keys = tuple(_divided(key, factor) for key in schedule.keys)
    outside = None if schedule.outside is None else schedule.outside / factor
    value, how = _written(replace(schedule, keys=keys, outside=outside))
    return Taken(value=value, how=how), factor


def _divided(key: Key, factor: float) -> Key:
    if factor == 1 or key.value is None:
        return key
    if (value := _constant(key)) is not None:
        return replace(key, value=number(value / factor))
    return replace(key, value=parse_expression(f"({key.value.text})/{factor:.10g}"))


def _constant(key: Key) -> float | None:
    """A key's value where it is one finite number."""
    if key.value is None or not key.value.constant:
        return None
    value = float(key.value.evaluate({"t": 0.0}))
    return value if math.isfinite(value) else None


def _readable(schedule: Schedule, words: list[Words]) -> Schedule:
    """All texts of a schedule in our syntax; how many blanks are between words says nothing to a text encoder."""

    def made(text: str | None) -> str:
        words.append(readable(" ".join((text or "").split())))
        return words[-1].text

    return replace(
        schedule,
        keys=tuple(replace(key, prompt=made(key.prompt), negative=made(key.negative)) for key in schedule.keys),
        head=made(schedule.head),
        tail=made(schedule.tail),
        negative=made(schedule.negative),
    )


def _written(schedule: Schedule) -> tuple[Any, str]:
    """A schedule as YAML data or text, and how it differs."""
    try:
        written = write(schedule, "yaml")
    except UserError as error:
        raise ValueError(error.message) from None
    how = "" if written.exact else "; ".join(one.message for one in written.notes)
    if len(schedule.keys) > MOST_AS_KEYS:
        return written.text, how
    import yaml

    try:
        return yaml.safe_load(written.text), how
    except yaml.YAMLError as error:
        raise ValueError(shortened(str(error))) from None
