"""sd-webui-animatediff prompt travel: head lines, lines ``frame: prompt``, tail lines."""

from __future__ import annotations

import re
from dataclasses import replace

from reel.schedule.dialects.base import Dialect, Options, Target
from reel.schedule.findings import Edit, Report
from reel.schedule.model import BLEND, Key, Schedule, Span, What
from reel.schedule.segments import keyed_rows
from reel.schedule.times import frame

_STARTS = re.compile(r"\d+:")
_LINE = re.compile(r"(\d{1,9}): (.+)$")
_NEARLY = re.compile(r"\s*[\"'“”]?\s*(-?\d+(?:\.\d+)?)\s*[\"'“”]?\s*([:：=]|-\s|\.\s)\s*(.*)$")
_BARE = re.compile(r"(\d{1,9}) (\S.*)$")
Line = tuple[int, str]
"""(offset, text)"""


def parse(report: Report, what: What, options: Options) -> Schedule | None:
    """Prompts move along an arc from each key to the next; the last one is held.

    The tool takes the first line that is no key after the keys began, and EVERYTHING after it, as tail text.
    """
    lines = _lines(report.source.text)
    first = next((i for i, line in enumerate(lines) if _STARTS.match(line[1])), None)
    if first is None:
        _nearly(report, lines)
        return None
    head, keys, last = lines[:first], [], first
    while last < len(lines) and (match := _LINE.match(lines[last][1])):
        keys.append(_key(report, lines[last][0], match))
        last += 1
    tail = lines[last:]
    _tail(report, tail)
    for line in head:
        _head_line(report, line)
    if not keys:
        return None
    return Schedule(
        "prompt", tuple(keys), BLEND, head=", ".join(t.strip() for _, t in head if t.strip()),
        tail=", ".join(t.strip() for _, t in tail if t.strip()), mixing="slerp", dialect="webui",
    )  # fmt: skip


def _lines(text: str) -> list[Line]:
    """Lines of the stripped text with their offsets, without line ends."""
    body = text.strip("\ufeff \t\r\n")
    start = text.find(body) if body else 0
    result, offset = [], start
    for line in body.split("\n"):
        result.append((offset, line.removesuffix("\r")))
        offset += len(line) + 1
    return result


def _key(report: Report, offset: int, match: re.Match[str]) -> Key:
    prompt = match[2].strip()
    begin = offset + match.start(2)
    if len(prompt) > 1 and prompt[0] in "\"“'" and prompt.rstrip(",")[-1] in "\"”'":
        inner = prompt.rstrip(",")[1:-1]
        report.add("RS313", "the quotes stay in the prompt here", begin, begin + len(prompt), fix=inner[:60],
                   edits=(Edit(begin, begin + len(match[2].rstrip()), inner),))  # fmt: skip
    return Key(frame(int(match[1])), prompt=prompt, place=Span(offset, offset + len(match[1])),
               body=Span(begin, begin + len(prompt)))  # fmt: skip


def _tail(report: Report, tail: list[Line]) -> None:
    """Lines of the tail that were meant as keys, or that cost later ones: all of them, as if each were mended."""
    later = [0]
    for _, line in reversed(tail):
        later.append(later[-1] + bool(_LINE.match(line) or _NEARLY.match(line)))
    later.reverse()  # later[i]: keys among the lines from i on
    i = 0
    while i < len(tail):
        offset, text = tail[i]
        count, i = later[i + 1], i + 1
        if match := _LINE.match(text):
            _key(report, offset, match)
        elif not text.strip() and count:
            while not tail[i][1].strip():
                i += 1
            report.add("RS312", f"an empty line ends the keys: {count} later key(s) become tail text", offset,
                       fix="no empty line", edits=(Edit(offset, tail[i][0], ""),), certain=True)  # fmt: skip
        elif not _tail_line(report, offset, text, count):
            return


