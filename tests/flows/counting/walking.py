"""Every setting of a flow: where it stands in some data, and other values for it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reel.config import INDEX, NAME, Config, Marker, Place, arms, leaves, places
from reel.models.source import ModelSource
from reel.op import get
from tests.flows.counting.values import VALUES
from tests.other_values import others

OPEN = ("preprocess", "measure", "write", "finish")
"""Mappings from names of ops to their settings, which the flow's classes do not know; named like the ops' kind."""


def filled(value: Any, files: Mapping[str, str]) -> Any:
    """A value with the files' paths in it."""
    if isinstance(value, str):
        for word, path in files.items():
            value = value.replace(word, path)
    return [filled(one, files) for one in value] if isinstance(value, list) else value


def walk(
    cls: type[Config], data: Mapping[str, Any], ops: Sequence[str] = ()
) -> Iterator[tuple[str, Place, tuple[str, ...]]]:
    """Every setting of a class that some data has a place for: its key, itself, and the path to it in the data.

    Args:
        ops: ids of those in use; settings of others are passed over.
    """
    for place in walked(cls):
        yield from ((place.key, place, path) for path in paths(place.path, data))
    for group in OPEN:
        for name in (name for name in data.get(group, {}) if f"{group}.{name}" in ops):
            for place in leaves(get(group, name).config):
                marked = replace(place, markers=place.markers | markers(cls, group))
                yield f"{group}.{name}.{place.key}", marked, (group, name, *place.path)


def walked(cls: type[Config]) -> list[Place]:
    """The settings of a class, a model's source as one; without those of ops."""
    sources = [place for place in places(cls) if ModelSource in arms(place.annotation)]
    single = [place for place in leaves(cls) if not any(place.key.startswith(f"{source.key}.") for source in sources)]
    return [place for place in [*single, *sources] if place.path[0] not in OPEN]


def markers(cls: type[Config], name: str) -> frozenset[Marker]:
    return next(place.markers for place in places(cls) if place.key == name)


def for_people(cls: type[Config], place: Place) -> bool:
    """Whether a setting is kept out of all data, or stands under one that is."""
    return any(each.field.exclude for each in places(cls) if each.path == place.path[: len(each.path)])


def paths(path: Sequence[str], data: Any) -> Iterator[tuple[str, ...]]:
    """The ways into some data that a place's path stands for."""
    if not path:
        yield ()
        return
    head, *rest = path
    if head == NAME:
        steps: Sequence[Any] = list(data) if isinstance(data, Mapping) else []
    elif head == INDEX:
        steps = list(range(len(data))) if isinstance(data, list) else []
    else:
        steps = [head]
    for step in steps:
        inner = data.get(step) if isinstance(data, Mapping) else data[step] if isinstance(data, list) else None
        yield from ((step, *more) for more in paths(rest, inner))


def at(data: Any, path: Sequence[Any]) -> Any:
    for step in path:
        data = data[step] if isinstance(data, list) else (data or {}).get(step)
    return data


def put(data: Mapping[str, Any], path: Sequence[Any], value: Any) -> dict[str, Any]:
    """A copy of some data with another value at a path."""
    changed: Any = copy.deepcopy(data)
    place = changed
    for step in path[:-1]:
        if isinstance(place, dict) and place.get(step) is None:
            place[step] = {}
        place = place[step]
    place[path[-1]] = value
    return changed  # type: ignore[no-any-return]


def candidates(key: str, place: Place, now: Any, files: Mapping[str, str]) -> Iterator[Any]:
    """Other values for a setting; a model's source is one value, of which another is named."""
    if key in VALUES:
        yield from (value for value in [filled(VALUES[key], files)] if value != now)
    elif ModelSource in arms(place.annotation):
        source = now or {"kind": "embedded", "id": ""}
        name, dot, end = (source["id"] or "sprite").partition(".safetensors")
        yield {**source, "id": f"{name}2{dot}{end}"}
    else:
        yield from others(place, now)
