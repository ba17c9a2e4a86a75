"""AnimateDiff-Evolved scheduling, in its JSON form (``"0": "text"``) and its pythonic form (``0 = "text"``)."""

from __future__ import annotations

import json
import re

from reel.schedule.compile import compile_values
from reel.schedule.dialects.base import (
    Dialect,
    Options,
    Target,
    check_formulas,
    read_value,
    show_computed,
    zero_variables,
)
from reel.schedule.findings import Report
from reel.schedule.jsonish import Form, Member, Reader, Refused
from reel.schedule.model import BLEND, HOLD, Key, Schedule, Span, Then, What
from reel.schedule.segments import frames_for, plan_for, runs, say_numbers, spans, value_rows
from reel.schedule.texts import full_text
from reel.schedule.times import Time

COMPOUND = Then("ease", "compound")
"""Each frame is mixed from the frame before: 1 - (1-1/D)(1-2/D)... of the way after each step of D."""

_INDEX = re.compile(r"\s*(-?\d{1,9}|-?\d*\.\d+|\d+\.)\s*")


def parse(report: Report, what: What, options: Options) -> Schedule | None:
    """Keys may be whole numbers, negative (from the end), decimal (share of N), ranges ``a:b``, or ``a:`` to hold."""
    values = what == "value"
    text = report.source.text
    start, stop = len(text) - len(text.lstrip("\ufeff \t\r\n")), len(text.rstrip())
    if text[start : start + 1] == "{" and text[stop - 1 : stop] == "}" and stop - start > 1:
        start, stop = start + 1, stop - 1  # the tool takes outer braces off
    pythonic = not text[start:stop].lstrip().startswith(('"', "“", "”", "'"))
    form = Form(
        "=" if pythonic else ":", quoted_keys=not pythonic, escapes=False, text_values=not values, newlines="keep"
    )
    try:
        members = Reader(report, form, start, stop).members()
    except Refused:
        return None
    keys = [key for member in members if (key := _key(report, member, values)) is not None]
    if not keys:
        return None
    if values:
        return Schedule("value", tuple(keys), BLEND, dialect="evolved")
    names = tuple(dict.fromkeys(re.findall(r"`([A-Za-z_]\w*)`", text)))
    for key in keys:
        check_formulas(report, key, frozenset(names))
    return Schedule(
        "prompt", tuple(keys), COMPOUND, head=options.head.strip(), tail=options.tail.strip(), dialect="evolved",
        variables=zero_variables(report, keys, names),
    )  # fmt: skip


def _key(report: Report, member: Member, values: bool) -> Key | None:
    value = member.value
    placed = place(report, member.key, member.start, member.stop)
    if value.kind in ("object", "list"):
        report.add("RS114", f"the value of key {member.key} is a {value.kind}", *value.outer)
        return None
    if values and value.kind == "text":
        report.add(
            "RS115",
            f"key {member.key} has a text where a number belongs",
            *value.outer,
            fix="a plain number, without quotes",
        )
        return None
    if not values and value.kind == "bare":
        if re.fullmatch(r"[-+.\d]+", value.text):
            report.add("RS115", f"key {member.key} has a number: this looks like a value schedule", *value.outer)
        else:
            report.add(
                "RS117",
                "the prompt needs double quotes",
                *value.outer,
                fix=json.dumps(value.text[:50], ensure_ascii=False),
            )
        return None
    if placed is None:
        return None
    at, until, hold = placed
    spans_ = {"place": Span(member.start, member.stop), "body": Span(value.start, value.stop)}
    then = HOLD if hold else None
    if not values:
        if hold:
            report.add(
                "RS308",
                "older versions show the NEXT prompt at once after this key; newer ones hold it",
                member.start,
                member.stop,
                fix="a range up to the next key, such as 0:24",
            )
        return prompt_key_plain(at, until, then, value.text, spans_)
    if not re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", value.text, re.ASCII):
        report.add("RS115", f"'{value.text[:30]}' is not a number; this dialect has no formulas", *value.outer)
        return None
    formula = read_value(report, value.text, value.start)
    return Key(at, until, value=formula, then=then, **spans_) if formula else None  # type: ignore[arg-type]


def prompt_key_plain(at: Time, until: Time | None, then: Then | None, text: str, spans_: dict[str, Span]) -> Key:
    """A prompt without a negative part: this dialect has none."""
    return Key(at, until, prompt=" ".join(text.split()), then=then, **spans_)  # type: ignore[arg-type]


def place(report: Report, text: str, start: int, stop: int) -> tuple[Time, Time | None, bool] | None:
    """(first, end of the range or None, holds) of an ``idx``."""
    word = text.strip()
    if word.startswith(":"):
        report.add("RS211", "a range cannot begin with ':'", start, stop, fix=f"0{word}")
        return None
    hold = word.endswith(":")
    parts = word.removesuffix(":").split(":")
    if len(parts) > 2:
        report.add("RS211", "a range has one colon", start, stop, fix=":".join(parts[:2]))
        return None
    times = [_index(report, part, start, stop) for part in parts]
    if len(times) == 1:
        return (times[0], None, hold) if times[0] else None
    first, after = times
    if first is None or after is None:
        return None
    if first.kind == after.kind and first.value > after.value:
        report.add(
            "RS206",
            f"the range {word} runs backwards: the tool swaps its ends",
            start,
            stop,
            severity="warning",
            fix=f"{parts[1]}:{parts[0]}",
        )
        first, after = after, first
    if first == after:
        return first, None, hold
    return first, after, hold


