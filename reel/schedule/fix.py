"""Carries out repairs as edits of the text, so that comments and layout stay as they are."""

from __future__ import annotations

import difflib
import itertools
from dataclasses import dataclass

from reel.schedule.findings import Edit, Finding
from reel.schedule.lint import lint
from reel.schedule.model import What

MAX_ROUNDS = 200


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

    The result of `fix` is a fixed point: fixing it again changes nothing.
    """
    applied: list[Finding] = []
    seen: list[str] = []
    for _ in range(MAX_ROUNDS):
        result = lint(text, dialect, what, frames=frames)
        chosen = [f for f in result.findings if f.repair and f.repair.edits and (unsafe or f.repair.certain)]
        edits, used = _compatible(chosen)
        if not edits:
            break
        seen.append(text)
        text = apply(text, edits)
        if text in seen:  # two repairs undo each other: settle on one of the texts, always the same
            text = min(seen[seen.index(text) :])
            break
        applied += used
    result = lint(text, dialect, what, frames=frames)
    return Fixed(text, applied, result.findings, result.dialect)


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
