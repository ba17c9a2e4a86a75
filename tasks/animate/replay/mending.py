"""Pipelines of Wan mend texts with ftfy before they embed them, and stop with a NameError where it is not installed.

What ftfy leaves as it is needs none of it, and that is nearly every English prompt.
"""

from __future__ import annotations

import contextlib
import html
import importlib.util
import sys
from collections.abc import Iterator
from types import SimpleNamespace

from reel.errors import UserError


def _as_it_is(text: str) -> str:
    """A text that ftfy would not change.

    Raises:
        UserError: letters or marks that it may mend.
    """
    odd = next((letter for letter in text if not (letter.isascii() and (letter.isprintable() or letter == "\n"))), "")
    if not odd and html.unescape(text) != text:
        odd = "&"
    if odd:
        raise UserError(
            f"prompt: {odd!r} is a character that Wan's pipelines mend with the package ftfy, which is not installed",
            fix="pip install ftfy, or say it in plain English letters",
        )
    return text


@contextlib.contextmanager
def mended(pipeline: type) -> Iterator[None]:
    """Inside the block the pipeline's module has a `ftfy` that takes plain texts, if it has none of its own."""
    module = sys.modules[pipeline.__module__]
    if hasattr(module, "ftfy") or not hasattr(module, "prompt_clean"):
        yield
        return
    module.ftfy = SimpleNamespace(fix_text=_as_it_is)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del module.ftfy


def check(texts: list[tuple[str, str]]) -> None:
    """Refuse texts that cannot be mended here. Loads nothing.

    Raises:
        UserError: a text with letters that need ftfy, where it is not installed.
    """
    if importlib.util.find_spec("ftfy") is None:
        for pair in texts:
            for text in pair:
                _as_it_is(text)
