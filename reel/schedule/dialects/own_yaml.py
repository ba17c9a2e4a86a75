"""Our own file form: YAML with settings and ``keys``."""

from __future__ import annotations

import re
from typing import Any

from reel.config import suggest
from reel.schedule.dialects.base import Dialect, Options, Target, check_formulas, report_expression, show_number
from reel.schedule.expressions import Expression, ExpressionError, parse_expression
from reel.schedule.findings import Edit, Report
from reel.schedule.model import BY, Key, Schedule, Span, Then, What, default_then
from reel.schedule.settings import (
    NAMES_OF_SETTINGS,
    NUMBERS,
    SettingError,
    parse_then,
    read_setting,
    read_variable,
    settings_of,
)
from reel.schedule.times import Time, TimeError, format_place, parse_place
from reel.schedule.yaml_text import YamlNode, compose, quote

FIELDS = ("prompt", "negative", "value", "picture", "strength", "by", "then")
PICTURE = re.compile(r"[^\n]+\.(png|jpe?g|webp|gif|bmp|tiff?|exr)", re.IGNORECASE)


def parse(report: Report, what: What, options: Options) -> Schedule | None:
    """Settings, ``variables`` and ``keys``; or the keys alone as one mapping."""
    root = compose(report)
    return read_node(report, root, what) if root is not None else None


def read_node(report: Report, root: YamlNode, what: What) -> Schedule | None:
    """A schedule that is a part of a YAML file; places are those in the file."""
    broken = bool(report.errors)
    if root.kind == "scalar" and (_glued(report, root) or broken):
        return None
    if root.kind != "map":
        report.add("RS122", "a schedule is a mapping with 'keys'", root.start, fix="keys: {0: red top, 24: blue top}")
        return None
    entries, settings, variables = _parts(report, root, broken)
    kind: What = settings.get("what", what)
    names = frozenset(name for name, _ in variables)
    if kind == "prompt" and any(_field(value, "picture") for _, value in entries):
        kind = "track"
    keys = [key for name, value in entries if (key := _key(report, name, value, kind, names)) is not None]
    for key in keys:
        check_formulas(report, key, names)
    if not keys:
        return None
    settings.setdefault("then", default_then(kind))
    return Schedule(**{**settings, "what": kind, "keys": tuple(keys), "variables": tuple(variables), "dialect": "yaml"})


def _parts(
    report: Report, root: YamlNode, broken: bool
) -> tuple[list[tuple[YamlNode, YamlNode]], dict[str, Any], list[tuple[str, Expression]]]:
    names = {name.text for name, _ in root.pairs}
    if "keys" not in names and not names & {*NAMES_OF_SETTINGS, "variables"} and root.pairs:
        return _unique(report, root.pairs), {}, []
    entries: list[tuple[YamlNode, YamlNode]] = []
    settings: dict[str, Any] = {}
    variables: list[tuple[str, Expression]] = []
    for name, value in _unique(report, root.pairs):
        try:
            if name.text in ("keys", "variables"):
                if value.kind == "scalar" and (_glued(report, value) or (broken and not value.text)):
                    continue  # all its lines are broken, and reported
                if value.kind != "map":
                    raise SettingError("RS122", f"{name.text} must be a mapping", "keys: {0: red top, 24: blue top}")
                if name.text == "keys":
                    entries = _unique(report, value.pairs)
                else:
                    variables = [_variable(report, n, v) for n, v in value.pairs]
            elif value.kind != "scalar":
                raise SettingError(
                    "RS122" if name.text in NAMES_OF_SETTINGS else "RS121",
                    f"'{name.text[:40]}' cannot hold a {value.kind}{suggest(name.text, [*NAMES_OF_SETTINGS, 'keys'])}",
                )
            else:
                settings |= read_setting(name.text, value.text)
        except SettingError as error:
            if error.code == "RS121" and _is_place(name.text):
                error = SettingError(
                    "RS121", f"'{name.text}' is a key, and keys belong under 'keys:'", "keys: {0: ...}"
                )
            node = name if error.code == "RS121" else value
            report.add(error.code, str(error), node.start, max(node.stop, node.start + 1), fix=error.fix)
    if "keys" not in names and not broken:
        report.add("RS123", "there are no 'keys'", root.start, fix="keys: {0: red top, 24: blue top}")
    return entries, settings, [v for v in variables if v[0]]


