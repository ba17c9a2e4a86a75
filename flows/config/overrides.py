"""Overrides that can be read without Hydra's parser, which takes longer to import than a cached render to run.

`read` knows the plain forms of Hydra's grammar alone (``key=3``, ``group=folder/name``, ``key=[a,b]``, a text in single
quotes) and gives for each what Hydra gives; of any other text it says that it cannot tell.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

_ID = r"[A-Za-z_][A-Za-z0-9_-]*"
_KEY = re.compile(rf"{_ID}(?:(?:\.{_ID})*|(?:/{_ID})*)")
_DIGITS = r"(?:0|[1-9](?:_?[0-9])*)"
_POINT = rf"(?:{_DIGITS}\.|{_DIGITS}?\.[0-9](?:_?[0-9])*)"
_INT = re.compile(rf"[+-]?{_DIGITS}")
_FLOAT = re.compile(rf"[+-]?(?:{_POINT}|(?:{_DIGITS}|{_POINT})[eE][+-]?[0-9](?:_?[0-9])*|(?i:inf|nan))")
_WORD = re.compile(r"[A-Za-z0-9_/\-+.$%*@?|:]+")
"""Characters that stand for themselves; of several tokens in a row Hydra makes one text."""
_QUOTED = re.compile(r"'((?:[^'\\]|\\+[^'\\]|(?:\\\\)*\\')*(?:\\\\)*)'", re.DOTALL)
_BEFORE_QUOTE = re.compile(r"(?<!\\)(\\+)('|\Z)")  # from a run's first on, or long runs take for ever


MOST_DIGITS = 4000
"""Python reads no longer whole numbers, and Hydra's parser says so."""


class Kind(Enum):
    """What an override does, by Hydra's names."""

    CHANGE = 1
    FORCE_ADD = 3


@dataclass(frozen=True)
class Override:
    """An override with one plain value. Whatever Hydra and we ask of Hydra's own class can be asked of it."""

    key_or_group: str
    input_line: str
    given: Any
    type: Kind = Kind.CHANGE
    package: None = None

    def value(self) -> Any:
        return self.given

    def is_delete(self) -> bool:
        return False

    def is_add(self) -> bool:
        return False

    def is_force_add(self) -> bool:
        return self.type is Kind.FORCE_ADD

    def is_sweep_override(self) -> bool:
        return False

    def is_discrete_sweep(self) -> bool:
        return False

    def forced(self) -> Override:
        """The same as ``++key=value``, which sets a key that no file has."""
        return dataclasses.replace(self, type=Kind.FORCE_ADD, input_line=f"++{self.input_line}")


def read(text: str) -> Override | None:
    """An override of a plain form; None for any other, which Hydra's parser has to read."""
    key, equals, value = text.partition("=")
    if not equals or not _KEY.fullmatch(key):
        return None
    try:
        return Override(key, text, _element(value) if value else "")
    except _NotPlainError:
        return None


class _NotPlainError(Exception):
    pass


def _element(text: str) -> Any:
    if text.startswith("["):
        if not text.endswith("]"):
            raise _NotPlainError
        inner = text[1:-1]
        return [_scalar(item) for item in inner.split(",")] if inner else []
    if text.startswith("'"):
        return _unquoted(text)
    return _scalar(text)


def _scalar(text: str) -> Any:
    if not _WORD.fullmatch(text) or text == ":":
        raise _NotPlainError
    lower = text.lower()
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INT.fullmatch(text):
        if len(text) > MOST_DIGITS:
            raise _NotPlainError
        return int(text)
    if lower in ("true", "false"):
        return lower == "true"
    return None if lower == "null" else text


def _unquoted(text: str) -> str:
    """The text between single quotes: backslashes count before a quote and at the end alone, and are doubled there."""
    found = _QUOTED.fullmatch(text)
    if found is None:
        raise _NotPlainError
    return _BEFORE_QUOTE.sub(lambda match: match[1][: len(match[1]) // 2] + match[2], found[1])


def quoted(text: str) -> str:
    """A text in single quotes, which Hydra's parser, or `read`, gives back unchanged."""
    return "'" + _BEFORE_QUOTE.sub(lambda match: match[1] * 2 + match[2], text).replace("'", "\\'") + "'"
