"""The linter: every mistake of the reader, and what is legal but surely not meant, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from reel.schedule import prompt_rules, rules
from reel.schedule.codes import ERROR, NOTE, WARNING
from reel.schedule.dialects.base import Options
from reel.schedule.facts import Facts
from reel.schedule.findings import Finding
from reel.schedule.model import Schedule, What
from reel.schedule.read import Parsed, parse

RULES: tuple[Callable[[Facts], None], ...] = (
    rules.order,
    rules.duplicates,
    rules.beyond_the_end,
    rules.first_key,
    rules.overlaps,
    rules.last_transition,
    prompt_rules.slow_fades,
    prompt_rules.compound_fades,
    prompt_rules.travel_back,
    prompt_rules.chunks,
    prompt_rules.typography,
    prompt_rules.syntax,
    rules.undefined,
    rules.value_range,
    rules.missing_pictures,
    prompt_rules.commas_between_entries,
)

PARAMETERS: dict[str, tuple[float, float]] = {
    "weight": (0.0, 10.0),
    "weight_schedule": (0.0, 10.0),
    "strength": (0.0, 1.0),
    "strength_schedule": (0.0, 1.0),
    "guidance_scale": (0.0, 50.0),
    "guidance_schedule": (0.0, 10.0),
    "control_guidance_start": (0.0, 1.0),
    "control_guidance_end": (0.0, 1.0),
    "ip_adapter_scale": (0.0, 2.0),
}
"""Ranges of the parameters that schedules drive; the ``_schedule`` ones are factors of the parameter itself."""


@dataclass(frozen=True)
class LintResult:
    """Findings in order of place, and the schedule as far as it could be read."""

    findings: list[Finding]
    schedule: Schedule | None
    dialect: str
    what: What
    dropped: int = 0
    """Findings beyond the largest number that is kept."""

    def worst(self) -> str | None:
        """The gravest severity among the findings."""
        found = {f.severity for f in self.findings}
        return next((s for s in (ERROR, WARNING, NOTE) if s in found), None)


def lint(
    text: str,
    dialect: str | None = None,
    what: What | None = None,
    *,
    frames: int | None = None,
    fps: float | None = None,
    seed: int = 0,
    value_range: tuple[float, float] | None = None,
    options: Options | None = None,
    name: str | None = None,
    folder: Path | None = None,
) -> LintResult:
    """Look a text over; never raises for what the text contains.

    Args:
        frames: number of frames N, for rules about the end of the clip; the schedule's own ``frames`` otherwise.
        value_range: smallest and largest allowed value, such as ``PARAMETERS["weight"]``.
        folder: where pictures are looked for; None: pictures are not looked for.
    """
    parsed = parse(text, dialect, what, name=name, options=options)
    return judge(parsed, frames=frames, fps=fps, seed=seed, value_range=value_range, folder=folder)


def judge(
    parsed: Parsed,
    *,
    frames: int | None = None,
    fps: float | None = None,
    seed: int = 0,
    value_range: tuple[float, float] | None = None,
    folder: Path | None = None,
    rendered: bool = False,
    embeddings: Collection[str] | None = None,
) -> LintResult:
    """Apply all rules to a text that was read.

    Args:
        rendered: it is about to be rendered here: what the text encoder or the range refuses is an error.
        embeddings: names of its textual inversions; None: not known, so ``embedding:NAME`` is not judged.
    """
    report, schedule = parsed.report, parsed.schedule
    if schedule is not None:
        count, rate = frames or schedule.frames, fps or schedule.fps or 12.0
        facts = Facts(schedule, report, parsed.dialect, count, rate, seed, value_range, folder, rendered, embeddings)
        for rule in RULES:
            rule(facts)
    return LintResult(report.sorted(), schedule, parsed.dialect.name, parsed.what, report.dropped)