def _tail_line(report: Report, offset: int, text: str, later: int) -> bool:
    """Report a line that is no key, where it should be one or where keys follow; False for real tail text."""
    dropped = f"it and {later} later key(s) become tail text" if later else "it becomes tail text"
    if match := re.match(r"(\d+):(\S.*)?$", text):
        at = offset + len(match[1]) + 1
        if match[2] is None:
            report.add("RS123", f"the key {match[1]} has no prompt; {dropped}", offset, at)
        else:
            report.add("RS303", f"no space after the colon: {dropped}, without any message", at,
                       fix="a space here", edits=(Edit(at, at, " "),), certain=True)  # fmt: skip
    elif match := _NEARLY.match(text):
        _mend(report, offset, match, dropped)
    elif later:
        report.add("RS312", f"this line is not a key, so {later} later key(s) become tail text", offset,
                   offset + len(text), fix="move it before the first key or after the last one")  # fmt: skip
    else:
        return _bare(report, offset, text, "tail")
    return True


def _bare(report: Report, offset: int, text: str, part: str) -> bool:
    """Warn of a line such as ``4 blue top``: the likeliest mistake of all, and legal text at the same time."""
    match = _BARE.match(text)
    if match is None:
        return False
    at = offset + match.end(1)
    report.add("RS320", f"this line begins like a key, but has no ':': it becomes {part} text", offset, at,
               fix=f"{match[1]}: {match[2][:40]}", edits=(Edit(at, at, ":"),))  # fmt: skip
    return True


def _mend(report: Report, offset: int, match: re.Match[str], dropped: str) -> None:
    """A line that is nearly a key: blanks before it, quotes, another sign, a fraction or a minus."""
    number, sign, prompt = match.groups()
    start = offset + match.start(1)
    if "." in number or number.startswith("-"):
        code, word = ("RS202", "a fraction") if "." in number else ("RS209", "a negative number")
        report.add(code, f"{number} is {word}: the line is not a key, and {dropped}", start, start + len(number),
                   severity="error", fix="a whole number from 0")  # fmt: skip
        return
    code = "RS110" if sign == "：" else "RS106" if sign != ":" else "RS303"
    report.add(
        code,
        f"a key is written '{number}: prompt' from the line's start; {dropped}",
        offset,
        offset + match.end(2),
        fix=f"{number}: {prompt[:40]}",
        edits=(Edit(offset, offset + match.start(3), f"{number}: "),),
        certain=sign in ":：=" and bool(prompt) and '"' not in match[0][: match.start(3)],
    )


def _head_line(report: Report, line: Line) -> None:
    match = _NEARLY.match(line[1])
    if match and match[2] in ":：=" and match[3]:
        _mend(report, line[0], match, "it becomes head text")
    else:
        _bare(report, line[0], line[1], "head")


def _nearly(report: Report, lines: list[Line]) -> None:
    for offset, text in lines:
        match = _NEARLY.match(text)
        if match and match[3]:
            _mend(report, offset, match, "it becomes ordinary text")


def write(schedule: Schedule, target: Target) -> str:
    """Key lines between head and tail; frames must lie inside the clip."""
    if schedule.negative or any(key.negative for key in schedule.keys):
        target.say("RS504", "the negative prompt has its own box in the web UI: it is left out here")
    if schedule.mixing == "lerp":
        target.say("RS508", "this tool mixes prompts along an arc, not along a straight line")
    whole = schedule.joiner == ", " and not any(_STARTS.match(t) or "\n" in t for t in (schedule.head, schedule.tail))
    if whole:
        rows = keyed_rows(replace(schedule, head="", tail=""), target, wrap=False, inside=True)
    else:
        rows = keyed_rows(schedule, target, wrap=False, inside=True)
    lines = [f"{at}: {' '.join(text[0].split()) or ' '}" for at, text in rows]
    head = [schedule.head] if whole and schedule.head else []
    tail = [schedule.tail] if whole and schedule.tail else []
    return "\n".join([*head, *lines, *tail]) + "\n"


DIALECT = Dialect(
    "webui", "sd-webui-animatediff", ("prompt",), parse, write, fades=True, page="sd-webui-animatediff.md"
)
