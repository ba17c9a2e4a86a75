"""Emphasis in prompts, as the AUTOMATIC1111 web UI has it: ``(text:1.3)``, ``(text)``, ``[text]``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from reel.errors import UserError
from reel.prompt import caret, place
from reel.values import shortened

STRONGER, WEAKER = 1.1, 1 / 1.1
"""What ``(text)`` and ``[text]`` multiply the weight by."""
MOST = 10.0
"""Greatest weight, written or multiplied up by brackets: long before it a picture falls to pieces."""
DEEPEST = 50
"""Brackets in brackets; forty round ones are a weight of 45 already."""

_TOKEN = re.compile(r"\\([()\[\]\\{}<>])|([(\[])|:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)|([)\]])|([^\\()\[\]:]+|\\|:)")
_NO_WEIGHT = re.compile(r":\s*([+-]?(?:nan|inf|infinity|[\d.][\w.,%+-]*)?)\s*\)", re.I)
"""What stands where a weight does, and is not one: `(girl:nan)`, `(girl:1,2)`, `(girl:)`."""


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
        UserError: a bracket without its partner, or a weight that is none or out of range, with its place.
    """
    parts: list[list[Any]] = []
    opened: list[tuple[str, int, int]] = []  # bracket, place in the text, first part inside
    for match in _TOKEN.finditer(text):
        escaped, opening, weight, closing, plain = match.groups()
        if opened and opened[-1][0] == "(" and (weight is not None or plain == ":"):
            _check_weight(text, match.start(), key)
        if opening:
            if len(opened) == DEEPEST:
                raise UserError(f"{key}: brackets stand more than {DEEPEST} deep in one another at "
                                f"{place(text, match.start())}", fix="(text:1.5) instead of many brackets")  # fmt: skip
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
    for part, weight in parts:
        if abs(weight) > MOST:
            raise UserError(
                f"{key}: its brackets give {part.strip()[:40]!r} a weight of {weight:.3g}, at most {MOST:g}",
                fix="fewer brackets; one of them with a number says it more plainly: (text:1.5)",
            )
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


def _check_weight(text: str, colon: int, key: str) -> None:
    """Whether what stands between a colon and the bracket that closes is a weight, or just text."""
    found = _NO_WEIGHT.match(text, colon)
    if found is None:
        return
    start, end = found.span(1)
    try:
        if abs(float(found[1])) <= MOST and re.fullmatch(r"[+-]?[\d.]+", found[1]):
            return
    except ValueError:
        pass
    end = max(end, start + 1)
    raise UserError(
        f"{key}: {shortened(repr(found[1]))} at {place(text, start)} is not a weight: a number from {-MOST:g} to "
        f"{MOST:g}\n{caret(text, start, end)}",
        fix="a number such as 1.2; or write \\( and \\) for brackets that are just text",
    )


def _unpaired(text: str, at: int, bracket: str, key: str) -> UserError:
    return UserError(
        f"{key}: {bracket!r} at {place(text, at)} has no partner\n{caret(text, at, at + 1)}",
        fix=f"close it, or write \\{bracket} for a bracket that is just text",
    )
