"""What became of a file's values: mapped, approximated and how, not mapped and why, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from reel.comfy.node import Link
from reel.imports.draft import Draft
from reel.imports.found import Entry

FATES = ("mapped", "approximated", "not mapped")
_MOST = 3
"""Values of one reason that are named one by one; of more, these and their number."""


def plain(draft: Draft) -> dict[str, Any]:
    """The whole report as plain data, every leaf in exactly one list."""
    return {
        "format": draft.format,
        "flow": draft.flow,
        **{fate.replace(" ", "_"): [_row(entry) for entry in draft.of(fate)] for fate in FATES},
        "asked": dict(draft.asked),
        "implied": dict(draft.implied),
        "notes": list(draft.notes),
    }


def _row(entry: Entry) -> dict[str, Any]:
    value = entry.leaf.value
    return {
        "place": entry.leaf.place,
        "value": str(value) if isinstance(value, Link) else value,
        "keys": list(entry.keys),
        "how": entry.how,
    }


def text(draft: Draft) -> str:
    """The report for people: values in settings one by one, the others by their reasons."""
    rows: list[str] = []
    for fate in FATES:
        entries = draft.of(fate)
        if entries:
            rows.append(f"{fate} ({len(entries)})")
            rows += [f"  {row}" for row in _rows(entries, fate)]
    if draft.implied:
        rows.append("follows from it")
        rows += [f"  {key}={draft.values.get(key)}: {why}" for key, why in draft.implied.items()]
    if draft.asked:
        rows.append("asked for")
        rows += [f"  {key}: {why}" for key, why in draft.asked.items()]
    rows += [f"note: {note}" for note in draft.notes]
    return "\n".join(rows)


def _rows(entries: list[Entry], fate: str) -> Iterator[str]:
    grouped: dict[tuple[tuple[str, ...], str], list[Entry]] = {}
    for entry in entries:
        keys = entry.keys if fate != "not mapped" else ()
        reason = (
            "a link that was followed"
            if isinstance(entry.leaf.value, Link) and not keys and fate == "mapped"
            else entry.how
        )
        grouped.setdefault((keys, reason), []).append(entry)
    for (keys, reason), found in sorted(grouped.items(), key=lambda one: not one[0][0]):
        places = [f"{one.leaf.place}{_shown(one.leaf.value)}" for one in found[:_MOST]]
        more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
        target = f" -> {', '.join(_short(keys))}" if keys else ""
        yield f"{'; '.join(places)}{more}{target}{f': {reason}' if reason else ''}"


def _short(keys: tuple[str, ...]) -> list[str]:
    return [*keys[:4], *(["..."] if len(keys) > 4 else [])]


def _shown(value: Any) -> str:
    """``=value`` where it is short; texts that are long, and links, are known by their places."""
    if isinstance(value, Link) or value in ("", [], {}):
        return ""
    words = re.sub(r"\s+", " ", str(value))
    return f"={words}" if len(words) <= 40 else f"={words[:36]}..."
