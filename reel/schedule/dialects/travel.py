"""animatediff-cli-prompt-travel: the prompts of its JSON settings file."""

from __future__ import annotations

import json
import re

from reel.schedule.dialects.base import Dialect, Options, Target, check_formulas, prompt_key
from reel.schedule.findings import Report
from reel.schedule.jsonish import Form, Member, Reader, Refused, Value
from reel.schedule.model import BLEND, Key, Schedule, Span, What
from reel.schedule.segments import frames_for, keyed_rows
from reel.schedule.texts import full_text
from reel.schedule.times import frame

FORM = Form(text_values=False, last_comma=False, comments="warning")
OWN = ("prompt_map", "head_prompt", "tail_prompt", "n_prompt", "prompt_fixed_ratio", "prompt", "base")


def parse(report: Report, what: What, options: Options) -> Schedule | None:
    """Each prompt is held for ``prompt_fixed_ratio`` of its interval, then moves along an arc to the next.

    The clip always loops: after the last key it travels back to the first. Keys at N or later are dropped.
    """
    settings = _settings(report)
    if settings is None:
        return None
    found = {member.key: member.value for member in settings}
    if "prompt_map" not in found:
        return _old_form(report, settings, found)
    entries = found["prompt_map"]
    if entries.kind != "object":
        report.add("RS114", "prompt_map must be an object of frames and prompts", *entries.outer)
        return None
    keys = [key for member in entries.members if (key := _key(report, member)) is not None]
    _regions(report, found)
    for name in ("prompt", "base"):
        if name in found:
            report.add(
                "RS315", f"'{name}' belongs to the old form of this file: newer versions refuse it", *found[name].outer
            )
    return _schedule(report, keys, found)


def _settings(report: Report) -> list[Member] | None:
    """Members of the outer object; a bare ``prompt_map`` without the braces around the file is read as well."""
    reader = Reader(report, FORM)
    try:
        if reader.skip() != "{":
            return reader.members()
        value = reader.value()
        if reader.skip():
            report.add("RS108", "text after the end of the file's object", reader.pos)
        if len(value.members) and all(re.fullmatch(r"\d+", m.key) for m in value.members):
            return [Member("prompt_map", value.start, value.stop, value)]  # the map alone
        return value.members
    except (Refused, IndexError):
        return None


def _schedule(report: Report, keys: list[Key], found: dict[str, Value]) -> Schedule | None:
    if not keys:
        return None
    for key in keys:
        check_formulas(report, key, frozenset())
        for match in re.finditer(r"__[\w/\-]+__", key.prompt or ""):
            at = report.source.text.find(match[0], key.body.start)
            report.add("RS310", f"{match[0]} is replaced by a random line of a file: no two runs are equal", max(at, 0),
                       max(at, 0) + len(match[0]), fix="write the text out")  # fmt: skip
    return Schedule(
        "prompt",
        tuple(keys),
        BLEND,
        loop=True,
        head=_text(report, found, "head_prompt"),
        tail=_text(report, found, "tail_prompt"),
        negative=_text(report, found, "n_prompt"),
        joiner=",",
        mixing="slerp",
        hold_ratio=_ratio(report, found),
        beyond="drop",
        dialect="travel",
    )


def _regions(report: Report, found: dict[str, Value]) -> None:
    """Say that the prompts of ``region_map`` are left out, and how regions are given here."""
    entries = found.get("region_map")
    if entries is None or not entries.members:
        return
    told, first = [], ""
    for region in entries.members:
        condition = next((one.value for one in region.value.members if one.key == "condition"), region.value)
        prompts = next((one.value for one in condition.members if one.key == "prompt_map"), None)
        if prompts is not None and prompts.members:
            told.append(region.key)
            first = first or prompts.members[0].value.text
    if told:
        words = f'{{"{told[0]}": {{prompt: "{first[:40]}", mask: {{region: file}}, mask_file: mask.png}}}}'
        report.add("RS323", f"the prompts of region_map are left out: {', '.join(told[:6])}", *entries.outer,
                   fix=f"regions={words}")  # fmt: skip


