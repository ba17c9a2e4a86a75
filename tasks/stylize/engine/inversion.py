"""Textual inversion: learned vectors as words of a prompt (arXiv:2208.01618).

Every vector is a token of its own behind the tokenizer's vocabulary; `expand_inversions` writes those tokens where a
prompt says ``embedding:NAME``.
"""

from __future__ import annotations

import re
from typing import Any

from reel.prompt import EMBEDDING

_TOKEN = re.compile(r"<embedding:(.+):\d+>")


def token_names(name: str, count: int) -> list[str]:
    """Tokens that stand for the vectors of an inversion."""
    return [f"<embedding:{name}:{number}>" for number in range(count)]


def expand_inversions(tokenizer: Any, text: str) -> str:
    """The text with ``embedding:NAME`` written as the tokens that stand for its vectors."""
    known: dict[str, list[str]] = {}
    for token, _ in sorted(tokenizer.get_added_vocab().items(), key=lambda item: item[1]):
        if match := _TOKEN.fullmatch(token):
            known.setdefault(match[1], []).append(token)
    return EMBEDDING.sub(lambda found: "".join(known.get(found["name"], [found[0]])), text)