def _index(report: Report, part: str, start: int, stop: int) -> Time | None:
    match = _INDEX.fullmatch(part)
    if match is None:
        report.add("RS201", f"'{part[:30]}' is not an index of this dialect", start, stop,
                   fix="a whole number, -4 from the end, 0.5 for half-way, or a range 0:24")  # fmt: skip
        return None
    word = match[1]  # without the blanks around it, which may be stranger ones than float() takes
    if "." not in word:
        return Time("end" if "-" in word else "frame", float(word))
    share = float(word)
    if not 0 <= share <= 1:
        report.add("RS210", f"{word} is a share of the clip and must lie between 0.0 and 1.0", start, stop,
                   fix=f"{int(share)} for the frame")  # fmt: skip
        return None
    return Time("end", -1.0) if share == 1 else Time("percent", share * 100)


def write(schedule: Schedule, target: Target, pythonic: bool = True) -> str:
    """Prompts or values; holds become ranges up to the next key."""
    if schedule.what == "value":
        return _write_values(schedule, target, pythonic)
    plan = plan_for(schedule, target)
    rows: list[tuple[str, str]] = []
    linear = False
    for i, ((start, held, following), key) in enumerate(zip(spans(plan), plan.keys, strict=True)):
        positive, negative = full_text(schedule, key)
        if negative:
            target.say("RS504", "this dialect has no negative prompts in the schedule")
        then = schedule.then_of(key)
        fades = following is not None and following - held > 1
        linear |= fades and then.mode == "blend" and following is not None and following - held > 2
        if fades and then.mode == "ease" and then.curve != "compound":
            target.say("RS501", f"'{then}' is written as this dialect's own fade, which runs ahead of a straight one")
        place_ = f"{start}" if held <= start else f"{start}:{held + 1}"
        rows.append((place_, _clean(positive, target)))
        if i == len(plan.keys) - 1 and following is not None:
            rows.append((str(following), _clean(full_text(schedule, plan.keys[0])[0], target)))
    if linear:
        target.say(
            "RS501", "fades of this dialect are not straight: each frame is mixed from the one before (80 % half-way)"
        )
    if schedule.mixing == "slerp":
        target.say("RS508", "set the node's interpolation to slerp")
    if pythonic:
        return ",\n".join(f'{at} = "{text}"' for at, text in rows) + "\n"
    return ",\n".join(f'"{at}": "{text}"' for at, text in rows) + "\n"


def write_json(schedule: Schedule, target: Target) -> str:
    return write(schedule, target, pythonic=False)


def _clean(text: str, target: Target) -> str:
    if '"' in text:
        target.say("RS505", "a double quote cannot stand in a prompt of this dialect: written as '")
    return " ".join(text.replace('"', "'").split())


def _write_values(schedule: Schedule, target: Target, pythonic: bool) -> str:
    count = frames_for(schedule, target)
    values = compile_values(schedule, count, target.fps)
    plan = plan_for(schedule, target)
    say_numbers(plan, target, fades=True)
    straight = [at for at, _ in value_rows(values)]
    rows = _straight(values.tolist(), straight)
    form = "{} = {}" if pythonic else '"{}": {}'
    return ", ".join(form.format(a if b - a == 1 else f"{a}:{b}", show_computed(v)) for a, b, v in rows) + "\n"


def _straight(values: list[float], places: list[int]) -> list[tuple[int, int, float]]:
    """Runs of equal values as ranges, and of the rest only the frames that do not lie on a line between neighbours."""
    import numpy as np

    stretches = runs(np.asarray(values))
    kept: list[tuple[int, int, float]] = []
    for i, (a, b, v) in enumerate(stretches):
        if b - a == 1 and kept and i + 1 < len(stretches):
            before, after = kept[-1], stretches[i + 1]
            share = (a - (before[1] - 1)) / (after[0] - (before[1] - 1))
            if _on_line(values, before, after, share, a):
                continue
        kept.append((a, b, v))
    return kept


def _on_line(
    values: list[float], before: tuple[int, int, float], after: tuple[int, int, float], share: float, at: int
) -> bool:
    first, last = before[1] - 1, after[0]
    if last - first > 400:  # checking a long line again for each of its frames would take quadratic time
        return False
    return (
        all(
            abs(before[2] + (after[2] - before[2]) * (f - first) / (last - first) - values[f])
            <= 1e-12 * max(1.0, abs(values[f]))
            for f in range(first + 1, last)
        )
        and abs(share) <= 1
        and at > first
    )


PYTHONIC = Dialect(
    "evolved",
    "AnimateDiff-Evolved (pythonic)",
    ("prompt", "value"),
    parse,
    write,
    fades=True,
    page="animatediff-evolved.md",
)
JSON = Dialect(
    "evolved-json",
    "AnimateDiff-Evolved (JSON)",
    ("prompt", "value"),
    parse,
    write_json,
    fades=True,
    page="animatediff-evolved.md",
)
