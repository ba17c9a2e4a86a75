"""Where settings stand in the tree of a settings class, and what is said of them beside their types.

`reel.config` has the markers that there are, and hands these on.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from reel.values import arms, is_a


@dataclass(frozen=True)
class Marker:
    """Says something of a setting that its type does not: ``Annotated[str, TEXT]``. `places` finds it."""

    name: str


NAME, INDEX = "*", "[]"
"""Parts of a place's path that stand for any name of a mapping, and for any number of a list."""


@dataclass(frozen=True)
class Place:
    """Where a setting can stand in the tree of a settings class.

    Attributes:
        path: names of the fields from the root down; `NAME` for any name of a mapping, `INDEX` for any item of a list.
        annotation: the type of what stands there, as it is written (``Path | None``).
        field: the field that says so; for what a mapping or a list holds, the field that holds these.
        owner: the class that has the field.
        markers: of the field and of all that it stands in.
        inner: further places stand under it.
    """

    path: tuple[str, ...]
    annotation: Any
    field: FieldInfo
    owner: type[BaseModel]
    markers: frozenset[Marker]
    inner: bool

    @property
    def key(self) -> str:
        return ".".join(self.path)

    def matches(self, path: Sequence[str]) -> bool:
        """Whether a path of names ends here."""
        return len(path) == len(self.path) and self.begins(path)

    def begins(self, path: Sequence[str]) -> bool:
        """Whether a path of names leads here or stops on the way."""
        return len(path) <= len(self.path) and all(
            mine in (NAME, part) or (mine == INDEX and part.isdecimal())
            for mine, part in zip(self.path, path, strict=False)
        )


@functools.cache
def places(cls: type[BaseModel]) -> tuple[Place, ...]:
    """Every place of a settings class, each before those under it, in the order of the fields.

    Nested classes, values of mappings and classes in lists are walked through, each type that a union allows in turn.
    A class that holds itself is walked through once.
    """
    return tuple(_fields(cls, (), frozenset(), frozenset()))


def leaves(cls: type[BaseModel]) -> tuple[Place, ...]:
    """The places of a settings class that hold a value: those that nothing stands under."""
    return tuple(place for place in places(cls) if not place.inner)


def place(cls: type[BaseModel], path: Sequence[str]) -> Place | None:
    """The place that a path of names leads to; None: there is none. The first, where a union allows several."""
    return next((one for one in places(cls) if one.matches(path)), None)


def below(cls: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Names of the fields that can stand directly under a path; none for what a mapping or a list holds."""
    depth = len(path)
    found = [one.path[depth] for one in places(cls) if len(one.path) == depth + 1 and one.begins(path)]
    return [name for name in dict.fromkeys(found) if name not in (NAME, INDEX)]


def _fields(
    cls: type[BaseModel], path: tuple[str, ...], markers: frozenset[Marker], seen: frozenset[type]
) -> Iterator[Place]:
    for name, field in cls.model_fields.items() if cls not in seen else ():
        found = Place((*path, name), field.annotation, field, cls, markers | _field_marks(field), inner=False)
        yield from _place(found, seen | {cls})


def _place(found: Place, seen: frozenset[type]) -> Iterator[Place]:
    """A place, and before it is known what stands under it, all of that."""
    markers = found.markers | _marks(_metadata(found.annotation))
    under: list[Place] = []
    for arm in arms(found.annotation):
        origin, arguments = get_origin(arm), get_args(arm)
        if isinstance(arm, type) and issubclass(arm, BaseModel):
            under += _fields(arm, found.path, markers, seen)
        elif is_a(origin, Mapping):
            item = replace(found, path=(*found.path, NAME), annotation=arguments[1], markers=markers)
            under += _place(item, seen)
        elif is_a(origin, Sequence):
            item = replace(found, path=(*found.path, INDEX), annotation=arguments[0], markers=markers)
            items = list(_place(item, seen))
            under += items if items[0].inner else []  # a list of plain values is one value
    yield replace(found, markers=markers, inner=bool(under))
    yield from under


def _metadata(annotation: Any) -> Iterator[Any]:
    """What ``Annotated`` adds to a type, or to those of a union."""
    if get_origin(annotation) in (Union, UnionType):
        for arm in get_args(annotation):
            yield from _metadata(arm)
    elif get_origin(annotation) is Annotated:
        yield from annotation.__metadata__
        yield from _metadata(get_args(annotation)[0])


@functools.cache
def marked_fields(cls: type[BaseModel]) -> dict[str, frozenset[Marker]]:
    """Markers of a class's own fields, by name."""
    return {name: _field_marks(field) for name, field in cls.model_fields.items()}


def _field_marks(field: FieldInfo) -> frozenset[Marker]:
    return _marks([*field.metadata, *_metadata(field.annotation)])


def _marks(metadata: Iterable[Any]) -> frozenset[Marker]:
    return frozenset(one for one in metadata if isinstance(one, Marker))
