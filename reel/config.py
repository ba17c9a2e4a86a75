"""Typed settings: classes hold types, ranges and help; conf/*.yaml holds values; this module joins the two."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    Tag,
    ValidationError,
)

from reel.canonical import canonical
from reel.errors import UserError, suggest
from reel.places import INDEX, NAME, Marker, Place, below, leaves, marked_fields, place, places
from reel.values import (
    arms,
    check_colour,
    check_text,
    from_home,
    is_a,
    local_path,
    path_setting,
    shortened,
    wrong_numbers,
)

TEXT = Marker("text")
"""Free text: the command line hands it over byte for byte, whatever it contains."""
SCHEDULE = Marker("schedule")
OPERATIONAL = Marker("operational")
"""Where and how a result is made: changes no byte of it and nothing that is measured of it. All else counts."""
FILES = Marker("files")
"""Changes the files that a result is handed over as, and not the pictures in them."""
FIGURES = Marker("figures")
"""Changes what is measured of a result, and not the result."""


@dataclass(frozen=True)
class Also:
    """Another key whose plain value is this one's, where that key is a group: see `also`."""

    key: str


def also(key: str) -> Also:
    """``shots=story.yaml`` sets the field that is marked with ``also("shots")``; ``shots.3.seed=2`` is the group's."""
    return Also(key)


Text = Annotated[str, TEXT, AfterValidator(check_text)]
"""A string that reaches the render literally: prompts, paths, file names.

`SCHEDULE` beside TEXT: a text that says itself what ``@file`` means (`reel.schedule.setting`)."""
Finite = FiniteFloat
"""A float that is neither NaN nor infinite."""
Colour = Annotated[str, AfterValidator(check_colour)]
"""A colour as ``#rrggbb``."""
LocalPath = Annotated[Path, BeforeValidator(path_setting)]
"""A file or folder of this machine; what every setting that is a path is declared as."""


class Config(BaseModel):
    """Base of every settings class. Unknown keys are errors, and a changed field is checked again.

    The text under a field is its help: `reel.descriptions` reads it where it is shown. A class becomes a validator when
    its first settings are read, since a command imports many classes and uses few.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True, defer_build=True, allow_inf_nan=False)

    def result_part(self, without: Collection[Marker] = ()) -> dict[str, Any]:
        """What of these settings a result is made of, as canonical plain data: all but what is `OPERATIONAL`.

        It may hold what changes nothing, but must differ wherever a result can. A class says what its fields cannot by
        overriding this: what the machine decides, what does nothing beside other settings.

        Args:
            without: markers of what else shall be left out.
        """
        plain, left_out = self.model_dump(mode="json"), {OPERATIONAL, *without}
        return {
            name: _result_part(getattr(self, name), plain[name], without)
            for name, marks in marked_fields(type(self)).items()
            if name in plain and not left_out & marks
        }


C = TypeVar("C", bound=Config)


def _result_part(value: Any, plain: Any, without: Collection[Marker]) -> Any:
    """As `Config.result_part`, of a value that a field holds and of the same as plain data."""
    if isinstance(value, Config):
        return value.result_part(without)
    if isinstance(value, Mapping):
        return {str(name): _result_part(item, plain[str(name)], without) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_result_part(item, one, without) for item, one in zip(value, plain, strict=True)]
    return canonical(plain)


def counts(cls: type[Config], key: str) -> bool:
    """Whether a setting, or any of a group of them, can change a result (see `OPERATIONAL`). An unknown one counts."""
    path = key.split(".")
    under = [place for place in leaves(cls) if place.begins(path)]
    return not under or any(OPERATIONAL not in place.markers for place in under)


def parse(cls: type[C], data: Mapping[str, Any], where: str = "") -> C:
    """Build ``cls`` from plain data.

    Args:
        where: the dotted key that ``data`` stands under, put before every key in messages.

    Raises:
        UserError: naming every wrong key, what it got and what is allowed, with the nearest known key for a typo.
    """
    wrong = [f"{key}: {told}" for key, told in wrong_numbers(cls, data, (where,) if where else ())]
    if wrong:
        raise UserError("\n".join(dict.fromkeys(wrong)))
    try:
        return cls.model_validate(dict(data) if isinstance(data, Mapping) else data)
    except ValidationError as error:
        raise UserError("\n".join(_explain(cls, item, where) for item in error.errors())) from None


def tag(cls: type[Config]) -> Tag:
    """Marks a class of a union whose classes `told_apart` tells apart."""
    return Tag(f"<{cls.__name__}>")


def told_apart(choose: Callable[[Mapping[str, Any]], type[Config]]) -> Discriminator:
    """For ``Annotated[Annotated[A, tag(A)] | Annotated[B, tag(B)], told_apart(choose)]``: messages speak of one class.

    Args:
        choose: from plain data to the class that it is meant for.
    """

    def name(data: Any) -> str:
        cls = type(data) if isinstance(data, Config) else choose(data if isinstance(data, Mapping) else {})
        return f"<{cls.__name__}>"

    return Discriminator(name)


def _is_tag(part: Any) -> bool:
    """Whether a part of the way to a mistake is pydantic's word for a class of a union, and no key."""
    return isinstance(part, str) and part.startswith("<") and part.endswith(">")


