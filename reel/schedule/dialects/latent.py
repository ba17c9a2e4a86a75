"""Latent keyframe groups of Advanced-ControlNet: ``0 = 1.0, 8:16 = 0.5, -1``: strengths of single frames and ranges."""

from __future__ import annotations

import re

from reel.schedule.compile import compile_values
from reel.schedule.dialects.base import Dialect, Options, Target, show_computed
from reel.schedule.expressions import number
from reel.schedule.findings import Edit, Report
from reel.schedule.model import HOLD, Key, Schedule, Span, What
from reel.schedule.segments import frames_for, plan_for, runs, say_numbers
from reel.schedule.times import Time

_INDEX = re.compile(r"-?\d{1,9}")


def parse(report: Report, what: What, options: Options) -> Schedule | None:
    """Frames that no entry names have strength 0; nothing is mixed. Ranges leave out their end."""
    text = report.source.text
    keys: list[Key] = []
    pos = 0
    for piece in re.split(r"([,，;\n])", text):
        start, pos = pos, pos + len(piece)
        if piece == "，":
            report.add(
                "RS110", "a full-width comma", start, fix="','", edits=(Edit(start, start + 1, ","),), certain=True
            )
        if piece in (",", "，", ";", "\n") or not piece.strip():
            continue
        key = _entry(report, piece, start)
        if key is not None:
            keys.append(key)
    return Schedule("value", tuple(keys), HOLD, outside=0.0, dialect="latent") if keys else None


def _entry(report: Report, piece: str, offset: int) -> Key | None:
    begin = offset + len(piece) - len(piece.lstrip())
    body = piece.strip()
    index, sign, strength = body.partition("=")
    value = 1.0
    value_at = begin + len(index) + 1
    if sign:
        try:
            value = float(strength)
        except ValueError:
            report.add("RS115", f"the strength '{strength.strip()[:30]}' is not a number", value_at, begin + len(body))
            return None
        if not 0 <= value < 1e6:
            report.add(
                "RS307",
                f"a strength cannot be {strength.strip()}",
                value_at,
                begin + len(body),
                severity="error",
                fix="0 to 10",
            )
            return None
    parts = [part.strip() for part in index.split(":")]
    if len(parts) > 2 or not all(_INDEX.fullmatch(part) for part in parts):
        code = "RS211" if ":" in index else "RS201"
        report.add(code, f"'{index.strip()[:30]}' is not a frame or a range", begin, begin + max(1, len(index.strip())),
                   fix="a frame such as 8, -1 for the last one, or a range 8:16")  # fmt: skip
        return None
    at, *rest = [Time("end" if part.startswith("-") else "frame", float(part)) for part in parts]
    until = rest[0] if rest else Time(at.kind, at.value + 1)
    if at.kind == until.kind and at.value >= until.value and rest:
        report.add(
            "RS206",
            f"the range {index.strip()} holds no frame",
            begin,
            begin + len(index.strip()),
            severity="error",
            fix=":".join(reversed(parts)) if at.value > until.value else parts[0],
        )
        return None
    place = Span(begin, begin + len(index.rstrip()))
    return Key(at, until, value=number(value), place=place, body=Span(value_at, begin + len(body)) if sign else place)


def write(schedule: Schedule, target: Target) -> str:
    """Every frame's value, equal neighbours as a range; frames of strength 0 are left out."""
    count = frames_for(schedule, target)
    values = compile_values(schedule, count, target.fps)
    say_numbers(plan_for(schedule, target), target, fades=False)
    if (values < 0).any():
        target.say("RS501", "strengths below 0 cannot be written: they are 0")
    pieces = [f"{a if b - a == 1 else f'{a}:{b}'} = {show_computed(v)}" for a, b, v in runs(values) if v > 0]
    return ", ".join(pieces or ["0 = 0"]) + "\n"


DIALECT = Dialect(
    "latent", "latent keyframe group (Advanced-ControlNet)", ("value",), parse, write, page="latent-keyframes.md"
)
