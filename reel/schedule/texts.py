"""Full texts of a schedule's keys at every frame, formulas in backticks computed."""

from __future__ import annotations

import re

import numpy as np

from reel.errors import UserError
from reel.schedule.expressions import Expression, ExpressionError, parse_expression
from reel.schedule.model import Key, Schedule
from reel.schedule.plan import Plan

TextPair = tuple[str, str]
"""(positive, negative)"""

BACKTICKS = re.compile(r"`([^`]*)`")


class Texts:
    """Full texts of keys, evaluated per frame where they hold expressions in backticks."""

    def __init__(self, plan: Plan, formulas: bool = True) -> None:
        self.plan = plan
        self.table: list[TextPair] = []
        self.numbers: dict[str, dict[str, int]] = {}
        """By negative and positive text."""
        pairs = [full_text(plan.schedule, key) for key in plan.keys]
        live = [formulas and "`" in positive + negative for positive, negative in pairs]
        self.fixed = np.array([-1 if on else self.number(*pair) for pair, on in zip(pairs, live, strict=True)])
        # texts between formulas and the formulas themselves, in turn; blanks are evened out as in every prompt
        self.parts = [
            [
                BACKTICKS.split(" ".join(pair[side].split())) if on else [""]
                for pair, on in zip(pairs, live, strict=True)
            ]
            for side in (0, 1)
        ]

    def number(self, positive: str, negative: str) -> int:
        known = self.numbers.setdefault(negative, {})
        if positive not in known:
            known[positive] = len(self.table)
            self.table.append((positive, negative))
        return known[positive]

    def at(self, keys: np.ndarray) -> np.ndarray:
        """(N,) text numbers, for the (N,) key of each frame."""
        result = self.fixed[keys]
        live = np.flatnonzero(result < 0)
        if len(live):
            positives, negatives = (self._filled(parts, keys[live], live) for parts in self.parts)
            result[live] = list(map(self.number, positives, negatives))
        return result

    def _filled(self, parts: list[list[str]], keys: np.ndarray, frames: np.ndarray) -> list[str]:
        """One text for each frame, all in one go: texts are joined as columns of objects."""
        column = np.array([part[0] for part in parts], dtype=object)[keys]
        for i in range(1, max(map(len, parts)), 2):
            formulas = [part[i] if i < len(part) else "" for part in parts]
            after = np.array([part[i + 1] if i < len(part) else "" for part in parts], dtype=object)
            column = column + self._numbers(formulas, keys, frames) + after[keys]
        return list(column)

    def _numbers(self, formulas: list[str], keys: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """(n,) the keys' formulas at these frames, written with 4 digits so that near-equal frames share a text.

        Frames of equal formulas are computed together.
        """
        ids: dict[str, int] = {}
        number = np.array([ids.setdefault(formula, len(ids)) for formula in formulas])[keys]
        order = np.argsort(number, kind="stable")
        written = np.full(len(keys), "", dtype=object)
        names = list(ids)
        for group in np.split(order, np.flatnonzero(np.diff(number[order])) + 1):
            if text := names[int(number[group[0]])]:
                formula, at = self._formula(text), frames[group]
                values = checked(formula, formula.evaluate(self.plan.env(at)), at)
                written[group] = [f"{value:.4g}" for value in values.tolist()]
        return written

    def _formula(self, text: str) -> Expression:
        try:
            return parse_expression(text, frozenset(name for name, _ in self.plan.schedule.variables))
        except ExpressionError as error:  # the reader tells with a place; this is for schedules built in Python
            raise UserError(f"the formula `{text[:40]}` in a prompt: {error.message}", fix=error.fix) from None


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
