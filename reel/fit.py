"""Seconds against amounts of work: a small non-negative least squares for few, noisy runs.

``seconds = call + sum(cost[term] * amount[term])``, no cost below zero, so that more work never takes less time. As
long as the runs do not tell otherwise all terms cost alike and a call nothing: one run is scaled in proportion, and
each further one says more about the single costs (ridge regression towards that proportion). Errors are relative to
what a run took, so that a slow one (a busy machine) pulls less than a quick one, and what stands far off counts little.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Amounts = Mapping[str, float]
"""How much of what, by term; the terms of one op in one rough unit, see `reel.work.Work`."""

NOISE = 0.1
"""Relative error of a run on a quiet machine, before the runs themselves say it."""
BEFOREHAND = 4
"""Runs that it takes to say as much about that error as was known before."""
SPREAD = 0.5
"""How far the costs of an op's terms lie from one another, relative to their mean, before the runs say it."""
OUTLIER = 0.3
"""Relative distance from the others at which a run counts half."""
PASSES = 8
LEAST = 1e-3
"""Seconds: what is measured below is noise."""


@dataclass(frozen=True)
class Fit:
    """What the runs of an op say about its next one.

    Attributes:
        terms: names of the amounts.
        unit: seconds for one of an amount that no run had; what all cost in proportion.
        cost: seconds (K,) for one of each term, and for a call.
        covariance: of the costs, (K, K).
        noise: relative error of one run.
    """

    terms: tuple[str, ...]
    unit: float
    cost: np.ndarray
    covariance: np.ndarray
    noise: float

    def seconds(self, amounts: Amounts) -> float:
        row, further = self._row(amounts)
        return float(row @ self.cost) + further

    def error(self, amounts: Amounts) -> float:
        """Relative standard deviation of `seconds`."""
        row, further = self._row(amounts)
        variance = float(row @ self.covariance @ row) + (SPREAD * further) ** 2
        return (variance / max(self.seconds(amounts), LEAST) ** 2 + self.noise**2) ** 0.5

    def _row(self, amounts: Amounts) -> tuple[np.ndarray, float]:
        """The amounts in the order of the costs, and seconds for those that no run had."""
        import numpy as np

        row = np.array([*(amounts.get(term, 0.0) for term in self.terms), 1.0])
        return row, self.unit * sum(amount for term, amount in amounts.items() if term not in self.terms)


def fit(runs: Sequence[tuple[Amounts, float]]) -> Fit:
    """Fit past runs of one op.

    Args:
        runs: amounts and seconds of each, at least one.
    """
    import numpy as np

    terms = tuple(sorted({term for amounts, _ in runs for term in amounts}))
    work = np.array([[*(amounts.get(term, 0.0) for term in terms), 1.0] for amounts, _ in runs])
    seconds = np.array([max(taken, LEAST) for _, taken in runs])
    unit, typical = _in_proportion(work[:, :-1].sum(axis=1), seconds)
    scale = unit * np.array([*(1.0 for _ in terms), typical])  # costs are sought in these, about 1 for all terms
    expected = np.array([*(1.0 for _ in terms), 0.0 if work[:, :-1].any() else 1.0])
    rows = work * scale / seconds[:, None]  # relative to what each run took: all are to give 1
    share, noise, precision = expected, NOISE, np.eye(len(scale))
    for _ in range(PASSES):
        off = np.log(np.maximum(rows @ share, LEAST))
        weights = 1 / (1 + (off / OUTLIER) ** 2) if len(runs) > 2 else np.ones(len(runs))
        precision = (rows * weights[:, None]).T @ rows / noise**2 + np.eye(len(scale)) / SPREAD**2
        share = _least(precision, (rows * weights[:, None]).sum(axis=0) / noise**2 + expected / SPREAD**2)
        errors = np.minimum((rows @ share - 1) ** 2, OUTLIER**2)
        noise = float(np.sqrt((BEFOREHAND * NOISE**2 + errors.sum()) / (BEFOREHAND + len(runs))))
    return Fit(terms, unit, share * scale, np.linalg.inv(precision) * np.outer(scale, scale), noise)


def _in_proportion(total: np.ndarray, seconds: np.ndarray) -> tuple[float, float]:
    """Seconds for one of any amount, and a typical run's amounts; where nothing is counted, of one that counts 1."""
    import numpy as np

    some = total > 0
    if not some.any():
        return float(np.median(seconds)), 1.0
    return float(np.median(seconds[some] / total[some])), float(np.median(total[some]))


def _least(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """The x >= 0 that makes ``x @ matrix @ x - 2 * vector @ x`` least, for a positive definite matrix of a few rows."""
    import numpy as np

    best, least = np.zeros(len(vector)), 0.0
    for count in range(1, len(vector) + 1):
        for free in itertools.combinations(range(len(vector)), count):
            part = np.linalg.solve(matrix[np.ix_(free, free)], vector[list(free)])
            value = float(-vector[list(free)] @ part)
            if (part >= 0).all() and value < least:
                best, least = np.zeros(len(vector)), value
                best[list(free)] = part
    return best