def _is_place(text: str) -> bool:
    try:
        return bool(re.match(r"\s*-?\d", text) and parse_place(text))
    except TimeError:
        return False


def _glued(report: Report, value: YamlNode) -> bool:
    """Entries such as ``0:red`` are one plain text to YAML: say so where the space is missing."""
    found = list(re.finditer(r"^\s*[\w.%-]+:(?=[^\s:])", report.source.text[value.start : value.stop], re.MULTILINE))
    for match in found:
        at = value.start + match.end()
        report.add(
            "RS120",
            "YAML needs a space after the colon",
            at,
            fix="a space here",
            edits=(Edit(at, at, " "),),
            certain=True,
        )
    return bool(found)


def _variable(report: Report, name: YamlNode, value: YamlNode) -> tuple[str, Expression]:
    try:
        return read_variable(name.text, value.text)
    except SettingError as error:
        report.add(error.code, str(error), name.start, max(value.stop, name.start + 1), fix=error.fix)
        return "", parse_expression("0")


def _unique(report: Report, pairs: list[tuple[YamlNode, YamlNode]]) -> list[tuple[YamlNode, YamlNode]]:
    """Pairs with scalar keys; the last of equal keys wins, with a finding."""
    kept: dict[str, tuple[YamlNode, YamlNode]] = {}
    for name, value in pairs:
        if name.kind != "scalar":
            report.add("RS122", "a key must be a plain text", name.start, name.stop)
            continue
        if name.text in kept:
            report.add("RS204", f"'{name.text[:40]}' is given twice: the last one wins", name.start, name.stop)
        kept[name.text] = (name, value)
    return list(kept.values())


def _field(node: YamlNode, name: str) -> YamlNode | None:
    return next((value for key, value in node.pairs if key.text == name), None)


def _key(report: Report, name: YamlNode, value: YamlNode, kind: What, names: frozenset[str]) -> Key | None:
    placed = read_place(report, name.text, name.start + (1 if name.quoted else 0))
    if value.kind == "list":
        report.add("RS114", f"the entry of key {name.text[:30]} is a list", value.start, value.stop)
        return None
    nodes = _fields(report, value) if value.kind == "map" else {_plain_field(kind, value.text): value}
    parts = {name_: _read_field(report, name_, node, names) for name_, node in nodes.items()}
    needed = {"prompt": ("prompt",), "value": ("value",), "track": ("picture", "prompt")}[kind]
    pictured = ("prompt", "picture", "negative", "strength", "by")
    wrong = {"prompt": ("value",), "value": pictured, "track": ("value",)}[kind]
    for field in wrong:
        if field in nodes:
            node = nodes[field]
            report.add(
                "RS115",
                f"a schedule of kind '{kind}' has no '{field}'",
                node.start,
                max(node.stop, node.start + 1),
                fix=f"kind: {'value' if field == 'value' else 'track'}",
            )
    if not any(field in nodes for field in needed):
        report.add(
            "RS123", f"key {name.text[:30]} has no {' or '.join(needed)}", name.start, max(name.stop, name.start + 1)
        )
        return None
    if placed is None or any(parts.get(field) is None for field in needed if field in nodes):
        return None
    body = nodes[next(field for field in needed if field in nodes)]
    given: dict[str, Any] = {k: v for k, v in parts.items() if v is not None}
    return Key(*placed, **given, place=Span(name.start, name.stop), body=_span(body))


def _span(node: YamlNode) -> Span:
    return Span(node.start + 1, max(node.stop - 1, node.start + 1)) if node.quoted else Span(node.start, node.stop)


def _plain_field(kind: What, text: str) -> str:
    if kind == "value":
        return "value"
    return "picture" if kind == "track" and PICTURE.fullmatch(text) else "prompt"


