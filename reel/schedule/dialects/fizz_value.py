"""FizzNodes and Deforum value schedules: ``0:(0.5), 24:(0.8), 48:(0.5+0.3*sin(t/6))``."""

from __future__ import annotations

import re

from reel.schedule.compile import compile_values
from reel.schedule.dialects.base import Dialect, Options, Target, read_value, show_computed, show_number
from reel.schedule.dialects.fizz import place
from reel.schedule.expressions import Expression, Node, format_node, parse_expression
from reel.schedule.findings import Edit, Report
from reel.schedule.model import BLEND, HOLD, Key, Schedule, Span, What
from reel.schedule.plan import make_plan
from reel.schedule.segments import frames_for, spans, value_rows

NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*")
NUMEXPR = {
    "sin",
    "cos",
    "tan",
    "arcsin",
    "arccos",
    "arctan",
    "sinh",
    "cosh",
    "tanh",
    "exp",
    "expm1",
    "log",
    "log10",
    "log1p",
    "sqrt",
    "abs",
    "floor",
    "ceil",
}
_PAIR_AHEAD = re.compile(r"\s*[\"']?\(?[\w+\-*/. ]{1,30}\)?[\"']?\s*[:：]\s*[(（\"'\d.+-]")


def parse(report: Report, what: What, options: Options) -> Schedule | None:
    """Numbers run straight to the next key; a formula is computed at every frame until the next key.

    Keys at N or later do not count: the last value inside the clip is held.
    """
    keys: list[Key] = []
    text = report.source.text
    pos, stop = 0, len(text.rstrip().rstrip("}").rstrip())
    brace = len(text) - len(text.lstrip("\ufeff \t\r\n"))
    if text[brace : brace + 1] == "{":
        report.add(
            "RS101",
            "value schedules have no braces",
            brace,
            fix="leave the outer { } out",
            certain=True,
            edits=(Edit(brace, brace + 1, ""), *((Edit(stop, stop + 1, ""),) if text[stop : stop + 1] == "}" else ())),
        )
        pos = brace + 1
    else:
        stop = len(text.rstrip())
    while pos < stop:
        piece_stop = _end_of_pair(text, pos, stop)
        key = _pair(report, pos, piece_stop)
        if key is not None:
            keys.append(key)
        if piece_stop < stop and text[piece_stop - 1] in ")）" and text[piece_stop] not in ",，;":
            report.add("RS105", "a comma is missing between this pair and the next: the node takes both for one",
                       piece_stop, fix="put a comma here", edits=(Edit(piece_stop, piece_stop, ","),),
                       certain=True)  # fmt: skip
        pos = piece_stop + 1 if piece_stop < stop and text[piece_stop] in ",，;" else max(piece_stop, pos + 1)
    if text[:stop].rstrip().endswith(","):
        at = text[:stop].rstrip().rindex(",")
        report.add("RS116", "a comma after the last pair: the node fails on the empty piece", at, fix="leave it out",
                   edits=(Edit(at, at + 1, ""),), certain=True)  # fmt: skip
    if not keys:
        return None
    return Schedule("value", tuple(keys), BLEND, beyond="drop", dialect="fizz-value")


def _end_of_pair(text: str, pos: int, stop: int) -> int:
    """Offset of the comma after the pair that starts at ``pos``; commas inside brackets do not count."""
    depth = 0
    for i in range(pos, stop):
        char = text[i]
        if char in "(（":
            depth += 1
        elif char in ")）":
            depth = max(0, depth - 1)
            if depth == 0 and _PAIR_AHEAD.match(text, i + 1, stop) and text[i + 1 : i + 2] not in (",", "，"):
                rest = text[i + 1 : stop].lstrip()
                if rest[:1] not in ":：*/+-),，%&|<>=":
                    return i + 1
        elif char in ",，;" and depth == 0:
            return i
        elif char in ",，" and re.match(r"\s*[\"']?\d+[\"']?\s*[:：]\s*[(（]", text[i + 1 : min(stop, i + 40)]):
            return i  # a bracket was never closed: the next key begins anyway
    return stop


def _pair(report: Report, start: int, stop: int) -> Key | None:
    text = report.source.text
    if not text[start:stop].strip():
        if stop < len(text) and text[stop] == ",":
            report.add("RS109", "an empty place between commas", stop, fix="leave the comma out",
                       edits=(Edit(stop, stop + 1, ""),), certain=True)  # fmt: skip
        return None
    first = start + len(text[start:stop]) - len(text[start:stop].lstrip())
    colon = next((i for i in range(first, stop) if text[i] in ":："), -1)
    if colon < 0:
        equals = text.find("=", first, stop)
        if equals > 0 and text[equals : equals + 2] != "==":
            report.add("RS106", "this dialect needs ':' between key and value", equals, fix="':'",
                       edits=(Edit(equals, equals + 1, ":"),), certain=True)  # fmt: skip
        else:
            report.add("RS108", f"'{text[first:stop].strip()[:40]}' has no key in front of it", first, stop)
        return None
    if text[colon] == "：":
        report.add("RS110", "a full-width colon", colon, fix="':'", edits=(Edit(colon, colon + 1, ":"),), certain=True)
    word = text[first:colon].strip().strip("\"'").strip()
    key_stop = first + len(text[first:colon].rstrip())
    word = word[1:-1] if word.startswith("(") and word.endswith(")") else word
    at = place(report, word, first, key_stop, max_f_is_count=False)
    value = _value(report, colon + 1, stop)
    if at is None or value is None:
        return None
    formula, begin, end = value
    then = BLEND if NUMBER.fullmatch(formula.text) else HOLD
    return Key(at, value=formula, then=then, place=Span(first, key_stop), body=Span(begin, end))


