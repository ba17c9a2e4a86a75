"""A search goes: points on the proxy one by one, the most promising of them again with more effort."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flows.edge.text import duration, figure
from flows.search.definition import Definition
from flows.search.plan import Job
from flows.search.settings import Search
from flows.search.trials import evaluate, needed
from reel.config import FIGURES, parse
from reel.errors import NoRoom, UserError
from reel.history.record import load, record_path
from reel.history.recorder import Recorder
from reel.nested import placed
from reel.op import Context
from reel.search.goals import Rung, entrants, front, knee, ranked
from reel.store import Store
from tasks.search.optuna_study import Study, Trial

log = logging.getLogger(__name__)
WITHOUT_RECORD = "its figures are in the study; `runs` and `compare` do not show it"


@dataclass(frozen=True)
class Found:
    """A search's state: trials of every rung, cheapest rung first."""

    definition: Definition
    job: Job
    trials: Mapping[str, Sequence[Trial]]

    @property
    def finalists(self) -> list[Trial]:
        return [trial for trial in self.trials["full"] if not trial.failed]

    @property
    def front(self) -> list[Trial]:
        """Finalists that nothing dominates, the best in the first goal first."""
        by_number = {trial.number: trial for trial in self.finalists}
        return [by_number[one.name] for one in front([t.scored(self.job.goals) for t in self.finalists])]

    @property
    def knee(self) -> Trial | None:
        """The finalist that gives up least of everything (`reel.search.goals.knee`)."""
        best = knee([trial.scored(self.job.goals) for trial in self.finalists], [goal.tells for goal in self.job.goals])
        return next((trial for trial in self.finalists if best and trial.number == best.name), None)

    @property
    def cost(self) -> float:
        """Full renders that everything came to so far."""
        return sum(trial.cost for trials in self.trials.values() for trial in trials)


def tried(job: Job, definition: Definition) -> str:
    """How many trials a search that is broken off need not make again."""
    study = definition.study(job.store)
    count = sum(len(study.trials(rung.name)) for rung in job.rungs([None] * job.plan.count))
    return f"{count} trials of {definition.id}" if count else ""


def search(job: Job, definition: Definition, cfg: Search, recorder: Recorder) -> Found:
    """The search, as far as it is not done yet; inside a Prefect flow."""
    ctx = Context(job.store, cfg.compute, run=recorder.run, told=recorder.stage)
    rungs = job.rungs(job.plan.people(ctx))
    study = definition.study(job.store)
    _tell_lost(job.store, study, rungs)
    runner = Runner(job, study, cfg, recorder, ctx, rungs)
    while len(study.trials(rungs[0].name)) < job.trials:
        trial = study.ask(job.given)
        if trial is None:
            break  # the space is small: every point of it has been tried
        runner.attempt(rungs[0], trial)
    for level in range(1, len(rungs)):
        for trial in _best(job, study, rungs, level):
            runner.attempt(rungs[level], trial)
    return Found(definition, job, {one.name: study.trials(one.name) for one in rungs})


def _tell_lost(store: Store, study: Study, rungs: Sequence[Rung]) -> None:
    """Trials that are done, as the study knows, but whose render record is gone or damaged."""
    for rung in rungs:
        for trial in study.trials(rung.name):
            try:
                if trial.run:
                    load(record_path(store, trial.run))
            except UserError as error:
                log.warning("trial %d %s: %s; %s", trial.number, rung.name, error.message, WITHOUT_RECORD)


def _best(job: Job, study: Study, rungs: Sequence[Rung], level: int) -> list[Trial]:
    """The trials that go on to a rung and are not there yet: the given settings, then the most promising."""
    below = {trial.number: trial for trial in study.trials(rungs[level - 1].name) if not trial.failed}
    order = [one.name for one in ranked([trial.scored(job.goals) for trial in below.values()])]
    order.sort(key=lambda number: number != 0)
    wanted = order[: entrants(job.trials, len(rungs), job.search.reduction)[level]]
    there = {trial.number for trial in study.trials(rungs[level].name)}
    return [below[number] for number in wanted if number not in there]


