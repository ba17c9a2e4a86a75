"""The study of a search, kept by Optuna on disk: the only place that knows Optuna.

One journal file holds an Optuna study for every rung, under the rung's name, so that `optuna-dashboard` and Optuna
itself can read it. The first rung's study is asked for points; the others hold what became of the points that went on.
A point is known by its number in the first rung. Every answer is on disk before the next question: after a kill the
search goes on where it was, and asks the same questions, since the sampler is seeded anew for each of them.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reel.files import explained, read_checked, read_file, read_regular, sha256_bytes, write_checked
from reel.search.goals import Goal, Scored
from reel.search.search_axes import Axis

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

Sampler = Literal["gp", "tpe", "nsga2", "random"]
NUMBER, VALUES, RUN, COST = "number", "values", "run", "cost"


@dataclass(frozen=True)
class Trial:
    """A point at a rung.

    Attributes:
        number: of the point.
        point: value by settings key.
        values: every number that was measured, by its key; empty while it is open or where it failed.
        violation: how far it is beyond the limits (0: within all).
        run: its render record.
        cost: full renders that it came to.
        failed: why, where it did.
    """

    number: int
    point: Mapping[str, float]
    values: Mapping[str, float] = field(default_factory=dict)
    violation: float = 0.0
    run: str = ""
    cost: float = 0.0
    failed: str = ""

    def scored(self, goals: Sequence[Goal]) -> Scored:
        return Scored(self.number, tuple(goal.loss(self.values[goal.key]) for goal in goals), self.violation)


class Study:
    """A search's points and answers. The caller holds the search's lock: nobody else writes.

    Args:
        alone: False: the caller does not hold it, and only reads.
    """

    def __init__(
        self,
        folder: Path,
        rungs: Sequence[str],
        axes: Sequence[Axis],
        goals: Sequence[Goal],
        sampler: Sampler,
        seed: int,
        *,
        alone: bool = True,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.axes, self.goals, self.kind, self.seed = list(axes), list(goals), sampler, seed
        self.first = rungs[0]
        self._path = folder / "study.log"
        storage = _storage(self._path, alone=alone)
        directions = [goal.direction for goal in goals]
        with explained(self._path):
            self._studies = {
                name: optuna.create_study(study_name=name, storage=storage, directions=directions, load_if_exists=True)
                for name in dict.fromkeys(rungs)
            }
        if alone:
            self._seal()

    def _seal(self) -> None:
        """Note how long the journal is and its checksum, by which `_storage` knows it again."""
        data = read_regular(self._path)
        write_checked(_seal_path(self._path), f"{len(data)} {sha256_bytes(data)}".encode())

    def trials(self, rung: str) -> list[Trial]:
        """Closed trials of a rung in the order of their points' numbers, failed ones too."""
        return sorted(self._closed(rung), key=lambda trial: trial.number)

    def ask(self, given: Mapping[str, float]) -> Trial | None:
        """The next point: one that was broken off, else a new one. None when the whole space has been seen.

        Args:
            given: the first point that is tried.

        Raises:
            UserError: the disk is full or does not let us.
        """
        with explained(self._path):
            return self._ask(given)

    def _ask(self, given: Mapping[str, float]) -> Trial | None:
        import optuna

        study = self._studies[self.first]
        states = optuna.trial.TrialState
        broken = next(iter(study.get_trials(deepcopy=False, states=[states.RUNNING])), None)
        if broken is not None and len(broken.params) == len(self.axes):
            return Trial(broken.number, self._point(broken.params))
        known = study.get_trials(deepcopy=False)
        seen = {tuple(self._point(trial.params).values()) for trial in known if len(trial.params) == len(self.axes)}
        if broken is not None:  # killed while it was being asked for: what its point lacks is asked for now
            study.sampler = self._sampler(broken.number)
            trial = optuna.trial.Trial(study, broken._trial_id)
            for key, distribution in self._distributions().items():
                trial._suggest(key, distribution)
        else:
            wanted = self._planned(len(known), given)
            if wanted is not None and not any(trial.state == states.WAITING for trial in known):
                study.enqueue_trial({axis.key: wanted[axis.key] for axis in self.axes})
            study.sampler = self._sampler(len(known))
            trial = study.ask(self._distributions())
        point = self._point(trial.params)
        if tuple(point.values()) not in seen:
            return Trial(trial.number, point)
        return self._another(trial, seen)

    def close(self, rung: str, trial: Trial) -> None:
        """Keep a trial's answer.

        Raises:
            UserError: as `ask`.
        """
        with explained(self._path):
            self._close(rung, trial)
        self._seal()

    def _close(self, rung: str, trial: Trial) -> None:
        import optuna

        study, values = self._studies[rung], [trial.values.get(goal.key) for goal in self.goals]
        attributes: dict[str, Any] = {
            **{NUMBER: trial.number, VALUES: dict(trial.values), RUN: trial.run, COST: trial.cost},
            **({"failed": trial.failed} if trial.failed else {}),
        }
        state = optuna.trial.TrialState.FAIL if trial.failed else optuna.trial.TrialState.COMPLETE
        if rung == self.first:
            open_trial = optuna.trial.Trial(study, study.get_trials(deepcopy=False)[trial.number]._trial_id)
            for name, value in attributes.items():
                open_trial.set_user_attr(name, value)
            open_trial.set_constraint("limits", trial.violation)
            study.tell(trial.number, None if trial.failed else values, state=state)
            return
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                params=dict(trial.point),
                distributions=self._distributions(),
                values=None if trial.failed else values,
                user_attrs=attributes,
                constraints={"limits": trial.violation},
            )
        )

    def _closed(self, rung: str) -> Iterator[Trial]:
        for trial in self._studies[rung].get_trials(deepcopy=False):
            kept = trial.user_attrs
            if trial.state.is_finished() and NUMBER in kept:
                yield Trial(
                    kept[NUMBER],
                    self._point(trial.params),
                    kept[VALUES],
                    max(trial.constraints.get("limits", 0.0), 0.0),
                    kept[RUN],
                    kept[COST],
                    kept.get("failed", ""),
                )

    def _another(self, trial: optuna.Trial, seen: set[tuple[float, ...]]) -> Trial | None:
        """Instead of a point that was seen already, one that was not, drawn evenly."""
        import numpy as np
        import optuna

        study, total = self._studies[self.first], int(np.prod([axis.count for axis in self.axes], dtype=object))
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        if len(seen) >= total:
            return None
        draw = np.random.default_rng([self.seed, trial.number])
        while True:
            point = {axis.key: axis.value(int(draw.integers(axis.count))) for axis in self.axes}
            if tuple(point.values()) not in seen:
                break
        study.enqueue_trial(point)
        fresh = study.ask(self._distributions())
        return Trial(fresh.number, self._point(fresh.params))

    def _planned(self, number: int, given: Mapping[str, float]) -> Mapping[str, float] | None:
        """The points before the sampler's own: the given one; it without each control, since points that are spread
        evenly hardly touch an edge, and often a control does best at none; then a scrambled Sobol sequence.
        """
        from scipy.stats import qmc

        first = [given, *without_each(self.axes, given)]
        if number < (1 if self.kind == "random" else len(first)):
            return first[number]
        if self.kind == "random" or number > startup(len(self.axes)):
            return None
        spread = qmc.Sobol(len(self.axes), seed=self.seed).random(8 * (startup(len(self.axes)) // 8 + 1))
        sobol = spread[number - 1]  # that of this trial, whatever has taken the place of those before
        return {
            axis.key: axis.value(min(axis.count - 1, int(u * axis.count)))
            for axis, u in zip(self.axes, sobol, strict=True)
        }

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        import optuna

        seed = (self.seed * 1_000_003 + number) % 2**32
        if self.kind == "gp":
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=1, deterministic_objective=True)
        if self.kind == "tpe":
            return optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, multivariate=True)
        if self.kind == "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed, population_size=8)
        return optuna.samplers.RandomSampler(seed=seed)

    def _distributions(self) -> dict[str, optuna.distributions.BaseDistribution]:
        from optuna.distributions import FloatDistribution, IntDistribution

        return {
            axis.key: IntDistribution(int(axis.low), int(axis.high), step=int(axis.step))
            if axis.integer
            else FloatDistribution(axis.low, axis.high, step=axis.step)
            for axis in self.axes
        }

    def _point(self, params: Mapping[str, Any]) -> dict[str, float]:
        """The point with every value exactly on the lattice: Optuna adds up steps, which leaves dirt in last digits."""
        return {axis.key: axis.nearest(params[axis.key]) for axis in self.axes}


