"""A prompt as an embedded family reads it: without the words that it does not know.

A small network passes nothing over: an unknown word is a heap of letters to its tokenizer, moves every attribute a
little, and makes a figure walk that should stand still.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet

_JOINTS = frozenset(("a", "an", "and", "at", "for", "from", "her", "his", "in", "of", "on", "that", "the", "to", "who",
                     "while", "with"))  # fmt: skip
"""Words that join others, and say nothing where what they would join is left out."""


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
        said = re.findall(r"[\w-]+", clause)
        words = [word for word in said if known >= {*re.findall(r"[a-z0-9]+", word.lower())}]
        while len(words) < len(said) and words and words[-1].lower() in _JOINTS:
            words.pop()
        if words:
            found += f" {' '.join(words)}{mark}"
        elif "." in mark:  # a sentence ends here, whether or not its last clause is left
            found = f"{found.rstrip(',;: ')}{mark if found else ''}"
    return found.strip().rstrip(",;: ")
