"""Full texts of a schedule's keys at every frame, formulas in backticks computed."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from reel.errors import UserError
from reel.schedule.expressions import Expression, ExpressionError, parse_expression
from reel.schedule.model import Key, Schedule
from reel.schedule.plan import Plan

TextPair = tuple[str, str]
"""(positive, negative)"""

SHARED = 16
"""Uses from which on a formula is computed for the whole clip at once."""

BACKTICKS = re.compile(r"`([^`]*)`")


class Texts:
    """Full texts of keys, evaluated per frame where they hold expressions in backticks."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.table: list[TextPair] = []
        self.numbers: dict[TextPair, int] = {}
        pairs = [full_text(plan.schedule, key) for key in plan.keys]
        self.pairs = pairs
        self.uses: Counter[str] = Counter()
        self.whole: dict[str, np.ndarray] = {}
        self.fixed = np.array([-1 if "`" in p + n else self.number((p, n)) for p, n in pairs], dtype=np.int64)

    def number(self, pair: TextPair) -> int:
        if pair not in self.numbers:
            self.numbers[pair] = len(self.table)
            self.table.append(pair)
        return self.numbers[pair]

    def at(self, keys: np.ndarray) -> np.ndarray:
        """(N,) text numbers, for the (N,) key of each frame."""
        result = self.fixed[keys]
        live = np.flatnonzero(result < 0)
        if len(live):
            # a stable sort groups the frames of one key, so that each key is computed once over all its frames
            order = live[np.argsort(keys[live], kind="stable")]
            for group in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
                result[group] = self._evaluated(int(keys[group[0]]), group)
        return result

    def _evaluated(self, key: int, frames: np.ndarray) -> list[int]:
        positive, negative = (self._filled(text, frames) for text in self.pairs[key])
        return [
            self.number((" ".join(p.split()), " ".join(n.split()))) for p, n in zip(positive, negative, strict=True)
        ]

    def _filled(self, text: str, frames: np.ndarray) -> list[str]:
        """One text for each frame; numbers are written with 4 digits, so that near-equal frames share an embedding."""
        parts = BACKTICKS.split(text)
        rows = [[part] * len(frames) for part in parts]
        for i in range(1, len(parts), 2):
            formula = self._formula(parts[i])
            values = self._values(formula, frames)
            rows[i] = [f"{value:.4g}" for value in values.tolist()]
        return ["".join(row) for row in zip(*rows, strict=True)]

    def _formula(self, text: str) -> Expression:
        try:
            return parse_expression(text, frozenset(name for name, _ in self.plan.schedule.variables))
        except ExpressionError as error:  # the reader tells with a place; this is for schedules built in Python
            raise UserError(f"the formula `{text[:40]}` in a prompt: {error.message}", fix=error.fix) from None

    def _values(self, formula: Expression, frames: np.ndarray) -> np.ndarray:
        """The formula at these frames; one that many keys share is computed once over the whole clip."""
        self.uses[formula.text] += 1
        if self.uses[formula.text] < SHARED:
            return checked(formula, formula.evaluate(self.plan.env(frames)), frames)
        if formula.text not in self.whole:
            self.whole[formula.text] = formula.evaluate(self.plan.env(np.arange(self.plan.frames)))
        return checked(formula, self.whole[formula.text][frames], frames)


def full_text(schedule: Schedule, key: Key) -> TextPair:
    """A key's positive and negative prompt with head, tail and the common negative."""
    positive = schedule.joiner.join(part for part in (schedule.head, key.prompt or "", schedule.tail) if part)
    negative = schedule.joiner.join(part for part in (schedule.negative, key.negative) if part)
    return positive.strip(), negative.strip()


def checked(formula: Expression, values: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """``values`` if all are finite.

    Raises: UserError naming the first frame at which the formula is undefined.
    """
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise UserError(f"'{formula.text}' is undefined at frame {int(frames[bad[0]])}")
    return values