class Runner:
    """Renders and measures trials one by one, and tells how it goes."""

    def __init__(
        self, job: Job, study: Study, cfg: Search, recorder: Recorder, ctx: Context, rungs: Sequence[Rung]
    ) -> None:
        self.job, self.study, self.cfg, self.recorder, self.ctx = job, study, cfg, recorder, ctx
        counts = entrants(job.trials, len(rungs), job.search.reduction)
        self.total = sum(count * one.cost for count, one in zip(counts, rungs, strict=True))
        self.wanted = {one.name: count for one, count in zip(rungs, counts, strict=True)}
        self.left = self.total - sum(trial.cost for one in rungs for trial in study.trials(one.name))
        self.paces: list[float] = []
        """Seconds per full render of this session's attempts."""
        self.failures = 0

    def attempt(self, rung: Rung, trial: Trial) -> None:
        """Render and measure a trial at a rung, and keep the answer.

        Raises:
            UserError: the given settings fail, or three trials in a row; or the disk is full.
        """
        began = time.perf_counter()
        first = next((one for one in self.study.trials(rung.name) if one.number == 0), None)
        try:
            done = self._measured(rung, trial, first)
            self.failures = 0
        except NoRoom:  # not the trial's fault: it stays open, and is asked again
            raise
        except UserError as error:
            self.failures += 1
            if trial.number == 0 or self.failures >= 3:
                raise
            done = replace(trial, values={}, violation=0.0, cost=0.0, failed=error.message.partition("\n")[0])
        self.study.close(rung.name, done)
        self.paces.append((time.perf_counter() - began) / rung.cost)
        self._tell(rung, done)

    def _measured(self, rung: Rung, trial: Trial, first: Trial | None) -> Trial:
        from tasks.tracking.render import tracked

        flow = self.job.flow
        data = placed(self.job.settings, {**trial.point, str(flow.effort): rung.steps})
        told = {"number": trial.number, "rung": rung.name, "frames": rung.frames, "cost": rung.cost}
        title, settings = f"trial {trial.number} {rung.name}", parse(flow.settings, data)
        result = {"trial": told, **settings.result_part({FIGURES})}
        with tracked(self.job.store, self.cfg.tracking, "trial", {"trial": told, **data}, parent=self.recorder.run,
                     title=title, result=result) as recorder:  # fmt: skip
            ctx = replace(self.ctx, run=recorder.run, told=recorder.stage)
            found, made = evaluate(flow, settings, rung, ctx)
            values = needed(found, self.job.needed)
            recorder.pictures(**made.pictures)
            recorder.metric(**values)
        over = [
            limit.violation(value, first.values.get(limit.goal.key) if first else value)
            for limit in self.job.limits
            if (value := values.get(limit.goal.key)) is not None
        ]
        return replace(trial, values=values, violation=max([0.0, *over]), run=recorder.run, cost=rung.cost)

    def _tell(self, rung: Rung, trial: Trial) -> None:
        self.left = max(0.0, self.left - rung.cost)
        seconds = statistics.median(self.paces) * self.left  # the first attempt loads the models
        point = " ".join(
            f"{key.removesuffix('.weight').rpartition('.')[2]}={value:g}" for key, value in trial.point.items()
        )
        numbers = trial.failed or "  ".join(f"{key} {figure(trial.values.get(key))}" for key in self.job.keys)
        beyond = "  beyond a constraint" if trial.violation > 0 else ""
        number = len(self.study.trials(rung.name))
        print(
            f"{rung.name} {number}/{max(number, self.wanted[rung.name])}  trial {trial.number}: {point}  "
            f"{numbers}{beyond}" + (f"  (about {duration(seconds)} left)" if self.left > 0 else ""),
            flush=True,
        )
