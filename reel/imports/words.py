"""Prompts of other tools: what our text encoder reads is kept, what it does not is taken out and told."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from reel.emphasis import parse_emphasis
from reel.errors import UserError
from reel.prompt import EMBEDDING, first_unsupported

_LORA = re.compile(r"<\s*(?:lora|lyco|locon)\s*:\s*([^:<>]+?)\s*(?::([^<>]*))?>", re.IGNORECASE)
_MOST = 60
"""Places in a prompt that are rewritten; a text with more is none."""


@dataclass
class Words:
    """A prompt as it can be rendered.

    Attributes:
        loras: names and weights of the LoRAs that its tags ask for.
        embeddings: names of textual inversions that it uses.
        changes: what was taken out or read otherwise.
    """

    text: str
    loras: list[tuple[str, float]] = field(default_factory=list)
    embeddings: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)

    @property
    def how(self) -> str:
        return "; ".join(dict.fromkeys(self.changes))


def readable(text: str) -> Words:
    """A prompt in our syntax.

    Raises:
        ValueError: there is too much in it that no prompt here has.
    """
    words = Words(text)
    words.text = _LORA.sub(lambda match: _lora(match, words), words.text)
    words.embeddings = list(dict.fromkeys(match["name"] for match in EMBEDDING.finditer(words.text)))
    for _ in range(_MOST):
        found = first_unsupported(words.text, words.embeddings)
        if found is None:
            break
        start, end, syntax = found
        piece = words.text[start:end]
        said, stands = _instead(piece, syntax.name)
        words.changes.append(said)
        words.text = f"{words.text[:start]}{stands}{words.text[end:]}"
    else:
        raise ValueError(f"has more than {_MOST} places in the syntax of other tools")
    if words.text != text:
        words.text = re.sub(r"[ \t]{2,}", " ", re.sub(r"(\s*,){2,}", ",", words.text)).strip(" ,\t\r\n")
    _emphasis(words)
    return words


def _lora(match: re.Match[str], words: Words) -> str:
    parts = (match[2] or "1").split(":")
    try:
        weight = float(parts[0])
    except ValueError:
        weight = 1.0
        words.changes.append(f"the weight of {match[0]} is no number: 1 is taken")
    if len(parts) > 1:
        words.changes.append(f"{match[0]} has further weights: the first counts for the whole network")
    words.loras.append((match[1], weight))
    return ""


def _instead(piece: str, name: str) -> tuple[str, str]:
    """What is told of a piece of other syntax, and what stands in its place."""
    if name.startswith("prompt editing"):
        inside = piece[1:-1]
        options = inside.split("|") if "|" in inside else inside.split(":")
        kept = options[0] if "|" in inside or len(options) < 3 else options[1]
        if "|" not in inside and len(options) == 2 and not _is_number(options[1]):
            kept = options[1]
        return f"{_shown(piece)} changes over the steps: '{kept.strip()}' holds for all of them", kept
    if name.startswith("a random choice"):
        kept = piece[1:-1].split("|")[0].rpartition("::")[2]
        return f"{_shown(piece)} is drawn anew each time: the first is taken", kept
    if name.startswith("BREAK"):
        return "BREAK ends no chunk of tokens here", ","
    return f"{_shown(piece)} ({name}) is taken out", ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(piece: str) -> str:
    return piece if len(piece) <= 40 else f"{piece[:36]}..."


def _emphasis(words: Words) -> None:
    r"""Brackets that do not pair are text, as ``\(`` is."""
    try:
        parse_emphasis(words.text)
    except UserError as error:
        words.text = re.sub(r"(?<!\\)([()\[\]])", r"\\\1", words.text)
        words.changes.append(f"its brackets are read as text ({error.message.partition(chr(10))[0]})")
