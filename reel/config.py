"""Typed settings: classes hold types, ranges and help; conf/*.yaml holds values; this module joins the two."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from reel.errors import UserError


class _Marker:
    """Marks a field as free text: the command line hands it over byte for byte, whatever it contains."""


TEXT, SCHEDULE = _Marker(), _Marker()
Text = Annotated[str, TEXT]
"""A string that reaches the render literally: prompts, paths, file names.

`SCHEDULE` beside TEXT: a text that says itself what ``@file`` means (`reel.schedule.setting`)."""


Finite = FiniteFloat
"""A float that is neither NaN nor infinite."""


class Config(BaseModel):
    """Base of every settings class. Unknown keys are errors, and a changed field is checked again."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, use_attribute_docstrings=True)


C = TypeVar("C", bound=Config)


def parse(cls: type[C], data: Mapping[str, Any], where: str = "") -> C:
    """Build ``cls`` from plain data.

    Args:
        where: the dotted key that ``data`` stands under, put before every key in messages.

    Raises:
        UserError: naming every wrong key, what it got and what is allowed, with the nearest known key for a typo.
    """
    try:
        return cls.model_validate(dict(data))
    except ValidationError as error:
        raise UserError("\n".join(_explain(cls, item, where) for item in error.errors())) from None


def _explain(cls: type[Config], item: Any, where: str) -> str:
    path = [str(part) for part in item["loc"]]
    key = ".".join(filter(None, [where, *path]))
    if item["type"] == "extra_forbidden":
        known = _siblings(cls, item["loc"][:-1])
        return f"unknown key '{key}'" + (suggest(path[-1], known) or (f"; known: {', '.join(known)}" if known else ""))
    if item["type"] == "missing":
        return f"{key}: a value is needed"
    message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message.replace("Input should be", "must be")
    if item["type"] == "literal_error":
        message += suggest(str(item["input"]), _allowed(item))
    if item["type"] in ("model_type", "model_attributes_type", "dict_type"):
        message = "must be a group of keys, each with its value"
    got = item.get("input")
    shown = "" if isinstance(got, Mapping) or repr(got) in message else f" (got {got!r})"
    return f"{key}: {message}{shown}" if key else f"{message}{shown}"


def _allowed(item: Any) -> list[str]:
    """The words that pydantic lists: `'a', 'b' or 'c'`."""
    return re.findall(r"'([^']*)'", item["ctx"]["expected"])


def _siblings(cls: type[Config], parents: Iterable[Any]) -> list[str]:
    """Field names that stand beside a wrong key, found by walking the annotations."""
    current: list[Any] = [cls]
    for part in parents:
        current = [inner for one in current for inner in _within(one, part)]
    return [name for one in current for name in getattr(one, "model_fields", {})]


def _within(annotation: Any, part: Any) -> list[Any]:
    """What may stand under a part of a key: a field's classes, a mapping's values, a list's items."""
    if part in getattr(annotation, "model_fields", {}):
        return list(arms(annotation.model_fields[part].annotation))
    arguments = get_args(annotation)
    return list(arms(arguments[-1])) if get_origin(annotation) in (dict, list, Mapping) and arguments else []


def arms(annotation: Any) -> Iterable[Any]:
    """The types that an annotation allows: those of a union, or it alone; ``Annotated`` taken off."""
    if get_origin(annotation) in (Union, UnionType):
        return get_args(annotation)
    return (get_args(annotation)[0],) if hasattr(annotation, "__metadata__") else (annotation,)


def suggest(word: str, known: Iterable[str], limit: int = 3) -> str:
    """``; nearest: a, b`` for a mistyped word, or an empty string when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=limit, cutoff=0.5)
    return f"; nearest: {', '.join(near)}" if near else ""


__all__ = ["SCHEDULE", "TEXT", "Config", "Field", "Finite", "Text", "arms", "parse", "suggest"]
