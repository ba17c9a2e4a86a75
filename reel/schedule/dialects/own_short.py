"""Our own form for one line: ``then: blend; 0: red top; 24-36 hold: blue top --neg blurry``."""

from __future__ import annotations

import re
from typing import Any

from reel.schedule.dialects.base import Dialect, Options, Target, check_formulas, report_expression
from reel.schedule.dialects.own_yaml import formula_text, read_by, read_place, read_then
from reel.schedule.expressions import Expression, ExpressionError, parse_expression
from reel.schedule.findings import Edit, Report
from reel.schedule.model import Key, Schedule, Span, What, default_then
from reel.schedule.settings import NAMES_OF_SETTINGS, SettingError, read_setting, read_variable, settings_of
from reel.schedule.times import ATOM, format_place

ENTRY = re.compile(r"(?:[^;\n\\]|\\.)+")
_LABEL = re.compile(
    rf"\s*(?P<place>{ATOM}(?:\s*(?:-|–|—|\.\.)\s*{ATOM})?|[^:;\"'=]*?\bmax_f\b[^:;\"'=]*?)"
    r"(?:\s+(?P<then>(?:hold|blend|ease)(?:\s*\([^()]*\))?))?\s*(?P<sign>[:：]|=(?!=))"
)
_SETTING = re.compile(r"\s*(?P<name>[A-Za-z_]+(?:\s+[A-Za-z_]\w*)?)\s*(?P<sign>[:：=])\s*")
_FLAG = re.compile(r"(?:^|\s)--(neg|pic|strength|by)(?=\s|$)")


def parse(report: Report, what: What, options: Options) -> Schedule | None:
    """Entries between ``;`` or line breaks: ``place [transition]: content``, or ``setting: value``."""
    settings: dict[str, Any] = {}
    variables: list[tuple[str, Expression]] = []
    rows: list[tuple[re.Match[str], int]] = []
    for entry in ENTRY.finditer(report.source.text):
        if not entry[0].strip() or entry[0].lstrip().startswith("#"):
            continue
        label = _LABEL.match(entry[0]) or (_bare(entry) if what == "value" else None)
        if label:
            if label["sign"] in ("：", "="):
                at, wide = entry.start() + label.start("sign"), label["sign"] == "："
                message = "a full-width colon" if wide else "this form needs ':' between a key and its text"
                report.add("RS110" if wide else "RS106", message, at, fix="':'", edits=(Edit(at, at + 1, ":"),),
                           certain=True)  # fmt: skip
            rows.append((label, entry.start()))
        elif _SETTING.match(entry[0]):
            _setting(report, entry, settings, variables)
        else:
            _stray(report, entry)
    kind: What = settings.get("what", what)
    names = frozenset(name for name, _ in variables)
    text = report.source.text
    contents = [_content(text, label, offset) for label, offset in rows]
    if kind == "prompt" and any("pic" in content for content in contents):
        kind = "track"
    keys = [
        key for (label, offset), content in zip(rows, contents, strict=True)
        if (key := _key(report, label, offset, content, kind, names)) is not None
    ]  # fmt: skip
    for key in keys:
        check_formulas(report, key, names)
    if not keys:
        return None
    settings.setdefault("then", default_then(kind))
    return Schedule(
        **{**settings, "what": kind, "keys": tuple(keys), "variables": tuple(variables), "dialect": "short"}
    )


def _bare(entry: re.Match[str]) -> re.Match[str] | None:
    """A text that is nothing but one formula: a value from frame 0 on."""
    alone = entry[0].strip() == entry.string.strip() and not re.search(r"[:：]", entry[0])
    return re.match(r"(?P<place>)(?P<then>(?!))?(?P<sign>)", entry[0]) if alone else None


def _setting(
    report: Report, entry: re.Match[str], settings: dict[str, Any], variables: list[tuple[str, Expression]]
) -> None:
    start = entry.start() + len(entry[0]) - len(entry[0].lstrip())
    match = _SETTING.match(entry[0])
    assert match is not None
    try:
        name, value = match["name"], unescape(entry[0][match.end() :].strip())
        if name.startswith("set ") or (name not in NAMES_OF_SETTINGS and " " in name):
            variables.append(read_variable(name.split(None, 1)[1], value))
        else:
            settings |= read_setting(name, value)
    except SettingError as error:
        report.add(error.code, str(error), start, start + len(entry[0].strip()), fix=error.fix)


