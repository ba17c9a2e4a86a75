"""What writers share: a schedule as rows of frame and content for tools that know nothing but key frames."""

from __future__ import annotations

import itertools

import numpy as np

from reel.errors import UserError
from reel.schedule.dialects.base import Target
from reel.schedule.model import Schedule
from reel.schedule.plan import Plan, make_plan
from reel.schedule.texts import TextPair, full_text

Row = tuple[int, TextPair]


def frames_for(schedule: Schedule, target: Target) -> int:
    """The number of frames to write for; where no key depends on it, just enough for all keys.

    Raises: UserError (RS509) when it is needed and not known.
    """
    known = target.frames or schedule.frames
    if known:
        if not all(k.at.absolute and (k.until is None or k.until.absolute) for k in schedule.keys):
            target.say("RS503", f"places are written as frames of a clip of {known} frames at {target.fps:g} fps")
        return known
    fixed = all(k.at.absolute and (k.until is None or k.until.absolute) for k in schedule.keys)
    if not fixed or schedule.loop or schedule.hold_ratio is not None or schedule.outside is not None:
        raise UserError(
            "this needs the number of frames: the schedule counts from the end, in percent or seconds, or loops",
            fix="--frames 96 (and --fps 12 for seconds)",
        )
    return max(1, *(int(k.until.value if k.until else k.at.value + 1) for k in schedule.keys))


def plan_for(schedule: Schedule, target: Target) -> Plan:
    return make_plan(schedule, frames_for(schedule, target), target.fps)


def spans(plan: Plan) -> list[tuple[int, int, int | None]]:
    """For each key: first frame, last frame that shows it alone, and the frame of the next key (None at the end).

    In a loop the last key is followed by the first one at N + its place.
    """
    schedule, count = plan.schedule, len(plan.keys)
    result: list[tuple[int, int, int | None]] = []
    for i, key in enumerate(plan.keys):
        following = int(plan.start[i + 1]) if i + 1 < count else None
        if following is None and schedule.loop:
            following = plan.frames + int(plan.start[0])
        held = int(plan.held[i])
        if schedule.then_of(key).mode == "hold" and following is not None:
            held = following - 1
        result.append((int(plan.start[i]), held, following))
    return result


def keyed_rows(schedule: Schedule, target: Target, *, wrap: bool, inside: bool = False) -> list[Row]:
    """Rows for a tool that fades along a straight line from each row to the next.

    Args:
        wrap: a loop is written by one more key beyond the last frame.
        inside: rows at or beyond the last frame are not allowed.
    """
    plan = plan_for(schedule, target)
    rows: dict[int, TextPair] = {}
    for (start, held, following), key in zip(spans(plan), plan.keys, strict=True):
        text = full_text(schedule, key)
        then = schedule.then_of(key)
        if then.mode == "ease" and then.curve != "linear" and following is not None and following - held > 1:
            target.say("RS501", f"'{then}' is written as a straight fade")
        if held >= 0:
            rows[max(start, 0)] = text
        if held > start and held >= 0 and following is not None:
            rows[held if wrap else min(held, max(start, plan.frames - 1))] = text
        if following is not None and following >= plan.frames and wrap and schedule.loop and key is plan.keys[-1]:
            rows[following] = full_text(schedule, plan.keys[0])
    if not wrap and schedule.loop:
        target.say("RS502", "the travel back to the first key is left out")
    ordered = sorted(rows.items())
    if not inside:
        return ordered
    # where all keys lie beyond the clip, its frames show the first of them
    return [row for row in ordered if row[0] < plan.frames] or [(0, full_text(schedule, plan.keys[0]))]


def say_numbers(plan: Plan, target: Target, fades: bool) -> None:
    """RS507 where formulas, curves, or (``fades``: not known to the target) straight fades become numbers."""
    moving = plan.schedule.outside is None and plan.weight > 0
    thens = [plan.schedule.then_of(plan.keys[i]) for i in np.unique(plan.index[moving]).tolist()]
    if any(not (key.value and key.value.constant) for key in plan.keys) or any(
        not fades or (then.mode == "ease" and then.curve != "linear") for then in thens
    ):
        target.say("RS507", "what the target cannot say (formulas, curves, fades) is written as numbers")


def value_rows(values: np.ndarray) -> list[tuple[int, float]]:
    """Key frames that give exactly these values when joined by straight lines, without those inside equal runs."""
    if len(values) < 3:
        return list(enumerate(values.tolist()))
    keep = np.ones(len(values), bool)
    keep[1:-1] = (values[1:-1] != values[:-2]) | (values[1:-1] != values[2:])
    return [(int(i), float(values[i])) for i in np.flatnonzero(keep)]


def runs(values: np.ndarray) -> list[tuple[int, int, float]]:
    """(first, after, value) of each stretch of equal values."""
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return [(a, b, float(values[a])) for a, b in itertools.pairwise(edges) if b > a]