def _old_form(report: Report, settings: list[Member], found: dict[str, Value]) -> Schedule | None:
    """A list of prompts (one clip each) from before ``prompt_map``."""
    old = found.get("prompt")
    if old is None or not (old.items or old.kind == "text"):
        where = settings[0].start if settings else 0
        report.add("RS123", "there is no prompt_map in this file", where, fix='"prompt_map": {"0": "..."}')
        return None
    report.add(
        "RS315",
        "this is the old form with 'prompt': newer versions refuse it; it has one prompt for the whole clip",
        *old.outer,
        fix='"prompt_map": {"0": "..."}',
    )
    value = old.items[0] if old.items else old
    if len(old.items) > 1:
        report.add(
            "RS315", "several prompts make several clips here, not a change in one: only the first is read", *old.outer
        )
    if not value.text:
        return None
    return _schedule(report, [Key(frame(0), prompt=value.text, body=Span(value.start, value.stop))], found)


def _key(report: Report, member: Member) -> Key | None:
    value = member.value
    if value.kind != "text":
        number = re.fullmatch(r"[-+.\d]+", value.text)
        code = "RS114" if value.kind != "bare" else "RS115" if number else "RS117"
        report.add(code, f"the prompt of key {member.key} must be one quoted text", *value.outer)
        return None
    word = member.key.strip()
    if not re.fullmatch(r"\d{1,9}", word):
        code, fix = ("RS209", "a frame from 0") if re.fullmatch(r"-\d+", word) else ("RS201", "a frame number")
        code = "RS202" if re.fullmatch(r"\d+\.\d+", word) else code
        report.add(code, f"'{word[:30]}' is not a frame number", member.start, member.stop, severity="error", fix=fix)
        return None
    return prompt_key(
        report, frame(int(word)), value.text, Span(member.start, member.stop), Span(value.start, value.stop)
    )


def _text(report: Report, found: dict[str, Value], name: str) -> str:
    value = found.get(name)
    if value is None:
        return ""
    if value.kind == "list":
        value = value.items[0] if value.items else value
    if value.kind != "text":
        if value.kind != "list":
            report.add("RS122", f"{name} must be a quoted text", *value.outer)
        return ""
    return value.text


def _ratio(report: Report, found: dict[str, Value]) -> float:
    value = found.get("prompt_fixed_ratio")
    if value is None:
        return 0.5
    try:
        ratio = float(value.text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        report.add("RS122", "prompt_fixed_ratio must be a number from 0 to 1", *value.outer, fix="0.5")
        return 0.5
    return ratio


def write(schedule: Schedule, target: Target) -> str:
    """``prompt_map`` with head, tail and one negative; a hold repeats its prompt, since a ratio of 0 has none."""
    negatives = {full_text(schedule, key)[1] for key in schedule.keys}
    if len(negatives) > 1:
        target.say("RS504", "this tool has one negative prompt for the whole clip: the first is kept")
    if schedule.mixing == "lerp":
        target.say("RS508", "this tool mixes prompts along an arc, not along a straight line")
    native = schedule.hold_ratio is not None and schedule.loop and schedule.beyond == "drop" and schedule.joiner == ","
    native = native and all(
        k.at.kind == "frame" and k.until is None and schedule.then_of(k) == BLEND for k in schedule.keys
    )
    parts: dict[str, object] = {"prompt_fixed_ratio": schedule.hold_ratio if native else 0.0}
    if native:
        rows = {int(key.at.value): " ".join((key.prompt or "").split()) for key in schedule.keys}
        parts |= {"head_prompt": schedule.head} if schedule.head else {}
    else:
        rows = _rows(schedule, target)
    parts["prompt_map"] = {str(at): text for at, text in sorted(rows.items())}
    if native and schedule.tail:
        parts["tail_prompt"] = schedule.tail
    if negative := full_text(schedule, schedule.keys[0])[1]:
        parts["n_prompt"] = [negative]
    return json.dumps(parts, indent=2, ensure_ascii=False) + "\n"


def _rows(schedule: Schedule, target: Target) -> dict[int, str]:
    """Every prompt in full, with the keys that keep the tool from travelling back where the schedule does not loop."""
    known = target.frames or schedule.frames
    if not known and not schedule.loop:
        target.say(
            "RS502", "this tool travels back to the start: give --frames so that the last prompt can be held to the end"
        )
    count = known or frames_for(schedule, target)
    rows = {at: " ".join(text[0].split()) for at, text in keyed_rows(schedule, target, wrap=False, inside=True)}
    if schedule.loop:
        target.report.findings = [f for f in target.report.findings if f.code != "RS502"]
        return rows
    first, last = min(rows), max(rows)
    rows.setdefault(0, rows[first])
    rows.setdefault(count - 1, rows[last])
    return rows


DIALECT = Dialect(
    "travel", "animatediff-cli-prompt-travel", ("prompt",), parse, write, fades=True, page="prompt-travel.md"
)
