"""Writes a schedule in any dialect, says what the dialect cannot express, and proves the rest by reading it back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reel.errors import UserError
from reel.schedule.compile import PromptTrack, compile_pictures, compile_prompts, compile_values
from reel.schedule.dialects.base import Dialect, Target
from reel.schedule.dialects.catalogue import by_name
from reel.schedule.findings import Finding
from reel.schedule.model import Schedule
from reel.schedule.read import parse


@dataclass(frozen=True)
class Written:
    """A text and what was lost on the way (codes RS5xx); ``exact``: read back, it gives the same arrays."""

    text: str
    notes: list[Finding]
    exact: bool


def write(schedule: Schedule, dialect: str, frames: int | None = None, fps: float | None = None) -> Written:
    """Write in a dialect.

    Args:
        frames: number of frames N; needed where the target knows frame numbers only and the schedule does not.
        fps: frames per second, for keys in seconds.

    Raises:
        UserError: the target has no form for this kind, or N is needed and not given.
    """
    chosen = by_name(dialect)
    target = Target(frames or schedule.frames, fps or schedule.fps or 12.0)
    reduced = _reduced(schedule, chosen, target)
    text = chosen.write(reduced, target)
    exact, where = _same(schedule, reduced, text, chosen, target)
    if not exact:
        target.say("RS501", where)
    return Written(text, target.report.sorted(), exact)


def _reduced(schedule: Schedule, chosen: Dialect, target: Target) -> Schedule:
    """The part of a track that a dialect of prompts can take."""
    if schedule.what in chosen.kinds:
        return schedule
    if schedule.what == "track" and "prompt" in chosen.kinds:
        keyed = (key for key in schedule.keys if key.prompt is not None)
        keys = tuple(replace(key, picture=None, strength=None, by=None) for key in keyed)
        if keys:
            target.say("RS506", "pictures and their strengths are left out")
            return replace(schedule, what="prompt", keys=keys)
    raise UserError(
        f"{chosen.title} has no schedules of kind '{schedule.what}'",
        fix=f"a dialect with '{schedule.what}', such as yaml",
    )


def _same(schedule: Schedule, reduced: Schedule, text: str, chosen: Dialect, target: Target) -> tuple[bool, str]:
    """Whether the text gives the same per-frame arrays, and if not, where it first differs."""
    parsed = parse(text, chosen.name, reduced.what)
    if parsed.schedule is None or parsed.report.errors:
        found = parsed.report.errors
        return False, f"the written text does not read back: {found[0].message if found else 'no key'}"
    frames = target.frames or _span(reduced)
    try:
        if reduced.what == "value":
            left, right = (compile_values(s, frames, target.fps) for s in (reduced, parsed.schedule))
            differ = np.abs(left - right) > 1e-9
            return not differ.any(), f"values differ from frame {int(np.argmax(differ))} on"
        if any(key.prompt is not None for key in reduced.keys):
            one, two = (compile_prompts(s, frames, target.fps) for s in (reduced, parsed.schedule))
            if not one.same(two):
                first = next(f for f in range(frames) if not _frame(one, f).same(_frame(two, f)))
                return False, f"the prompts' weights differ from frame {first} on"
        if reduced.what == "track":
            pictures = [compile_pictures(s, frames, target.fps) for s in (reduced, parsed.schedule)]
            same = [[(p.picture, p.start, p.stop, p.by, p.strength.tolist()) for p in side] for side in pictures]
            return same[0] == same[1], "the pictures' strengths, or what holds to them, differ"
    except UserError as error:
        return False, f"could not be checked: {error.message}"
    return True, ""


def _frame(track: PromptTrack, f: int) -> PromptTrack:
    return replace(track, a=track.a[f : f + 1], b=track.b[f : f + 1], blend=track.blend[f : f + 1])


def _span(schedule: Schedule) -> int:
    """Frames that cover all keys of a schedule without a length of its own."""
    known = [int(t.value) for key in schedule.keys for t in (key.at, key.until) if t is not None and t.kind == "frame"]
    return max([*known, 0]) + 2
