"""Which of the family's attributes a prompt asks for: the captions read backwards, without a network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tasks.sprite.attributes import CHOICES, Choices
from tasks.sprite.captions import BOTTOM_WORDS, FACE, GRAY, HAIR_WORDS, TOP_WORDS

_BETWEEN = {",", "and", "very", "bright", "is", "are"}
"""What may stand between a word and its noun: `long, blonde hair`."""


def _spellings(attribute: str, other: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Every word for a value of the attribute -> the value."""
    return {word: value for value in CHOICES[attribute] for word in (value, *other.get(value, ()))}


_LENGTH = _spellings("hair_length", {})
_HAIR = _spellings("hair_color", HAIR_WORDS)
_CLOTH = _spellings("top_color", GRAY)
_GARMENT = {word: value for value, words in BOTTOM_WORDS.items() for word in words}
_NOUNS: dict[str, dict[str, dict[str, str]]] = {
    **{word: {"hair_length": _LENGTH, "hair_color": _HAIR} for word in ("hair", "haired")},
    **{word: {"top_color": _CLOTH} for word in TOP_WORDS},
    **{word: {"bottom_color": _CLOTH} | ({"top_color": _CLOTH} if garment == "dress" else {})
       for word, garment in _GARMENT.items()},
    "background": {"background": _spellings("background", GRAY)},
    **{word: {"skin": _spellings("skin", {})} for word in ("skin", "skinned")},
    **{word: {word: _spellings(word, {})} for word in FACE},
}  # fmt: skip
"""Noun -> attributes that words before it set, each with its words. A garment's own word is an attribute besides."""


def asked(prompt: str, choices: Choices = CHOICES) -> dict[str, str]:
    """Attribute -> value for all that a prompt states in the family's words; other words are passed over.

    choices: what the family knows (`tasks.sprite.spec`); a value that it does not know is passed over as well.

    A word belongs to the noun that follows it (`a red top and a blue skirt`); the nearest one counts. An attribute
    that is stated twice with different values is left out: there is no telling which is meant.

    >>> asked("a girl with long pink hair in a red top, green background")
    {'hair_length': 'long', 'hair_color': 'pink', 'top_color': 'red', 'background': 'green'}
    """
    words = re.findall(r"t-shirt|[a-z0-9]+|,", prompt.lower())
    found: dict[str, set[str]] = {}
    for place, noun in enumerate(words):
        if noun in _GARMENT:
            found.setdefault("bottom", set()).add(_GARMENT[noun])
        for attribute, value in _before(words, place, _NOUNS.get(noun, {})).items():
            found.setdefault(attribute, set()).add(value)
    single = {name: next(iter(found[name])) for name in choices if len(found.get(name, ())) == 1}
    return {name: value for name, value in single.items() if value in choices[name]}


def _before(words: Sequence[str], place: int, tables: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """What the words directly before a noun say, the nearest first."""
    said: dict[str, str] = {}
    for word in reversed(words[:place]):
        fits = [name for name, table in tables.items() if word in table]
        if not fits and word not in _BETWEEN:
            break
        for name in fits:
            said.setdefault(name, tables[name][word])
    return said
