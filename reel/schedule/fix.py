"""Carries out repairs as edits of the text, so that comments and layout stay as they are."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

from reel.schedule.codes import ERROR
from reel.schedule.findings import Edit, Finding
from reel.schedule.lint import LintResult, lint
from reel.schedule.model import What

MAX_ROUNDS = 200
MAX_TRIALS = 20


@dataclass(frozen=True)
class Fixed:
    """A mended text, what was repaired, and what is left."""

    text: str
    applied: list[Finding]
    left: list[Finding]
    dialect: str

    def diff(self, before: str, name: str = "schedule") -> str:
        """A unified diff of the two texts."""
        old, new = before.splitlines(keepends=True), self.text.splitlines(keepends=True)
        return "".join(difflib.unified_diff(_ended(old), _ended(new), f"{name} (before)", f"{name} (after)"))


def _ended(lines: list[str]) -> list[str]:
    return [line if line.endswith("\n") else line + "\n" for line in lines]


def fix(
    text: str, dialect: str | None = None, what: What | None = None, *, unsafe: bool = False, frames: int | None = None
) -> Fixed:
    """Repair what is certain, and with ``unsafe`` also what is likely, until nothing more can be repaired.

    A repair after which there is as much to repair, and no further on, was not the right one: it is taken back and
    counts as uncertain. So the result is a fixed point: fixing it again changes nothing.
    """

    def look(candidate: str) -> LintResult:
        return lint(candidate, dialect, what, frames=frames)

    applied: list[Finding] = []
    result = look(text)
    for _ in range(MAX_ROUNDS):
        step = _step(text, result, unsafe, look)
        if step is None:
            break
        text, result, used = step
        applied += used
    return Fixed(text, applied, [_doubted(f) for f in result.findings], result.dialect)


def _step(
    text: str, result: LintResult, unsafe: bool, look: Callable[[str], LintResult]
) -> tuple[str, LintResult, list[Finding]] | None:
    """One round: all repairs that fit together, or else the first single one that helps."""
    chosen = _wanted(result, unsafe)
    for batch in [chosen, *([finding] for finding in chosen[:MAX_TRIALS])]:
        edits, used = _compatible(batch)
        if not edits:
            return None
        candidate = apply(text, edits)
        after = look(candidate)
        if _progress(candidate, after, unsafe) < _progress(text, result, unsafe):
            return candidate, after, used
        if len(chosen) == 1:
            return None
    return None


def _wanted(result: LintResult, unsafe: bool) -> list[Finding]:
    return [f for f in result.findings if f.repair and f.repair.edits and (unsafe or f.repair.certain)]


def _progress(text: str, result: LintResult, unsafe: bool) -> tuple[int, int, int]:
    """What is left to do, errors first; a repaired one may uncover the next, further on, or a likely repair."""
    wanted = _wanted(result, unsafe)
    errors = [f for f in result.findings if f.severity == ERROR]
    reach = len(text) - min((f.start for f in [*wanted, *errors]), default=len(text))
    return len(errors) + 2 * result.dropped, len(wanted), reach


def _doubted(finding: Finding) -> Finding:
    """A finding that is still there after all rounds: its repair did not help, so it is not certain."""
    repair = finding.repair
    return replace(finding, repair=replace(repair, certain=False)) if repair and repair.certain else finding


def _compatible(findings: list[Finding]) -> tuple[list[Edit], list[Finding]]:
    """Edits that do not touch each other, all or none of each finding's; the rest waits for the next round."""
    edits: list[Edit] = []
    used: list[Finding] = []
    last = -1
    for finding in sorted(findings, key=lambda f: min(e.start for e in f.repair.edits) if f.repair else 0):
        assert finding.repair is not None
        mine = sorted(finding.repair.edits, key=lambda e: (e.start, e.stop))
        if mine[0].start <= last or any(a.stop > b.start for a, b in itertools.pairwise(mine)):
            continue
        edits += mine
        used.append(finding)
        last = mine[-1].stop
    return edits, used


def apply(text: str, edits: list[Edit]) -> str:
    """The text with all edits carried out; they must not overlap."""
    parts, position = [], 0
    for edit in sorted(edits, key=lambda e: (e.start, e.stop)):
        parts += [text[position : edit.start], edit.new]
        position = edit.stop
    return "".join([*parts, text[position:]])
