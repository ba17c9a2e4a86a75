"""What of a prompt `sprite_ltx` does not know, and whether it names a motion: told before anything is rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from reel.models.source import ModelSource
from tasks.sprite.legible import legible, parts_of, words_of
from tasks.sprite.ltx.captions import DOES, DOING, FILMS, vocabulary

FAMILY = "sprite_ltx"
_KNOWS = "stands still, waves (with the right, the left, both arms), steps left or right, jumps, bows, turns around"
_FILMS = "static camera, push-in, pan left, pan right"
_HER = r"(?:her|his|the)"


def knows(source: ModelSource) -> bool:
    """Whether a family's base is the embedded one that this module is about."""
    return source.kind == "embedded" and source.id == FAMILY


def described() -> str:
    """Its motions, in one line."""
    return f"{_KNOWS}; {_FILMS}"


def unknown(prompt: str) -> list[str]:
    """Words that no caption of its training has.

    >>> unknown("The warrior waves, slow push-in")
    ['warrior']
    """
    known = set(vocabulary())
    return [part for part in dict.fromkeys(chain(*map(parts_of, words_of(prompt)))) if part not in known]


def read(prompt: str) -> str:
    """A prompt without the words that no caption of its training has."""
    return legible(prompt, {*vocabulary()})


def moves(prompt: str) -> bool:
    """Whether a prompt names one of its actions or of its cameras' moves, in a wording of its training."""
    return any(pattern.search(prompt.lower()) for pattern in _PHRASES)


def warnings(family: str, prompts: Sequence[str]) -> Iterator[str]:
    """Lines for a person about a film's prompts; none where all is known and a motion is named."""
    strange = list(dict.fromkeys(word for prompt in prompts for word in unknown(prompt)))
    if strange:
        yield f"{family} does not know, and leaves out: {', '.join(strange)}. It knows: {described()}"
    if not all(moves(prompt) for prompt in prompts):
        yield f"the prompt names no motion that {family} knows, so any may come: {described()}"


def _phrase(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(words).replace(re.escape('{her}'), _HER)}\b")


_PHRASES = [_phrase(words) for table in (DOES, DOING, FILMS) for phrases in table.values() for words in phrases]
