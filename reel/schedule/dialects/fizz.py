"""FizzNodes prompt schedules: ``"0": "prompt", "24": "other prompt --neg blurry"``, without outer braces."""

from __future__ import annotations

import json
import re

from reel.schedule.dialects.base import Dialect, Options, Target, check_formulas, prompt_key, zero_variables
from reel.schedule.findings import Edit, Report
from reel.schedule.jsonish import Form, Member, Reader, Refused
from reel.schedule.model import BLEND, Key, Schedule, Span, What
from reel.schedule.segments import keyed_rows
from reel.schedule.times import Time, TimeError, parse_time, shift_max_f

FORM = Form(sign=":", quoted_keys=True, escapes=True, newlines="delete")
INPUTS = ("pw_a", "pw_b", "pw_c", "pw_d")


def parse(report: Report, what: What, options: Options) -> Schedule | None:
    """The node's text: prompts fade along a straight line from each key to the next over the whole interval."""
    start, stop = _without_braces(report)
    _check_inputs(report, options)
    try:
        members = Reader(report, FORM, start, stop).members()
    except Refused:
        return None
    keys = [key for member in members if (key := _key(report, member)) is not None]
    names = frozenset(INPUTS)
    for key in keys:
        check_formulas(report, key, names, letter_t=True)
    if not keys:
        return None
    pre, pre_neg = _halves(options.head)
    app, app_neg = _halves(options.tail)
    return Schedule(
        "prompt",
        tuple(keys),
        BLEND,
        head=pre,
        tail=app,
        negative=" ".join(filter(None, (pre_neg, app_neg))),
        joiner=" ",
        variables=zero_variables(report, keys, INPUTS),
        dialect="fizz",
    )


def _halves(text: str) -> tuple[str, str]:
    positive, *rest = text.split("--neg")
    return positive.strip(), (rest[0].strip() if rest else "")


def _check_inputs(report: Report, options: Options) -> None:
    for name, text in (("pre text", options.head), ("app text", options.tail)):
        if text.count("--neg") > 1:
            report.add("RS311", f"the {name} has --neg {text.count('--neg')} times: the node crashes on it", 0, 0,
                       severity="error", fix="one --neg with all negative words")  # fmt: skip


def _without_braces(report: Report) -> tuple[int, int]:
    """The part inside outer braces, which the node adds itself."""
    text = report.source.text
    start, stop = len(text) - len(text.lstrip("\ufeff \t\r\n")), len(text.rstrip())
    if text[start : start + 1] not in ("{", "｛"):
        return start, stop
    edits = [Edit(start, start + 1, "")]
    closed = text[stop - 1] in "}｝" and stop - 1 > start
    if closed:
        edits.append(Edit(stop - 1, stop, ""))
    report.add("RS101", "FizzNodes puts the outer braces around the text itself: with these its JSON breaks", start,
               fix="leave the outer { } out", edits=tuple(edits), certain=True)  # fmt: skip
    return start + 1, stop - 1 if closed else stop


def _key(report: Report, member: Member) -> Key | None:
    at = place(report, member.key, member.start, member.stop, max_f_is_count=True)
    value = member.value
    if value.kind in ("object", "list"):
        report.add(
            "RS114", f"the prompt of key {member.key} is a {value.kind}; it must be one quoted text", *value.outer
        )
        return None
    if value.kind == "bare" and re.fullmatch(r"\(?[-+.\d]+\)?", value.text):
        report.add("RS115", f"key {member.key} has a number: this looks like a value schedule", *value.outer,
                   fix="a value schedule node, written 0:(0.5), 24:(0.8)")  # fmt: skip
        return None
    if value.kind == "bare":
        quote = json.dumps(value.text, ensure_ascii=False)
        report.add("RS117", "the prompt needs double quotes", *value.outer, fix=quote[:60],
                   edits=(Edit(value.start, value.stop, quote),), certain='"' not in value.text)  # fmt: skip
    if at is None:
        return None
    return prompt_key(report, at, value.text, Span(member.start, member.stop), Span(value.start, value.stop))


def place(report: Report, text: str, start: int, stop: int, *, max_f_is_count: bool) -> Time | None:
    """A key: a whole number, or a formula over max_f.

    Args:
        max_f_is_count: max_f stands for N (prompt keys) rather than N - 1 (value keys).
    """
    word = text.strip()
    if re.fullmatch(r"[+-]?\d{1,9}", word):
        if word.startswith("-"):
            report.add("RS209", f"{word} is a frame before the start here; nothing counts from the end", start, stop,
                       severity="warning", fix=f"max_f{word}")  # fmt: skip
        return Time("frame", float(word))
    if re.fullmatch(r"[+-]?\d*\.\d+", word):
        report.add(
            "RS202",
            f"{word} is between two frames: the node takes it for a number and crashes on it",
            start,
            stop,
            fix=f"{int(float(word))} or {int(float(word)) + 1}",
        )
        return None
    if re.fullmatch(r"\d+\s*[-:–]\s*\d+:?|\d+:", word):
        why = (
            "a range, which belongs to AnimateDiff-Evolved or our own form"
            if ":" in word
            else "a subtraction here, not a range"
        )
        report.add("RS201", f"'{word}' is {why}", start, stop, fix="one frame number for each key")
        return None
    try:
        time = parse_time(word)
    except TimeError as error:
        report.add(error.code, error.message, start, stop, fix=error.fix)
        return None
    if time.kind in ("percent", "seconds", "end"):
        report.add("RS201", f"'{word}' is not a key of this dialect", start, stop, fix="a frame number, or max_f/2")
        return None
    if time.formula is not None and max_f_is_count:
        return Time("formula", formula=shift_max_f(time.formula, 1))
    return time


def write(schedule: Schedule, target: Target) -> str:
    """Keys as frames; a hold is written by repeating its prompt on the last frame before the change."""
    rows = keyed_rows(schedule, target, wrap=True)
    if schedule.mixing == "slerp":
        target.say("RS508", "the prompts are mixed along a straight line, not along an arc")
    lines = []
    for at, (positive, negative) in rows:
        text = " ".join(f"{positive} --neg {negative}".split()) if negative else " ".join(positive.split())
        lines.append(f'"{at}": {json.dumps(text, ensure_ascii=False)}')
    return ",\n".join(lines) + "\n"


DIALECT = Dialect(
    "fizz", "FizzNodes prompt schedule", ("prompt",), parse, write, fades=True, page="fizznodes-prompt.md"
)