def _value(report: Report, start: int, stop: int) -> tuple[Expression, int, int] | None:
    """The formula of a value and its place inside the brackets."""
    text = report.source.text
    begin = start + len(text[start:stop]) - len(text[start:stop].lstrip())
    end = start + len(text[start:stop].rstrip())
    second = next((i for i in range(begin, end) if text[i] in ":："), -1)
    if second >= 0:
        report.add(
            "RS316", "the node drops everything after this second colon", second, end, fix="one colon for each pair"
        )
        end = begin + len(text[begin:second].rstrip())
    for char, plain in (("（", "("), ("）", ")")):
        for i in [i for i in range(begin, end) if text[i] == char]:
            report.add(
                "RS110", f"a full-width '{char}'", i, fix=f"'{plain}'", edits=(Edit(i, i + 1, plain),), certain=True
            )
    inner = text[begin:end].replace("（", "(").replace("）", ")")
    if inner[:1] in ("'", '"') or inner[1:2] in ("'", '"'):
        report.add("RS115", "a text where a number belongs", begin, end, fix="a number or a formula in ( )")
        return None
    opened, closed = inner.count("("), inner.count(")")
    if opened > closed:
        report.add("RS118", "a '(' is never closed", begin, end, fix="close it at the end of the value",
                   edits=(Edit(end, end, ")" * (opened - closed)),), certain=opened - closed == 1)  # fmt: skip
        inner += ")" * (opened - closed)
    if not inner:
        report.add("RS123", "a key without a value", max(start - 1, 0))
        return None
    for match in re.finditer(",", inner):
        report.add("RS406", "the node splits the text at every comma, also inside a function", begin + match.start(),
                   fix="a formula without functions of two arguments; where(c, a, b) is a*c + b*(1-c)")  # fmt: skip
    whole = inner[1:-1] if _wrapped(inner) else inner
    begin += 1 if whole is not inner else 0
    formula = read_value(report, whole, begin)
    return (formula, begin, begin + len(whole)) if formula else None


def _wrapped(text: str) -> bool:
    """The first bracket closes at the very end."""
    if not (text.startswith("(") and text.endswith(")")):
        return False
    depth = 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return i == len(text) - 1
    return False


def _speaks(node: Node, seed: bool) -> bool:
    """The tool's own evaluator knows everything in the formula."""
    if node.op == "name" and node.value in ("fps", "seconds", "pi", "tau", "e", *(() if seed else ("s",))):
        return False
    if node.op == "call" and node.value not in NUMEXPR:
        return False
    return node.op not in ("and", "or", "not") and all(_speaks(arg, seed) for arg in node.args)


def write(schedule: Schedule, target: Target, seed: bool = False) -> str:
    """Numbers and formulas as they are where the tool knows them; otherwise one key for each frame that matters."""
    count = frames_for(schedule, target)
    values = compile_values(schedule, count, target.fps)
    rows = _native(schedule, target, count, seed)
    if rows is not None:
        text = ", ".join(rows) + "\n"
        back = _read_back(text)
        if back is not None and (abs(compile_values(back, count, target.fps) - values) <= 1e-9).all():
            return text
    target.say("RS507", "curves, formulas or keys that this dialect cannot say are written as numbers, frame by frame")
    return ", ".join(f"{at}:({show_computed(value)})" for at, value in value_rows(values)) + "\n"


def _native(schedule: Schedule, target: Target, count: int, seed: bool) -> list[str] | None:
    if schedule.outside is not None or schedule.variables:
        return None
    plan = make_plan(schedule, count, target.fps)
    rows: dict[int, str] = {}
    for (start, held, following), key in zip(spans(plan), plan.keys, strict=True):
        formula = key.value or parse_expression("0")
        plain = formula.constant
        if start < 0 or start >= count or (not plain and not _speaks(formula.root, seed)):
            return None
        shown = show_number(float(formula.evaluate({"t": 0.0}))) if plain else format_node(formula.root)
        rows[start] = f"{start}:({shown})"
        if plain and held > start and following is not None:
            rows[held] = f"{held}:({shown})"
        if not plain and following is not None and held < following - 1:
            return None
    ordered = sorted(rows.items())
    return [
        text if at else "0" + text[text.index(":") :]
        for at, text in ([(0, ordered[0][1])] if ordered[0][0] else []) + ordered
    ]


def _read_back(text: str) -> Schedule | None:
    from reel.schedule.findings import Source

    report = Report(Source(text))
    schedule = parse(report, "value", Options())
    return None if report.errors else schedule


def write_deforum(schedule: Schedule, target: Target) -> str:
    """As `write`, with the seed ``s``, which Deforum's formulas have."""
    return write(schedule, target, seed=True)


DIALECT = Dialect("fizz-value", "FizzNodes value schedule", ("value",), parse, write, page="value-schedules.md")
