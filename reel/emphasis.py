"""Emphasis in prompts, as the AUTOMATIC1111 web UI has it: ``(text:1.3)``, ``(text)``, ``[text]``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from reel.errors import UserError
from reel.prompt import caret, place

STRONGER, WEAKER = 1.1, 1 / 1.1
"""What ``(text)`` and ``[text]`` multiply the weight by."""

_TOKEN = re.compile(r"\\([()\[\]\\{}<>])|([(\[])|:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)|([)\]])|([^\\()\[\]:]+|\\|:)")


@dataclass(frozen=True)
class Phrase:
    """A stretch of a prompt with its weight; 1 as it is."""

    text: str
    weight: float


def parse_emphasis(text: str, key: str = "prompt") -> list[Phrase]:
    r"""Split a prompt at its emphasis: ``(text:1.3)``, ``(text)`` = 1.1, ``[text]`` = 1/1.1, nested; ``\(`` is text.

    >>> parse_emphasis("a (red:1.5) coat")
    [Phrase(text='a ', weight=1.0), Phrase(text='red', weight=1.5), Phrase(text=' coat', weight=1.0)]

    Args:
        key: the setting that holds the text, for the message.

    Raises:
        UserError: a bracket without its partner, with its place.
    """
    parts: list[list[Any]] = []
    opened: list[tuple[str, int, int]] = []  # bracket, place in the text, first part inside
    for match in _TOKEN.finditer(text):
        escaped, opening, weight, closing, plain = match.groups()
        if opening:
            opened.append((opening, match.start(), len(parts)))
        elif weight is not None and opened and opened[-1][0] == "(":
            _multiply(parts, opened.pop()[2], float(weight))
        elif closing or weight is not None:
            bracket = closing or ")"
            if not opened or {"(": ")", "[": "]"}[opened[-1][0]] != bracket:
                raise _unpaired(text, match.end() - 1, bracket, key)
            _multiply(parts, opened.pop()[2], STRONGER if bracket == ")" else WEAKER)
        else:
            parts.append([escaped or plain, 1.0])
    if opened:
        raise _unpaired(text, opened[-1][1], opened[-1][0], key)
    return _joined(parts)


def _multiply(parts: list[list[Any]], first: int, factor: float) -> None:
    for part in parts[first:]:
        part[1] *= factor


def _joined(parts: list[list[Any]]) -> list[Phrase]:
    """Neighbours of equal weight as one phrase."""
    joined: list[Phrase] = []
    for text, weight in parts:
        if joined and joined[-1].weight == weight:
            joined[-1] = Phrase(joined[-1].text + text, weight)
        else:
            joined.append(Phrase(text, weight))
    return joined


def _unpaired(text: str, at: int, bracket: str, key: str) -> UserError:
    return UserError(
        f"{key}: {bracket!r} at {place(text, at)} has no partner\n{caret(text, at, at + 1)}",
        fix=f"close it, or write \\{bracket} for a bracket that is just text",
    )
