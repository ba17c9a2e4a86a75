"""What the linter's rules look at: a schedule that was read, its text, and what is known of the clip."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reel.errors import UserError
from reel.schedule.dialects.base import Dialect
from reel.schedule.findings import Report
from reel.schedule.model import Key, Schedule
from reel.schedule.plan import Plan, make_plan


@dataclass
class Facts:
    """What the rules look at.

    Attributes:
        embeddings: names of the render's textual inversions; None: not known, so any name may be one.
    """

    schedule: Schedule
    report: Report
    dialect: Dialect
    frames: int | None
    fps: float
    seed: int
    value_range: tuple[float, float] | None
    folder: Path | None
    rendered: bool = False
    embeddings: Collection[str] | None = None

    @cached_property
    def placed(self) -> list[tuple[int, int | None, Key]]:
        """(first frame, end of the range, key) in the order written; keys that depend on an unknown N are left out."""
        result: list[tuple[int, int | None, Key]] = []
        for key in self.schedule.keys:
            if self.frames is None and any(
                t is not None and t.kind not in ("frame", "seconds") for t in (key.at, key.until)
            ):
                continue
            count = self.frames or 0
            try:
                until = key.until.resolve(count, self.fps, self.seed) if key.until is not None else None
                result.append((key.at.resolve(count, self.fps, self.seed), until, key))
            except ValueError:
                continue
        return result

    @cached_property
    def length(self) -> int:
        """N, or a guess that covers all keys."""
        return self.frames or min(max([25, *(max(a, b or 0) + 25 for a, b, _ in self.placed)]), 1_000_000)

    @cached_property
    def judged(self) -> int:
        """Frames whose values are judged: all. For a render whose length is not known yet only those up to the last
        key: what a formula gives later may lie behind the clip's end.
        """
        if self.frames is not None or not self.rendered:
            return self.length
        return max((a for a, _, _ in self.placed), default=0) + 1

    @cached_property
    def plan(self) -> Plan | None:
        try:
            return make_plan(self.schedule, self.length, self.fps, self.seed)
        except UserError:
            return None

    def say(self, code: str, message: str, key: Key, *, body: bool = False, **more: object) -> None:
        span = key.body if body else key.place
        self.report.add(code, message, span.start, max(span.stop, span.start + 1), **more)  # type: ignore[arg-type]
