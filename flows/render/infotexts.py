"""A pasted infotext as a prompt: the negative prompt goes where it belongs, and what becomes of the rest is said."""

from __future__ import annotations

import functools
import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from reel.infotext import split_infotext

log = logging.getLogger(__name__)
_PROMPTS = ("prompt", "positive_prompt", "Prompt", "full_prompt", "c")
"""What programs call it (Fooocus, InvokeAI, SwarmUI, Draw Things)."""
_KEY = re.compile(r"^\s*\d+\s*:\s*\S.*$", re.MULTILINE)


def taken_apart(data: Any) -> Any:
    """Settings as plain data, an infotext under ``prompt`` divided among ``prompt`` and ``negative_prompt``.

    Raises:
        ValueError: its prompt changes over the frames, or there is none; or the prompt is another program's JSON.
    """
    prompt = data.get("prompt") if isinstance(data, Mapping) else None
    if isinstance(prompt, str):
        _refuse_metadata(prompt)
    found = split_infotext(prompt) if isinstance(prompt, str) else None
    if found is None:
        return data
    if not found.positive:
        raise ValueError("prompt: an infotext of the web UI without a prompt; write one before its 'Negative prompt:'")
    if key := _KEY.search(found.positive):
        raise ValueError(
            f"prompt: this infotext's prompt changes over the frames ({key[0].strip()[:40]}); give it as "
            "prompt_schedule, which reads its keys and its negative prompt"
        )
    _said("; ".join(filter(None, ("its negative prompt is taken" if found.negative else "", found.described()))))
    given = data.get("negative_prompt") or ""
    negative = ", ".join(part for part in (given, found.negative) if isinstance(part, str) and part)
    return {**data, "prompt": found.positive, "negative_prompt": negative}


def _refuse_metadata(prompt: str) -> None:
    """Raises: ValueError for a JSON object, whose names would be words of the picture: no prompt is one."""
    text = prompt.strip("\ufeff \t\r\n")
    if not text.startswith("{") or not text.endswith("}"):
        return
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return
    words = next((found[name] for name in _PROMPTS if isinstance(found.get(name), str)), None)
    fix = f"give the text of its prompt alone: {words[:60]}" if words else "give the text of its prompt alone"
    raise ValueError(f"prompt: this is JSON, which a program wrote beside a picture, not words of one; {fix}")


@functools.cache
def _said(what: str) -> None:
    """Once in a process: the points of a sweep are checked one by one."""
    log.warning("prompt: an infotext of the web UI: %s", what or "it has no parameters")
