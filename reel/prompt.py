"""Prompt text: what the text encoder would not understand is refused with its place, never cut or read as words.

LoRA tags, wildcards and prompt editing are syntax of other programs. A CLIP text encoder reads `<lora:x:1>` as words
between brackets, and the picture changes in ways nobody asked for. Emphasis is known: `reel.emphasis`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from reel.errors import UserError


@dataclass(frozen=True)
class _Syntax:
    """Something another program reads as an instruction."""

    pattern: re.Pattern[str]
    name: str
    fix: str


_ESCAPE = r"write \ before a bracket that is just text"
_TABLE = (
    _Syntax(
        re.compile(r"<\s*(?:lora|lyco|locon|hypernet)\s*:[^<>]*>?", re.I), "a LoRA tag", "use loras: (a source each)"
    ),
    _Syntax(re.compile(r"<[A-Za-z][\w-]*(?::[^<>]*)?>"), "an embedding or extra-network tag", "remove it"),
    _Syntax(
        re.compile(r"\[[^\[\]:|]*[:|][^\[\]]*\]"),
        "prompt editing in [ ]",
        f"a prompt_schedule changes words over the frames; {_ESCAPE}",
    ),
    _Syntax(
        re.compile(r"\{[^{}|]*\|[^{}]*\}"), "a random choice {a|b}", "name one; choice(...) makes a sweep of prompts"
    ),
    _Syntax(re.compile(r"(?<!\w)__[\w/-]+__(?!\w)"), "a wildcard", "write the words themselves"),
    _Syntax(re.compile(r"(?<!\w)BREAK(?!\w)"), "BREAK (a chunk border)", "remove it, or write it in small letters"),
    _Syntax(re.compile(r"::\s*-?\d+(?:\.\d+)?"), "a weight after ::", "remove it"),
    _Syntax(re.compile(r"(?<!\S)--[a-z]+(?=\s+\S|$)"), "an option of another program (--name)", "remove it"),
)
EMBEDDING = re.compile(r"\bembedding\s*:\s*(?P<name>[\w-]+(?:\.[\w-]+)*)", re.I)
"""A textual inversion in a prompt, as ComfyUI writes it."""
_ESCAPED = re.compile(r"\\([()\[\]{}<>])")
_SHOWN = 90
"""Columns of the prompt shown around the place."""


def check_prompt(text: str, key: str, embeddings: Collection[str] = ()) -> None:
    r"""Refuse syntax that nothing here understands; `\[` is a bracket that is only text.

    Args:
        key: the setting that holds the text, for the message.
        embeddings: names of the textual inversions that there are; ``embedding:NAME`` is text for those alone.

    Raises:
        UserError: what was found, where (line and character, from 1), with a caret under it.
    """
    if (found := first_unsupported(text, embeddings)) is None:
        return
    start, end, syntax = found
    raise UserError(
        f"{key}: {syntax.name} at {place(text, start)} is not supported\n{caret(text, start, end)}",
        fix=syntax.fix,
    )


def first_unsupported(text: str, embeddings: Collection[str] = ()) -> tuple[int, int, _Syntax] | None:
    """Where the first syntax stands that nothing here understands, and what it is; None: there is none."""
    masked = _ESCAPED.sub("\0\0", text)  # same length, so that positions stay true
    found = [(match.start(), match.end(), syntax) for syntax in _TABLE for match in syntax.pattern.finditer(masked)]
    found += [
        (match.start(), match.end(), _unknown_embedding(match["name"], embeddings))
        for match in EMBEDDING.finditer(masked)
        if match["name"] not in embeddings
    ]
    return min(found, key=lambda item: (item[0], -item[1]), default=None)


def _unknown_embedding(name: str, known: Collection[str]) -> _Syntax:
    there = f" (there are: {', '.join(sorted(known))})" if known else ""
    fix = f"name its file: stylize.embeddings={{{name}: {{kind: file, id: /path/{name}.safetensors}}}}, or remove it"
    return _Syntax(EMBEDDING, f"a textual inversion that is not among stylize.embeddings{there}", fix)


def place(text: str, at: int) -> str:
    """A position in a text for people: line and character, from 1."""
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return f"line {line}, character {column}" if "\n" in text.strip("\n") else f"character {column}"


def caret(text: str, start: int, end: int) -> str:
    """The line around ``start``, with ^ under the part found; wide characters count two columns."""
    left = text.rfind("\n", 0, start) + 1
    right = text.find("\n", start)
    line = text[left : right if right >= 0 else len(text)].replace("\t", " ")
    start, end = start - left, min(end - left, len(line))
    cut = max(0, start - _SHOWN // 2)
    shown = line[cut : cut + _SHOWN]
    before, marked = line[cut:start], line[start : min(end, cut + _SHOWN)]
    lead, tail = "..." if cut else "", "..." if cut + _SHOWN < len(line) else ""
    return f"  {lead}{shown}{tail}\n  {' ' * (len(lead) + _columns(before))}{'^' * max(1, _columns(marked))}"


def _columns(text: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
