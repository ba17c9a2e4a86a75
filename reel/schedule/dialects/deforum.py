"""Deforum: the prompts of its settings file, or the block of prompts alone; its value schedules are FizzNodes'.

Each prompt is HELD until the next key. Keys are numbers or formulas over ``max_f``, cut to a whole frame.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace

import numpy as np

from reel.schedule.compile import compile_prompts
from reel.schedule.dialects import fizz_value
from reel.schedule.dialects.base import Dialect, Options, Target, check_formulas, prompt_key
from reel.schedule.expressions import ExpressionError, parse_expression
from reel.schedule.findings import Edit, Report
from reel.schedule.jsonish import Form, Member, Reader, Refused, Value
from reel.schedule.model import HOLD, Key, Schedule, Span, What
from reel.schedule.segments import frames_for
from reel.schedule.times import Time, TimeError, parse_time

FORM = Form(sign=":", quoted_keys=True, escapes=True, last_comma=False)
PROMPTS = ("prompts", "animation_prompts")
COMMON = (("animation_prompts_positive", "positive_prompts"), ("animation_prompts_negative", "negative_prompts"))
"""Names of the words that all prompts have, new and old: before the positive ones, behind the negative ones."""
_SPACED = re.compile(r"--\s+neg\b")


def parse(report: Report, what: What, options: Options) -> Schedule | None:
    """A settings file or its prompts; a value schedule by itself is read as FizzNodes' is."""
    if what == "value":
        return _values(report, options)
    members = _members(report)
    if members is None:
        return None
    found = {member.key: member.value for member in members}
    if _of_another_tool(report, found):
        return None
    block = next((found[name] for name in PROMPTS if name in found), None)
    if block is not None:
        if block.kind != "object":
            report.add("RS114", "the prompts must be an object of frames and prompts", *block.outer)
            return None
        members = block.members
    keys = [key for member in members if (key := _key(report, member)) is not None]
    for key in keys:
        check_formulas(report, key, frozenset())
    if not keys:
        return None
    head, negative = (_text(report, found, names) for names in COMMON)
    keys = [replace(key, negative=f"{key.negative} {negative}".strip()) for key in keys]
    if block is not None:
        _left_out(report, found)
    return Schedule(
        "prompt",
        tuple(keys),
        HOLD,
        head=head,
        joiner=" ",
        beyond="drop",
        frames=int(_number(report, found, "max_frames", whole=True)) or None,
        fps=_number(report, found, "fps") or None,
        dialect="deforum",
    )


def _values(report: Report, options: Options) -> Schedule | None:
    if is_settings(report.source.text.lstrip("\ufeff \t\r\n")):
        names = ", ".join(dict.fromkeys(re.findall(r'"(\w+_schedule)"', report.source.text)))
        report.add("RS115", "this is a whole settings file of Deforum: its prompts can be read, for values give one of "
                   "its schedules by itself", 0, fix=names[:120] or '0:(0.65), 25:(0.55)')  # fmt: skip
        return None
    return fizz_value.parse(report, "value", options)


def is_deforum(body: str) -> bool:
    """Whether a text with outer braces is a settings file, or a block of prompts: FizzNodes' texts have no braces."""
    return is_settings(body) or re.match(r'\{\s*"', body) is not None


def is_settings(body: str) -> bool:
    """Whether a text is a whole settings file."""
    return body.startswith("{") and re.search(r"[\"'](animation_)?prompts[\"']\s*:\s*\{", body) is not None


def _members(report: Report) -> list[Member] | None:
    reader = Reader(report, FORM)
    try:
        if reader.skip() != "{":
            return reader.members()
        value = reader.value()
        if reader.skip():
            report.add("RS108", "text after the end of the object", reader.pos)
        return value.members
    except (Refused, IndexError):
        return None


def _key(report: Report, member: Member) -> Key | None:
    value = member.value
    if value.kind in ("object", "list"):
        report.add(
            "RS114", f"the prompt of key {member.key} is a {value.kind}; it must be one quoted text", *value.outer
        )
        return None
    if value.kind == "bare":
        number = re.fullmatch(r"\(?[-+.\d]+\)?", value.text)
        report.add("RS115" if number else "RS117", "a prompt must be one quoted text", *value.outer)
        return None
    at = _place(report, member)
    if at is None:
        return None
    for match in _SPACED.finditer(report.source.text, value.start, value.stop):
        start, stop = match.span()
        report.add("RS322", "'-- neg' with a blank is not --neg: these words stay in the positive prompt", start, stop,
                   fix="--neg", edits=(Edit(start, stop, "--neg"),))  # fmt: skip
    return prompt_key(report, at, value.text, Span(member.start, member.stop), Span(value.start, value.stop))


