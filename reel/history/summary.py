"""A render in a few words, for lists: of what it is, what it shows, how it is called, and what is new in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from reel.history.comparison import ABSENT, settings, text
from reel.history.record import RenderRecord
from reel.nested import at

_SUBJECTS = ("clip", "picture", "extend")
"""Settings that name what a render is made from, the likeliest first."""
_FOLLOWS = ("prompt", "prompt_schedule")
"""Settings that lists show in a column of their own."""


def subject(record: RenderRecord) -> str:
    """What it is made from: a file's name without folder and ending; empty: it is not made from a file."""
    named = (at(record.config, key) for key in _SUBJECTS)
    return next((PurePath(name).stem for name in named if isinstance(name, str) and name), "")


def prompt(record: RenderRecord) -> str:
    """What it shall show: the prompt schedule or the prompt, on one line."""
    found = next((at(record.config, key) for key in reversed(_FOLLOWS) if at(record.config, key)), "")
    return " ".join(str(found).split())


def weights(record: RenderRecord) -> dict[str, float]:
    """Weight by control in use."""
    controls = record.config.get("controls")
    parts = controls.items() if isinstance(controls, Mapping) else ()
    found = {name: at(part, "weight") for name, part in parts if isinstance(part, Mapping)}
    return {name: weight for name, weight in found.items() if isinstance(weight, int | float) and weight}


def name(record: RenderRecord) -> str:
    """What tells it from others: its title, or ``boxer · pose 1.0 · lineart 0.3``; else its flow and id."""
    if record.title:
        return record.title
    told = [subject(record), *(f"{control} {float(weight)}" for control, weight in weights(record).items())]
    return " · ".join(filter(None, told)) or f"{record.flow} {record.run}"


def changes(record: RenderRecord, before: RenderRecord | None) -> dict[str, tuple[str, str]]:
    """Settings that can change the pictures and differ from another render's, each with the value then and now.

    Of a model that differs only the name is told.
    """
    if before is None:
        return {}
    then, now = settings(before), settings(record)
    keys = [key for key in {**now, **then} if then.get(key) != now.get(key)]
    if "model.name" in keys:
        keys = [key for key in keys if not key.startswith("model.") or key == "model.name"]
    return {key: (_shown(then.get(key)), _shown(now.get(key))) for key in keys}


def _shown(value: Any) -> str:
    return ABSENT if value is None else text(value)


def before_each(records: Sequence[RenderRecord]) -> dict[str, RenderRecord]:
    """By run the render that a person made before it: the last one of its flow from the same source.

    Args:
        records: oldest first. Parts of a search are no renders that a person made.
    """
    last: dict[tuple[str, str], RenderRecord] = {}
    found = {}
    for record in records:
        if record.parent is not None:
            continue
        kind = (record.flow, subject(record))
        if kind in last:
            found[record.run] = last[kind]
        last[kind] = record
    return found