def _fields(report: Report, value: YamlNode) -> dict[str, YamlNode]:
    nodes: dict[str, YamlNode] = {}
    for name, node in _unique(report, value.pairs):
        if name.text not in FIELDS:
            report.add("RS121", f"a key has no '{name.text[:40]}'{suggest(name.text, FIELDS)}", name.start, name.stop)
        elif node.kind != "scalar":
            report.add(
                "RS114" if name.text == "prompt" else "RS122",
                f"{name.text} must be one text or number",
                node.start,
                node.stop,
            )
        else:
            nodes[name.text] = node
    return nodes


def _read_field(report: Report, name: str, node: YamlNode, names: frozenset[str]) -> str | Expression | Then | None:
    if name in ("value", "strength"):
        try:
            return parse_expression(node.text.strip(), names)
        except ExpressionError as error:
            report_expression(report, error, node.start + (1 if node.quoted else 0))
            return None
    if name == "then":
        return read_then(report, node.text, node.start, node.stop)
    if name == "by":
        return read_by(report, node.text.strip(), node.start, node.stop)
    if name == "picture" and not node.text.strip():
        report.add("RS123", "picture is empty", node.start)
        return None
    return " ".join(node.text.split()) if name != "picture" else node.text.strip()


def read_then(report: Report, text: str, start: int, stop: int) -> Then | None:
    try:
        return parse_then(text)
    except SettingError as error:
        report.add(error.code, str(error), start, max(stop, start + 1), fix=error.fix)
        return None


def read_by(report: Report, text: str, start: int, stop: int) -> str | None:
    """What holds a clip to a picture, reported where it is none of `BY`."""
    if text in BY:
        return text
    what = f"'{text[:30]}' is not what holds to a picture{suggest(text, BY)}; {', '.join(BY)} do"
    report.add("RS122", what, start, max(stop, start + 1))
    return None


def read_place(report: Report, text: str, start: int) -> tuple[Time, Time | None] | None:
    """A key's place in time, reported where it cannot be read."""
    try:
        return parse_place(text)
    except TimeError as error:
        lead = len(text) - len(text.lstrip())
        begin, end = start + lead, start + lead + max(1, len(text.strip()))
        report.add(error.code, error.message, begin, end, fix=error.fix)
        return None


def write(schedule: Schedule, target: Target) -> str:
    """Everything, exactly."""
    rows = [f"{name}: {text if name in (*NUMBERS, 'loop') else quote(text)}" for name, text in settings_of(schedule)]
    if schedule.variables:
        rows.append("variables:")
        rows += [f"  {name}: {_formula(formula)}" for name, formula in schedule.variables]
    rows.append("keys:")
    for key in schedule.keys:
        place = format_place(key.at, key.until)
        place = place if re.fullmatch(r"\d+(-\d+)?", place) else f'"{place}"'
        rows.append(f"  {place}: {_entry(schedule, key)}")
    return "\n".join(rows) + "\n"


def formula_text(formula: Expression) -> str:
    return show_number(float(formula.root.value)) if formula.root.op == "num" else formula.text


def _formula(formula: Expression, flow: bool = False) -> str:
    """A number as a YAML number, a formula as a text."""
    text = formula_text(formula)
    return text if re.fullmatch(r"-?\d+(\.\d+)?", text) else quote(text, flow)


def _entry(schedule: Schedule, key: Key) -> str:
    texts = {"prompt": key.prompt, "negative": key.negative or None, "picture": key.picture, "by": key.by}
    parts: dict[str, str | Expression] = {name: text for name, text in texts.items() if text is not None}
    parts |= {name: f for name, f in (("value", key.value), ("strength", key.strength)) if f is not None}
    if key.then is not None and key.then != schedule.then:
        parts["then"] = str(key.then)
    only = next(iter(parts)) if len(parts) == 1 else ""
    if only and only == _plain_field(schedule.what, str(parts[only])):
        return _scalar(parts[only])
    return "{" + ", ".join(f"{name}: {_scalar(parts[name], flow=True)}" for name in FIELDS if name in parts) + "}"


def _scalar(part: str | Expression, flow: bool = False) -> str:
    return quote(part, flow) if isinstance(part, str) else _formula(part, flow)


DIALECT = Dialect("yaml", "Rotoscope YAML", ("prompt", "value", "track"), parse, write, page="index.md")