def _of_another_tool(report: Report, found: dict[str, Value]) -> bool:
    """Whether a file is a tool's whole work rather than a schedule: said once, instead of at each of its entries."""
    nodes = [name for name, value in found.items() if any(inner.key == "class_type" for inner in value.members)]
    if nodes or {"nodes", "links"} <= found.keys():
        what, fix = "a ComfyUI workflow", "the text of its prompt schedule node by itself"
    elif {"keyframes", "prompts"} <= found.keys() and found["keyframes"].kind == "list":
        what, fix = "a Parseq file", "its prompts as keys: 0: red top; 60: blue top"
    else:
        return False
    report.add("RS114", f"this is {what}, not a schedule", next(iter(found.values())).outer[0], fix=fix)
    return True


def _place(report: Report, member: Member) -> Time | None:
    """A number is cut to a whole frame (30.0, 12.7, 3e1), and so is what a formula gives; max_f is N - 1."""
    word = member.key.strip()
    try:
        formula = parse_expression(word)
    except ExpressionError as error:
        try:
            parse_time(word)
            message, fix = f"'{word[:40]}' is not a key of this dialect", "a frame number, or max_f/2"
        except TimeError as told:
            message, fix = told.message, told.fix or error.fix or "a frame number, or max_f/2"
        report.add("RS201", message, member.start, member.stop, fix=fix)
        return None
    if wrong := formula.names - {"max_f", "pi", "e"}:
        report.add(
            "RS402", f"a key cannot depend on {', '.join(sorted(wrong))}", member.start, member.stop, fix="max_f"
        )
        return None
    if not formula.constant:
        if not any(abs(float(formula.evaluate({"t": 0.0, "max_f": last}))) < 1e9 for last in (95.0, 96.0)):
            report.add("RS407", f"'{word[:40]}' is not a frame: it is undefined or far too large",
                       member.start, member.stop, fix="a frame number, or max_f/2")  # fmt: skip
            return None
        return Time("formula", formula=formula)
    value = float(formula.evaluate({"t": 0.0}))
    if not 0 <= value < 1e9:
        report.add("RS209", f"{word[:40]} is not a frame of a clip", member.start, member.stop, fix="a frame from 0")
        return None
    return Time("frame", float(int(value)))


def _text(report: Report, found: dict[str, Value], names: tuple[str, ...]) -> str:
    value = next((found[name] for name in names if name in found), None)
    if value is None:
        return ""
    if value.kind != "text":
        report.add("RS122", f"{names[0]} must be a quoted text", *value.outer)
        return ""
    return value.text


def _number(report: Report, found: dict[str, Value], name: str, *, whole: bool = False) -> float:
    """A positive number of the settings file, in quotes or not; 0: it is not there, or told to be wrong."""
    if name not in found:
        return 0.0
    value = found[name]
    number = float(value.text) if re.fullmatch(r"\d{1,7}(\.\d{0,9})?", value.text) else 0.0
    if number > 0 and not (whole and number % 1):
        return number
    kind = "a whole number from 1 on" if whole else "a number above 0"
    report.add("RS122", f"{name} must be {kind}, not {value.text[:40] or f'the {value.kind} here'}", *value.outer)
    return 0.0


def _left_out(report: Report, found: dict[str, Value]) -> None:
    names = [name for name in found if name.endswith("_schedule") and name not in PROMPTS]
    if names:
        shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        first = found[names[0]]
        report.add("RS324", f"only the prompts of the settings file are read; {shown} can be given by themselves",
                   *first.outer)  # fmt: skip


def write(schedule: Schedule, target: Target) -> str:
    """Keys as frames, each held until the next one; a fade becomes a switch at its middle."""
    if schedule.what == "value":
        return fizz_value.write_deforum(schedule, target)
    count = frames_for(schedule, target)
    track = compile_prompts(schedule, count, target.fps)
    if (track.blend > 0).any():
        target.say("RS501", "this tool holds each prompt until the next key: fades are written as switches")
    shown = np.where(track.blend > 0.5, track.b, track.a).tolist()
    starts = [0, *(i + 1 for i, (one, other) in enumerate(itertools.pairwise(shown)) if one != other)]
    rows = {}
    for start in starts:
        positive, negative = (" ".join(text.split()) for text in track.texts[shown[start]])
        rows[str(start)] = f"{positive} --neg {negative}".strip() if negative else positive
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


DIALECT = Dialect("deforum", "Deforum", ("prompt", "value"), parse, write, page="deforum.md")
