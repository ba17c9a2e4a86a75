"""docs/troubleshooting.md quotes messages as they are printed: each is still in the source, word for word."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "troubleshooting.md"
QUOTED = re.compile(r"^\*\*`(.+)`\*\*$", re.MULTILINE)
PLACEHOLDER = re.compile(r"<[^<>]+>")
HOLE = "\0"
"""Stands in a message of the source for what is filled in."""


def quoted() -> list[str]:
    return QUOTED.findall(PAGE.read_text("utf-8"))


@functools.cache
def messages() -> list[str]:
    """Every text of the source but docstrings; f-strings have `HOLE` for each value, adjacent literals are one."""
    files = (path for package in ("reel", "tasks", "flows") for path in sorted((ROOT / package).rglob("*.py")))
    return [text for path in files for text in texts(ast.parse(path.read_text("utf-8")))]


def texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not isinstance(tree, ast.Expr):
            yield re.sub(r"%[sd]", HOLE, node.value)
        yield from texts(node)


def fixed(shown: str) -> list[str]:
    """What a quoted message says in so many words, around its placeholders: three words or more."""
    parts = [part for part in (part.strip(" :'()") for part in PLACEHOLDER.split(shown)) if part]
    assert sum(len(part.split()) for part in parts) >= 3, f"too few words of its own: {shown}"
    return parts


def says(message: str, parts: Sequence[str]) -> bool:
    """Whether a message of the source has these parts, in their order."""
    at = 0
    for part in parts:
        at = message.find(part, at) + len(part)
        if at < len(part):
            return False
    return True


@pytest.mark.parametrize("shown", quoted())
def test_a_quoted_message_is_in_the_source(shown: str) -> None:
    parts = fixed(shown)
    assert any(says(message, parts) for message in messages())


def test_there_are_enough_and_none_twice() -> None:
    assert len(quoted()) == len(set(quoted()))
    assert len(quoted()) >= 40


def test_only_fixed_words_count() -> None:
    message = f"clip: there is no file {HOLE}{HOLE}"
    assert says(message, fixed("clip: there is no file <path>"))
    assert not says(message, fixed("clip: there was no file <path>"))
    assert not says(message, fixed("clip: there is a file <path>, no"))
    assert not says("no file of yours", fixed("there is no file <path>"))
