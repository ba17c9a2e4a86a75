"""Reads a schedule of any dialect from a text or a file."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from reel.errors import UserError
from reel.infotext import Infotext, split_infotext
from reel.reading import Unreadable, read_small
from reel.schedule.dialects.base import Dialect, Options
from reel.schedule.dialects.catalogue import by_name, detect
from reel.schedule.findings import Edit, Repair, Report, ScheduleError, Source
from reel.schedule.model import Schedule, What
from reel.values import shortened

MAX_SIZE = 4 * 1024 * 1024
"""Largest text in characters."""
MAX_SIGNS = 150_000
"""Most colons, or equals signs, in a text: every key has one."""
_ANY_KEY = re.compile(r"(?:^|[;,])\s*[\"']?-?\d[\d.%s: -]*[\"']?\s*[:=]", re.MULTILINE)
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


@dataclass
class Parsed:
    """A text that was read, with everything that was found on the way."""

    schedule: Schedule | None
    report: Report
    dialect: Dialect
    what: What


def load(where: str | Path) -> tuple[str, str | None]:
    """(text, file name) of a schedule given as a path, as ``@file``, or as the text itself (no name).

    Raises: UserError when a named file cannot be read; ScheduleError (RS001, RS006) when it is too large or no text.
    """
    if isinstance(where, str) and not where.startswith("@"):
        return where, None
    path = Path(str(where).removeprefix("@"))
    try:
        if path.is_file() and path.stat().st_size > 4 * MAX_SIZE:
            report = Report(Source("", str(path)))
            report.add(
                "RS001", f"the file has {path.stat().st_size} bytes; a schedule has at most {MAX_SIZE} characters", 0
            )
            raise ScheduleError(report.findings, str(path))
        data = read_small(path, 4 * MAX_SIZE)
    except Unreadable as error:
        raise UserError(f"the schedule {path} {error}", fix="a text file with the schedule in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read the schedule {shortened(str(path))}: {reason}", fix="check the path") from None
    return decode(data, str(path)), str(path)


def decode(data: bytes, name: str) -> str:
    """Bytes of a file as text: UTF-8, with or without a byte order mark.

    Raises: ScheduleError (RS006) at the line of the first byte that is none.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8", "replace")
        report = Report(Source(good, name))
        report.add("RS006", f"byte 0x{data[error.start]:02x} is not UTF-8", len(good), fix="save the file as UTF-8")
        raise ScheduleError(report.findings, name) from None


def parse(
    text: str,
    dialect: str | None = None,
    what: What | None = None,
    *,
    name: str | None = None,
    options: Options | None = None,
) -> Parsed:
    """Read a text and go on after every mistake; never raises for what the text contains.

    Args:
        dialect: name of the dialect; None: detected.
        what: kind of schedule; None: as the text says or looks.
        name: the file's name, for detection and messages.
        options: inputs of the node besides the text.
    """
    report = Report(Source(text, name or "<text>"))
    if (quotes := _around(text)) is not None:
        return _unquoted(report, quotes, dialect, what, options)
    if what != "value" and len(text) <= MAX_SIZE and (infotext := split_infotext(text)) is not None:
        return _of_infotext(report, infotext, dialect, what, name, options)
    if len(text) > MAX_SIZE:
        report = Report(Source(text[:200], name or "<text>"))
        report.add("RS001", f"{len(text)} characters; a schedule has at most {MAX_SIZE}", 0)
        return Parsed(None, report, by_name(dialect or "yaml"), what or "prompt")
    if (signs := max(text.count(":"), text.count("="))) > MAX_SIGNS:
        report.add("RS001", f"{signs} colons or equals signs; a schedule has at most {MAX_SIGNS}", 0)
        return Parsed(None, report, by_name(dialect or "yaml"), what or "prompt")
    chosen, kind = (by_name(dialect), what) if dialect else detect(text, what, name)
    kind = kind or (detect(text, what, name)[1] if len(chosen.kinds) > 1 else chosen.kinds[0])
    if kind not in chosen.kinds:
        report.add(
            "RS115", f"{chosen.title} has no schedules of kind '{kind}'", 0, fix=f"kind {' or '.join(chosen.kinds)}"
        )
        return Parsed(None, report, chosen, kind)
    if bad := _NO_TEXT.search(text):
        report.add("RS006", "a NUL or half a character: this is not text", bad.start())
        return Parsed(None, report, chosen, kind)
    if not text.strip("\ufeff \t\r\n"):
        report.add("RS004", "the text is empty", 0)
        return Parsed(None, report, chosen, kind)
    schedule = chosen.parse(report, kind, options or Options())
    _judge(report, schedule, chosen, kind, dialect is not None)
    return Parsed(schedule, report, chosen, schedule.what if schedule else kind)