def _stray(report: Report, entry: re.Match[str]) -> None:
    """An entry without a colon: a key that lost it, or a text that its author divided, or began, by a `;`."""
    said, before = entry[0].strip(), entry.string[: entry.start()].rstrip("; \n")
    start = entry.start() + len(entry[0]) - len(entry[0].lstrip())
    numbered = re.match(rf"({ATOM})\s+(?=\S)", said)
    last = next((part for part in reversed(re.split(r"[;\n]", before)) if part.strip()), "")
    edits: tuple[Edit, ...] = ()
    if numbered is not None:
        at = start + numbered.end(1)
        fix, edits = f"{numbered[1]}: {said[numbered.end() :][:60]}", (Edit(at, at, ":"),)
    elif not last:
        fix, edits = f"0: {said[:60]}", (Edit(start, start, "0: "),)
    else:
        whole = f"{last.strip()[-40:]}, {said[:40]}"
        fix = f"a frame in front of it; or a comma, where it belongs to what is before it: {whole}"
    what = f"'{said[:40]}' is neither a key nor a setting"
    report.add("RS108", what, start, start + len(said), fix=fix, edits=edits)


def _content(text: str, label: re.Match[str], offset: int) -> dict[str, tuple[str, int, int]]:
    """The entry's parts with their places: ``text`` and the flags ``neg``, ``pic``, ``strength``, ``by``."""
    entry = label.string
    marks = list(_FLAG.finditer(entry, label.end()))
    edges = [*(m.start() for m in marks), len(entry)]
    parts = {"text": (label.end(), edges[0])}
    for mark, end in zip(marks, edges[1:], strict=True):
        parts[mark[1]] = (mark.end(), end)
    result = {}
    for name, (start, stop) in parts.items():
        raw = entry[start:stop]
        begin = start + len(raw) - len(raw.lstrip())
        result[name] = (unescape(raw.strip()), offset + begin, offset + begin + len(raw.strip()))
    return result


def _key(
    report: Report,
    label: re.Match[str],
    offset: int,
    content: dict[str, tuple[str, int, int]],
    kind: What,
    names: frozenset[str],
) -> Key | None:
    placed = read_place(report, label["place"] or "0", offset + label.start("place"))
    body, start, stop = content["text"]
    place = Span(offset + label.start("place"), offset + label.end("place"))
    then = (
        read_then(report, label["then"], offset + label.start("then"), offset + label.end("then"))
        if label["then"]
        else None
    )
    more: dict[str, Any] = {}
    if kind == "value":
        more["value"] = _formula(report, body, start, names) if body else None
        for flag in content.keys() - {"text"}:
            report.add("RS115", f"a value has no --{flag}", content[flag][1], content[flag][2])
        needed = more["value"]
    else:
        more = {
            "prompt": body or None,
            "negative": content.get("neg", ("",))[0],
            "picture": content.get("pic", ("",))[0] or None,
        }
        if "strength" in content:
            more["strength"] = _formula(report, content["strength"][0], content["strength"][1], names)
        if "by" in content:
            more["by"] = read_by(report, *content["by"])
        if kind == "prompt" and more["prompt"] is None:
            more["prompt"] = "" if content.keys() & {"neg"} else None
        needed = more["prompt"] if more["prompt"] is not None else more["picture"]
    if needed is None:
        if not (kind == "value" and body):
            report.add("RS123", f"key {label['place'].strip()} has nothing after its colon", place.start, place.stop)
        return None
    if kind != "value" and re.fullmatch(r'"[^"]+"', body):
        report.add("RS313", "the quotes stay in the prompt here", start, stop, fix=body[1:-1][:60],
                   edits=(Edit(start, start + 1, ""), Edit(stop - 1, stop, "")))  # fmt: skip
    if not body and "pic" in content:
        _, start, stop = content["pic"]
    return Key(*placed, then=then, place=place, body=Span(start, stop), **more) if placed else None


def _formula(report: Report, text: str, start: int, names: frozenset[str]) -> Expression | None:
    try:
        return parse_expression(text, names)
    except ExpressionError as error:
        report_expression(report, error, start)
        return None


def unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1] if m[1] in ";\\" else m[0], text)


def escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace(";", "\\;").replace("\n", "\\n")


def write(schedule: Schedule, target: Target) -> str:
    """Everything, on one line."""
    settings = [(name, f'"{text}"' if name == "joiner" else text) for name, text in settings_of(schedule)]
    entries = [f"{name}: {escape(text)}" for name, text in settings if (name, text) != ("kind", "prompt")]
    entries += [f"set {name}: {formula.text}" for name, formula in schedule.variables]
    for key in schedule.keys:
        then = f" {key.then}" if key.then is not None and key.then != schedule.then else ""
        entries.append(f"{format_place(key.at, key.until)}{then}: {_body(key)}")
    return "; ".join(entries) + "\n"


def _body(key: Key) -> str:
    if key.value is not None:
        return formula_text(key.value)
    parts = [escape(key.prompt)] if key.prompt else []
    parts += [f"--neg {escape(key.negative)}"] if key.negative else []
    parts += [f"--pic {escape(key.picture)}"] if key.picture is not None else []
    parts += [f"--strength {formula_text(key.strength)}"] if key.strength is not None else []
    parts += [f"--by {key.by}"] if key.by is not None else []
    return " ".join(parts) or "--neg"


DIALECT = Dialect("short", "Rotoscope one-line form", ("prompt", "value", "track"), parse, write, page="index.md")
