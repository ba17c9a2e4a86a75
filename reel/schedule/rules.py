"""Rules about keys, values and pictures. Each adds findings at places in the user's text."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np

from reel.errors import UserError
from reel.schedule.compile import compile_values
from reel.schedule.expressions import Expression, ExpressionError, parse_expression
from reel.schedule.facts import Facts
from reel.schedule.model import Key
from reel.schedule.texts import BACKTICKS

SHARED = 16
"""Uses from which on a formula is computed for the whole clip at once."""


def order(facts: Facts) -> None:
    """RS205: only where the tool minds."""
    name = facts.dialect.name
    if name not in ("webui", "evolved", "evolved-json"):
        return
    highest = -(10**9)
    for at, _, key in facts.placed:
        if at < highest:
            if name == "webui":
                facts.say(
                    "RS205",
                    f"frame {at} comes after frame {highest}: the tool fails on it",
                    key,
                    severity="error",
                    fix="put the lines in order",
                )
            else:
                facts.say("RS205", f"index {at} comes after {highest}: the tool walks from {highest} back to {at}", key,
                          fix="put the entries in order")  # fmt: skip
        highest = max(highest, at)


def duplicates(facts: Facts) -> None:
    """RS204."""
    seen: dict[int, Key] = {}
    for at, _, key in facts.placed:
        if at in seen:
            line, _ = facts.report.source.place(seen[at].place.start)
            facts.say(
                "RS204",
                f"frame {at} has an entry already (line {line}): the last one wins",
                key,
                fix="leave one of the two out",
            )
        seen[at] = key


def beyond_the_end(facts: Facts) -> None:
    """RS203: needs the number of frames."""
    if facts.frames is None:
        return
    what = {
        "webui": "the tool fails on it",
        "travel": "the tool drops it silently",
        "fizz": "the fade towards it never arrives",
        "fizz-value": "the tool ignores it and holds the value before",
        "deforum": "the tool ignores it and holds the value before",
    }.get(facts.dialect.name, "it is never reached")
    for at, _, key in facts.placed:
        if at >= facts.frames:
            last = f"the clip has {facts.frames} frames, 0 to {facts.frames - 1}"
            facts.say(
                "RS203",
                f"frame {at} lies beyond the end: {what} ({last})",
                key,
                fix=f"{facts.frames - 1} at most",
                severity="error" if facts.dialect.name == "webui" else None,
            )


def first_key(facts: Facts) -> None:
    """RS208."""
    if (
        facts.report.errors
        or not facts.placed
        or len(facts.placed) < len(facts.schedule.keys)
        or facts.schedule.outside is not None
    ):
        return
    at, _, key = min(facts.placed, key=lambda p: p[0])
    if at <= 0 or (facts.schedule.what == "track" and key.prompt is None):
        return
    if facts.dialect.name in ("fizz-value", "deforum"):
        facts.say(
            "RS208",
            f"the first key is {at}: the node crashes, since frame 0 has no value",
            key,
            severity="error",
            fix="begin with 0:(...)",
        )
        return
    what = "they travel from the last prompt" if facts.schedule.loop else "they get this first entry as well"
    facts.say("RS208", f"the first key is {at}; frames 0 to {at - 1} have none: {what}", key, fix="a key at 0")


def overlaps(facts: Facts) -> None:
    """RS207: a range that is cut short by a later key."""
    ordered = sorted(facts.placed, key=lambda p: p[0])
    for (a, until, key), (b, _, other) in itertools.pairwise(ordered):
        if until is not None and a < b < until:
            line, column = facts.report.source.place(key.place.start)
            facts.say(
                "RS207",
                f"frame {b} lies inside the range {a}-{until} (line {line}, column {column}), which ends here",
                other,
                fix=f"end that range at {b}",
            )


def last_transition(facts: Facts) -> None:
    """RS319: someone who writes `0: a; 24 blend: b` expects to arrive at b slowly."""
    schedule = facts.schedule
    own = facts.dialect.name in ("short", "yaml")  # in the others a transition is not the writer's choice
    if not own or schedule.loop or schedule.what == "track" or len(facts.placed) < max(2, len(schedule.keys)):
        return
    _, _, key = max(facts.placed, key=lambda placed: placed[0])
    if key.then is not None and key.then.mode != "hold":
        facts.say(
            "RS319",
            f"'{key.then}' on the last key does nothing: it would lead to the key after it",
            key,
            fix=f"'{key.then}' on the key before, so that it leads here",
        )


def undefined(facts: Facts) -> None:
    """RS407: evaluates every formula over the frames that use it."""
    plan = facts.plan
    if plan is None:
        return
    edges = [*plan.start.tolist(), plan.frames]
    used: Counter[str] = Counter()
    whole: dict[str, np.ndarray] = {}
    for i, key in enumerate(plan.keys):
        first, after = max(0, edges[i]), min(facts.judged, max(edges[i + 1], edges[i] + 1))
        for text, formula in _formulas(facts, key):
            used[text] += 1
            if used[text] == SHARED:  # many keys share it: once over the whole clip is cheaper
                whole[text] = np.isfinite(formula.evaluate(plan.env(np.arange(plan.frames))))
            if text in whole and first < after:
                good = whole[text][first:after]
            else:
                good = np.isfinite(formula.evaluate(plan.env(np.arange(first, max(after, first + 1)))))
            if not good.all():
                facts.say("RS407", f"'{text[:40]}' is undefined at frame {first + int(good.argmin())}", key, body=True,
                          fix="keep divisors away from 0, roots and logarithms above it")  # fmt: skip


def _formulas(facts: Facts, key: Key) -> Iterator[tuple[str, Expression]]:
    for formula in (key.value, key.strength):
        if formula is not None and formula.root.op != "num":
            yield formula.text, formula
    names = frozenset(name for name, _ in facts.schedule.variables)
    for text in BACKTICKS.findall(f"{key.prompt or ''} {key.negative}") if "`" in f"{key.prompt}{key.negative}" else ():
        try:
            yield text, parse_expression(text, names)
        except ExpressionError:
            continue


def value_range(facts: Facts) -> None:
    """RS307."""
    if facts.value_range is None or facts.schedule.what != "value" or facts.plan is None:
        return
    low, high = facts.value_range
    try:
        values = compile_values(facts.schedule, facts.length, facts.fps, facts.seed)
    except UserError:
        return
    told: set[int] = set()
    wrong = (values < low - 1e-9) | (values > high + 1e-9)
    for at in np.flatnonzero(wrong[: facts.judged]).tolist():
        index = int(facts.plan.index[at])
        if index not in told:
            told.add(index)
            facts.say(
                "RS307",
                f"{values[at]:.4g} at frame {at} lies outside {low:g} to {high:g}",
                facts.plan.keys[index],
                body=True,
                severity="error" if facts.rendered else None,
                fix=f"a value from {low:g} to {high:g}; around a formula: clip(..., {low:g}, {high:g})",
            )


def missing_pictures(facts: Facts) -> None:
    """RS317: only where the folder is known."""
    if facts.folder is None:
        return
    for key in facts.schedule.keys:
        if key.picture is not None and not (facts.folder / key.picture).is_file():
            facts.say("RS317", f"there is no picture '{key.picture}' in {facts.folder}", key, body=True)
