"""Prompt text: what the text encoder would not understand is refused with its place, never cut or read as words.

Emphasis, blends and LoRA tags are syntax of other programs. A CLIP text encoder reads `(red:1.2)` as the words "red",
"1", "2" between brackets, and the picture changes in ways nobody asked for.
"""

from __future__ import annotations

import re
import unicodedata
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
    _Syntax(re.compile(r"\bembedding\s*:\s*\S+", re.I), "a textual inversion", "remove it"),
    _Syntax(
        re.compile(r"\((?:[^()]|\([^()]*\))*:\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*\)"),
        "a weighted phrase (text:weight)",
        f"remove the weight; {_ESCAPE}",
    ),
    _Syntax(re.compile(r"\(\(.*?\)\)"), "emphasis by doubled brackets", f"single brackets are text; {_ESCAPE}"),
    _Syntax(re.compile(r"\[[^\[\]]*\]"), "de-emphasis or prompt editing in [ ]", f"remove the brackets; {_ESCAPE}"),
    _Syntax(
        re.compile(r"\{[^{}]*\|[^{}]*\}"), "a random choice {a|b}", "name one; choice(...) makes a sweep of prompts"
    ),
    _Syntax(re.compile(r"(?<!\w)__[\w/-]+__(?!\w)"), "a wildcard", "write the words themselves"),
    _Syntax(re.compile(r"(?<!\w)BREAK(?!\w)"), "BREAK (a chunk border)", "remove it, or write it in small letters"),
    _Syntax(re.compile(r"::\s*-?\d+(?:\.\d+)?"), "a weight after ::", "remove it"),
    _Syntax(re.compile(r"(?<!\S)--[a-z]+(?=\s+\S|$)"), "an option of another program (--name)", "remove it"),
)
_ESCAPED = re.compile(r"\\([()\[\]{}<>])")
_SHOWN = 90
"""Columns of the prompt shown around the place."""


def check_prompt(text: str, key: str) -> None:
    r"""Refuse syntax that the text encoder does not know. `\(` is a bracket that is only text, and so is a lone `(`.

    Args:
        key: the setting that holds the text, for the message.

    Raises:
        UserError: what was found, where (line and character, from 1), with a caret under it.
    """
    masked = _ESCAPED.sub("\0\0", text)  # same length, so that positions stay true
    found = [(match.start(), match.end(), syntax) for syntax in _TABLE for match in syntax.pattern.finditer(masked)]
    if not found:
        return
    start, end, syntax = min(found, key=lambda item: (item[0], -item[1]))
    raise UserError(
        f"{key}: {syntax.name} at {_place(text, start)} is not known to the text encoder\n{_caret(text, start, end)}",
        fix=syntax.fix,
    )


def plain(text: str) -> str:
    r"""The text as the encoder gets it: `\(` becomes `(`; every other character stays."""
    return _ESCAPED.sub(r"\1", text)


def _place(text: str, at: int) -> str:
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return f"line {line}, character {column}" if "\n" in text.strip("\n") else f"character {column}"


def _caret(text: str, start: int, end: int) -> str:
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