def _meant(cls: type[Any], way: Sequence[Any]) -> tuple[type[Any], list[str]]:
    """Where a mistake's way leads to: the class of the last union on it that was chosen, and the path in that.

    Other classes of the union have keys of their own, and one of those is not known where it is called unknown.
    """
    path: list[str] = []
    for part in way:
        if not _is_tag(part):
            path.append(str(part))
        elif found := place(cls, path):
            cls, path = next(arm for arm in arms(found.annotation) if f"<{arm.__name__}>" == part), []
    return cls, path


_ARMS = ("bool", "dict", "float", "int", "list", "str")


def _explain(cls: type[Config], item: Any, where: str) -> str:
    path = [str(part) for part in item["loc"] if not _is_tag(part)]
    if path[1:] and path[-1].partition("[")[0] in _ARMS and not place(cls, path) and place(cls, path[:-1]):
        path.pop()  # pydantic adds which of several types it tried
    key = ".".join(filter(None, [where, *path]))
    if item["type"] == "extra_forbidden":
        known = below(*_meant(cls, item["loc"][:-1]))
        return f"unknown key '{key}'" + (suggest(path[-1], known) or (f"; known: {', '.join(known)}" if known else ""))
    if item["type"] == "missing":
        return f"{key}: a value is needed"
    message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message.replace("Input should be", "must be")
    message = message.replace("a valid boolean, unable to interpret input", "true or false")
    if item["type"] == "literal_error":
        message += suggest(str(item["input"]), _allowed(item))
    if item["type"] in ("model_type", "model_attributes_type", "dict_type"):
        message = "must be a group of keys, each with its value"
    got = item.get("input")
    shown = "" if isinstance(got, Mapping | Config) or repr(got) in message else f" (got {shortened(repr(got))})"
    return f"{key}: {message}{shown}" if key else f"{message}{shown}"


def _allowed(item: Any) -> list[str]:
    """The words that pydantic lists: `'a', 'b' or 'c'`."""
    return re.findall(r"'([^']*)'", item["ctx"]["expected"])


__all__ = [
    "FIGURES",
    "FILES",
    "INDEX",
    "NAME",
    "OPERATIONAL",
    "SCHEDULE",
    "TEXT",
    "Also",
    "Colour",
    "Config",
    "Field",
    "Finite",
    "LocalPath",
    "Marker",
    "Place",
    "Text",
    "also",
    "arms",
    "below",
    "check_text",
    "counts",
    "from_home",
    "is_a",
    "leaves",
    "local_path",
    "parse",
    "place",
    "places",
    "shortened",
    "suggest",
    "tag",
    "told_apart",
]
