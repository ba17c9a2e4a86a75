"""Other values for any setting, found by its type and range, so that a test can change each one of a class."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from reel.config import Place, arms

_STRINGS = ("12", "#102030")
"""Beside a longer text: a rate, a colour."""


def others(place: Place, now: Any) -> Iterator[Any]:
    """Values that a setting might take instead of ``now``, the likeliest first. Not all of them need be valid."""
    limits = _Limits(place)
    for arm in arms(place.annotation):
        for value in _of_type(arm, now, limits):
            if value != now or type(value) is not type(now):
                yield value
    if NoneType in arms(place.annotation) and now is not None:
        yield None


def _of_type(arm: Any, now: Any, limits: _Limits) -> Iterator[Any]:
    if get_origin(arm) is Literal:
        yield from get_args(arm)
    elif arm is bool:
        yield not now
    elif arm in (int, float):
        yield from (number for number in _numbers(arm, now) if limits.hold(number))
    elif arm is str:
        yield from (f"{now or 'a'} again", *_STRINGS)


def _numbers(kind: type[int] | type[float], now: Any) -> Iterator[Any]:
    """Neighbours, multiples, and parts of one."""
    known = now if isinstance(now, int | float) and not isinstance(now, bool) else 0
    steps = [known + 1, known - 1, known + 8, known - 8, known * 2, known // 2]
    yield from map(kind, steps if kind is int else [0.5, 0.7, 0.25, known / 2, *steps])


class _Limits:
    """The range of a field, as pydantic keeps it."""

    def __init__(self, place: Place) -> None:
        self._found = [
            (name, getattr(one, name))
            for one in place.field.metadata
            for name in ("ge", "gt", "le", "lt")
            if hasattr(one, name)
        ]

    def hold(self, number: float) -> bool:
        tests = {"ge": float.__ge__, "gt": float.__gt__, "le": float.__le__, "lt": float.__lt__}
        return all(tests[name](float(number), float(limit)) for name, limit in self._found)