def _around(text: str) -> tuple[int, int] | None:
    """Places of two quotes around a whole text that has none of the kind inside."""
    start, stop = len(text) - len(text.lstrip("\ufeff \t\r\n")), len(text.rstrip()) - 1
    if stop - start < 2 or len(text) > MAX_SIZE or text[start] + text[stop] not in ("''", '""', "“”", "‘’"):
        return None
    return None if {text[start], text[stop]} & set(text[start + 1 : stop]) else (start, stop)


def _unquoted(
    report: Report, quotes: tuple[int, int], dialect: str | None, what: What | None, options: Options | None
) -> Parsed:
    """The text between the quotes, its places unchanged."""
    start, stop = quotes
    text = report.source.text
    inside = parse(f"{text[:start]} {text[start + 1 : stop]} {text[stop + 1 :]}", dialect, what, options=options)
    report.add("RS124", "the whole schedule is in quotes", start, stop + 1, fix="leave them out", certain=True,
               edits=(Edit(start, start + 1, ""), Edit(stop, stop + 1, "")))  # fmt: skip
    for f in inside.report.findings:
        repair = f.repair or Repair("")
        report.add(f.code, f.message, f.start, f.stop, severity=f.severity, fix=repair.label or None,
                   edits=repair.edits, certain=repair.certain)  # fmt: skip
    return Parsed(inside.schedule, report, inside.dialect, inside.what)


def _of_infotext(
    report: Report,
    infotext: Infotext,
    dialect: str | None,
    what: What | None,
    name: str | None,
    options: Options | None,
) -> Parsed:
    """The prompt's part of an infotext, its places unchanged, with the infotext's negative prompt."""
    text = report.source.text
    if not text[: infotext.stop].strip():
        report.add("RS004", "an infotext without a prompt", 0)
        return Parsed(None, report, by_name(dialect or "webui"), "prompt")
    if not _ANY_KEY.search(infotext.positive):
        report.add("RS004", "an infotext without keys: its prompt holds for the whole clip", 0, fix="prompt=@FILE")
        return Parsed(None, report, by_name(dialect or "webui"), "prompt")
    inside = parse(text[: infotext.stop], dialect, what, name=name, options=options)
    told = [one for one in ("its negative prompt is taken as the negative" if infotext.negative else "",
                            infotext.described()) if one]  # fmt: skip
    report.add("RS321", f"an infotext of the web UI: {'; '.join(told) or 'it has no parameters'}", infotext.stop,
               fix=" ".join(infotext.overrides()) or None)  # fmt: skip
    for f in inside.report.findings:
        repair = f.repair or Repair("")
        report.add(f.code, f.message, f.start, f.stop, severity=f.severity, fix=repair.label or None,
                   edits=repair.edits, certain=repair.certain)  # fmt: skip
    schedule = inside.schedule
    if schedule is not None and infotext.negative:
        both = schedule.joiner.join(filter(None, (schedule.negative, infotext.negative)))
        schedule = replace(schedule, negative=both)
    return Parsed(schedule, report, inside.dialect, inside.what)


def _judge(report: Report, schedule: Schedule | None, chosen: Dialect, kind: What, forced: bool) -> None:
    """Say so when nothing was read, or when another dialect fits a forced one's text."""
    if forced and report.errors:
        other, other_kind = detect(report.source.text, kind)
        trial = Report(Source(report.source.text))
        if (
            other.name not in (chosen.name, "short")
            and other.parse(trial, other_kind, Options()) is not None
            and not trial.errors
        ):
            report.add("RS005", f"read as {chosen.title}; without mistakes the text is {other.title}", 0,
                       fix=f"--dialect {other.name}")  # fmt: skip
    if schedule is None and not report.errors:
        said = report.source.text.strip().partition("\n")[0][:60]
        report.add(
            "RS004", "no key was found", 0, fix=f"0: {said}" if said else "a frame and what it shows, FRAME: TEXT"
        )


def read(
    where: str | Path, dialect: str | None = None, what: What = "prompt", *, options: Options | None = None
) -> Schedule:
    """Read a schedule that is to be used.

    Args:
        where: the text, a path, or ``@file``.
        dialect: name of the dialect; None: detected.
        what: kind of schedule that is wanted.

    Raises:
        ScheduleError: the text has mistakes; all of them, with places.
        UserError: the file cannot be read.
    """
    text, name = load(where)
    parsed = parse(text, dialect, what, name=name, options=options)
    schedule = parsed.schedule
    if schedule is None or parsed.report.errors:
        raise ScheduleError(parsed.report.sorted(), name or "<text>")
    if not schedule.serves(what):
        report = parsed.report
        report.add("RS115", f"this is a schedule of kind '{schedule.what}'; a '{what}' is needed here", 0)
        raise ScheduleError(report.sorted(), name or "<text>")
    return schedule
