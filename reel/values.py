"""What single values of settings may be, whatever the setting: texts, paths, numbers; and what types say of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

MOST_CHARACTERS = 20_000
"""Of a text: four thousand words. What is longer was not meant as one, and would take minutes to encode."""


OPEN = "<to be given>"
"""What stands in a file of settings for a value that must be given before anything runs. Hydra's own ``???`` would do
nothing: over a value that another file gives, it is passed over."""


def check_text(text: str) -> str:
    """A text as it is.

    Raises:
        ValueError: it is too long, or holds a NUL, which ends a text for everything that is written in C.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"has {len(text)} characters, at most {MOST_CHARACTERS} are taken")
    if (place := text.find("\0")) >= 0:
        raise ValueError(f"holds a NUL (character {place + 1}), which no text has: write it without")
    return text


def from_home(path: str | Path) -> Path:
    """``~/x`` as a path in the home folder, which shells make of it at a word's beginning alone and never in quotes."""
    path = Path(path)
    return path.expanduser() if path.parts[:1] == ("~",) else path


MOST_NAME, MOST_PATH = 255, 4095
"""Bytes of a file's name and of a whole path, on Linux and macOS alike (the latter takes less of a path)."""


def local_path(path: Any) -> Path:
    """A file or folder of this machine as a person names it; ``~/`` is the home folder.

    Raises:
        ValueError: it is empty, holds a NUL, or is longer than any file system takes.
    """
    text = str(path)
    if not text:
        raise ValueError("is empty: name a file or folder ('.' is the folder one stands in)")
    if "\0" in text:
        raise ValueError("holds a NUL, which no path has: write it without")
    longest = max(len(part.encode("utf-8", "surrogateescape")) for part in text.split("/"))
    if longest > MOST_NAME:
        raise ValueError(f"a name in the path has {longest} bytes, at most {MOST_NAME} are possible")
    found = from_home(text)
    if (whole := len(str(found).encode("utf-8", "surrogateescape"))) > MOST_PATH:
        raise ValueError(f"the path has {whole} bytes, at most {MOST_PATH} are possible")
    return found


def check_colour(value: str) -> str:
    """A colour as ``#rrggbb``.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        raise ValueError("must be a colour as #rrggbb, such as #000000 for black or #ffffff for white")
    return value


def path_setting(value: Any) -> Any:
    """As `local_path`, of what a setting got: what is neither text nor path is left to the setting's type."""
    return local_path(value) if isinstance(value, str | Path) else value


WHOLE = (-(2**63), 2**64 - 1)
"""Least and greatest whole number: those of a seed, and more than anything here counts."""


def wrong_numbers(annotation: Any, value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """What is wrong with the numbers in plain data, as (dotted key, words): pydantic takes ``true`` for 1, and whole
    numbers that have no end.

    Args:
        annotation: the type of what stands there; settings classes are walked through by their fields.
        value: plain data.
    """
    if isinstance(value, int):
        kinds = set(arms(annotation))
        if not kinds & {int, float} or (isinstance(value, bool) and bool in kinds):
            return
        if isinstance(value, bool):
            yield ".".join(path), f"must be a number, {str(value).lower()} is not one (got {value})"
        elif not WHOLE[0] <= value <= WHOLE[1]:
            shown = shortened(repr(value)) if abs(value) < 10**100 else "a longer one"
            yield ".".join(path), f"must lie between {WHOLE[0]} and {WHOLE[1]} (got {shown})"
    elif isinstance(value, Mapping):
        for arm in arms(annotation):
            fields = getattr(arm, "model_fields", None)
            inner = get_args(arm)[-1] if is_a(get_origin(arm), Mapping) else None
            for name, item in value.items() if fields or inner is not None else ():
                if isinstance(item, _HOLDS_NUMBERS) and (fields is None or name in fields):
                    of_item = fields[name].annotation if fields else inner
                    yield from wrong_numbers(of_item, item, (*path, str(name)))
    elif isinstance(value, list | tuple):
        for arm in arms(annotation):
            if is_a(get_origin(arm), Sequence):
                for number, item in enumerate(value):
                    if isinstance(item, _HOLDS_NUMBERS):
                        yield from wrong_numbers(get_args(arm)[-1], item, (*path, str(number)))


_HOLDS_NUMBERS = (int, list, tuple, Mapping)


def arms(annotation: Any) -> Iterator[Any]:
    """The types that an annotation allows: those of a union, or it alone; ``Annotated`` taken off."""
    if get_origin(annotation) in (Union, UnionType):
        for arm in get_args(annotation):
            yield from arms(arm)
    elif get_origin(annotation) is Annotated:
        yield from arms(get_args(annotation)[0])
    else:
        yield annotation


def is_a(origin: Any, kind: type) -> bool:
    """Whether the origin of a generic type (``dict`` of ``dict[str, int]``) is a class of that kind."""
    return isinstance(origin, type) and issubclass(origin, kind)


_SHOWN = 80
"""Characters of a value that a message shows."""


def shortened(text: str) -> str:
    """A value as a message shows it, of which the ends are enough to know it again."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}...{text[-_SHOWN // 4 :]}"
