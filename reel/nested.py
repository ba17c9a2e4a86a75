"""Nested plain data, such as composed settings: what stands at a dotted key, all its keys, and copies with changes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any


def at(data: Mapping[str, Any], key: str) -> Any:
    """The value at a dotted key; None where there is none."""
    place: Any = data
    for part in key.split("."):
        if not isinstance(place, Mapping) or part not in place:
            return None
        place = place[part]
    return place


def placed(data: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with values put in at dotted keys, whose parents are there."""
    made = copy.deepcopy(dict(data))
    for key, value in values.items():
        *parents, last = key.split(".")
        place = made
        for part in parents:
            place = place[part]
        place[last] = value
    return made


def flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys with what they hold: anything but a mapping that is not empty."""
    for name, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def keys(data: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """All dotted keys, each before those under it."""
    for name, value in data.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from keys(value, f"{prefix}{name}.")


def mapped(data: Any, change: Callable[[tuple[str, ...], Any], Any], path: tuple[str, ...] = ()) -> Any:
    """A copy in which each value is what ``change`` gives for it and the path that leads to it.

    Values are what is no mapping, list or tuple; a number of a list is a part of the path as text.
    """
    if isinstance(data, Mapping):
        return {name: mapped(item, change, (*path, str(name))) for name, item in data.items()}
    if isinstance(data, list | tuple):
        return [mapped(item, change, (*path, str(number))) for number, item in enumerate(data)]
    return change(path, data)