def without_each(axes: Sequence[Axis], given: Mapping[str, float]) -> list[dict[str, float]]:
    """The given point with the weight of each control at 0 in turn, where another one still counts."""
    weights = [axis for axis in axes if axis.key.startswith("controls.") and axis.key.endswith(".weight")]
    count = [axis for axis in weights if given.get(axis.key, 0) > 0]
    return [{**given, axis.key: 0.0} for axis in count if axis.low == 0] if len(count) > 1 else []


def startup(axes: int) -> int:
    """Points that are spread evenly before the sampler looks for the front."""
    return 3 * axes + 1


def _storage(path: Path, *, alone: bool) -> optuna.storages.JournalStorage:
    """The journal. A line that a killed process left half-written goes, and so does its lock; a journal that is not
    what was written is moved aside, and the search asks for its trials again.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path.parent.mkdir(parents=True, exist_ok=True)
    if alone:
        for left in path.parent.glob(f"{path.name}.lock*"):
            left.unlink(missing_ok=True)
        data = read_file(path) or b""
        whole = data.rfind(b"\n") + 1
        if not _is_sound(data[:whole], path):
            place = path.with_name(f"{path.name}.{time.time_ns():x}.damaged")
            path.rename(place)
            log.warning(
                "%s is damaged and was moved to %s: its trials are asked for again, from the store", path, place
            )
        elif whole < len(data):
            os.truncate(path, whole)
    return JournalStorage(JournalFileBackend(str(path)))


def _is_sound(data: bytes, path: Path) -> bool:
    """Whether a journal begins with what was sealed last, and goes on in whole lines of JSON."""
    if not path.exists():
        return True
    try:
        for line in data.splitlines():
            json.loads(line)
        length, _, digest = (read_checked(_seal_path(path)) or b"0 ").decode().partition(" ")
    except ValueError:
        return False
    return path.is_file() and (not digest or sha256_bytes(data[: int(length)]) == digest)


def _seal_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.seal")
