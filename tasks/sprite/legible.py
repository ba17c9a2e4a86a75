"""A prompt as an embedded family reads it: without the words that it does not know.

A small network passes nothing over: an unknown word is a heap of letters to its tokenizer, moves every attribute a
little, and makes a figure walk that should stand still.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

_JOINTS = frozenset(("a", "an", "and", "at", "for", "from", "her", "his", "in", "of", "on", "that", "the", "to", "who",
                     "while", "with"))  # fmt: skip
"""Words that join others, and say nothing where what they would join is left out."""
_ARTICLES = frozenset(("a", "an", "her", "his", "the"))
_END = frozenset(".!?")
_OWNED = re.compile(r"['’]\w+$")


def parts_of(word: str) -> list[str]:
    """What of a word is known or not, in lower case: `short-haired` has two parts, `girl's` has one, `女の子` one."""
    return re.findall(r"[^\W_]+", _OWNED.sub("", word.lower()))


def words_of(text: str) -> list[str]:
    """The words of a text, as they stand there."""
    return [word for word in re.findall(r"[\w'’-]+", text) if parts_of(word)]


def legible(prompt: str, known: AbstractSet[str]) -> str:
    """The words of a prompt that are known, in its own order and clauses.

    Args:
        known: words in lower case, without hyphens.

    >>> legible("A girl finds a lantern, on the pier. She waves", {"a", "girl", "on", "the", "she", "waves"})
    'A girl. She waves'
    """
    pieces = re.split(r"([.,;:!?]+)", prompt)
    found = ""
    for clause, mark in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
        if words := _known(words_of(clause), known):
            found += f" {' '.join(words)}{mark}"
        elif _END & {*mark} and found and found[-1] not in _END:  # a sentence ends here, though its last clause is gone
            found = f"{found.rstrip(',;: ')}{mark}"
    return found.strip().rstrip(",;: ")


def _known(said: Sequence[str], known: AbstractSet[str]) -> list[str]:
    """The known words of a clause; those that join what is left out to others go with it."""
    found: list[str] = []
    for word in said:
        if known >= {*parts_of(word)}:
            found.append(_OWNED.sub("", word))
            continue
        while found and found[-1].lower() in _JOINTS:
            found.pop()
    while found and len(found) < len(said) and found[0].lower() in _JOINTS - _ARTICLES:
        del found[0]
    return found
