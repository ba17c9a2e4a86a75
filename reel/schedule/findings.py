"""What the linter says: findings with a place in the user's own text, and repairs as text edits."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from rich.cells import cell_len

from reel.errors import UserError
from reel.schedule.codes import CODES, ERROR, docs_link

MAX_FINDINGS = 500
"""A hostile or hopeless text gets this many findings at most; a person reads the first few."""

EXCERPT_WIDTH = 96


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace ``text[start:stop]`` (character offsets) by ``new``."""

    start: int
    stop: int
    new: str


@dataclass(frozen=True, slots=True)
class Repair:
    """How to put a finding right. ``certain``: there is only one thing that can have been meant."""

    label: str
    edits: tuple[Edit, ...] = ()
    certain: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake or trap. ``line`` and ``column`` count from 1, in characters of the user's text."""

    code: str
    severity: str
    message: str
    line: int
    column: int
    start: int
    stop: int
    excerpt: str
    repair: Repair | None = None

    @property
    def docs(self) -> str:
        return docs_link(self.code)

    def render(self, name: str) -> str:
        """The finding as shown in a terminal: place, code, words, the line with a caret, the fix, the docs."""
        rows = [f"{name}:{self.line}:{self.column}: {self.severity} {self.code}: {self.message}", self.excerpt]
        if self.repair:
            rows.append(f"    fix: {self.repair.label}")
        rows.append(f"    see {self.docs}")
        return "\n".join(rows)


class Source:
    """A text and the places of its lines."""

    def __init__(self, text: str, name: str = "<text>") -> None:
        self.text = text
        self.name = name
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(self, offset: int) -> tuple[int, int]:
        """1-based (line, column) of a character offset."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self._starts, offset) - 1
        return line + 1, offset - self._starts[line] + 1

    def line_start(self, offset: int) -> int:
        return self._starts[bisect_right(self._starts, offset) - 1]

    def line(self, number: int) -> str:
        start = self._starts[number - 1]
        stop = self._starts[number] - 1 if number < len(self._starts) else len(self.text)
        return self.text[start:stop].removesuffix("\r")

    def excerpt(self, offset: int, stop: int) -> str:
        """The line around ``offset`` with a caret under the place; long lines are cut around it."""
        number, column = self.place(offset)
        line = self.line(number)
        begin = max(0, column - 1 - EXCERPT_WIDTH // 2) if len(line) > EXCERPT_WIDTH else 0
        shown = line[begin : begin + EXCERPT_WIDTH]
        before = shown[: column - 1 - begin]
        marked = shown[column - 1 - begin : column - 1 - begin + max(1, stop - offset)]
        lead, tail = ("…" if begin else ""), ("…" if begin + EXCERPT_WIDTH < len(line) else "")
        gutter = f"    {number} | "
        pad = " " * (len(gutter) + len(lead) + cell_len(before))
        return f"{gutter}{lead}{shown.translate(_VISIBLE)}{tail}\n{pad}^{'~' * (max(1, cell_len(marked)) - 1)}"


class _Visible(dict[int, "str | int"]):
    """Control characters as visible stand-ins, so that a hostile text cannot drive the terminal."""

    def __missing__(self, code: int) -> str | int:
        self[code] = " " if code == ord("\t") else code if chr(code).isprintable() else "·"
        return self[code]


_VISIBLE = _Visible()


@dataclass
class Report:
    """Collects findings while a text is read; the reader goes on after each of them."""

    source: Source
    findings: list[Finding] = field(default_factory=list)
    dropped: int = 0

    def add(
        self,
        code: str,
        message: str,
        start: int,
        stop: int | None = None,
        *,
        fix: str | None = None,
        edits: tuple[Edit, ...] = (),
        certain: bool = False,
        severity: str | None = None,
    ) -> None:
        """Note a finding at ``text[start:stop]``; ``fix`` says the likely repair, ``edits`` carry it out."""
        if len(self.findings) >= MAX_FINDINGS:
            self.dropped += 1
            return
        stop = start + 1 if stop is None else stop
        line, column = self.source.place(start)
        repair = Repair(fix, edits, certain and bool(edits)) if fix else None
        self.findings.append(
            Finding(
                code, severity or CODES[code].severity, message, line, column, start, stop,
                self.source.excerpt(start, stop), repair,
            )
        )  # fmt: skip

    @property
    def errors(self) -> list[Finding]:
        return [f for f in self.findings if f.severity == ERROR]

    def sorted(self) -> list[Finding]:
        return sorted(self.findings, key=lambda f: (f.start, f.stop, f.code))


class ScheduleError(UserError):
    """A schedule that cannot be used. ``findings`` carry line, column, code and the line with a caret.

    Args:
        findings: all findings of the text, in order of place.
        name: the file's name, or what the text stands for.
    """

    def __init__(self, findings: list[Finding], name: str = "<text>") -> None:
        self.findings = findings
        self.name = name
        errors = [f for f in findings if f.severity == ERROR]
        super().__init__("\n".join(f.render(name) for f in errors[:20]))

    def __reduce__(self) -> tuple[object, ...]:
        return (ScheduleError, (self.findings, self.name))
