"""What a render will take, from past calls of its ops: seconds with their range and basis, disk and memory.

The seconds of a call are what its process pays once (libraries imported, models loaded) and its own work. That is
fitted against the work of past calls (`reel.fit`) of the same op, on the same hardware, at the same pace, with a model
in common. What a render takes beside its calls is the median of past renders.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from reel.errors import UserError
from reel.estimate import UNSURE, Basis, Estimate, Guess
from reel.fit import Amounts, Fit, fit
from reel.history.record import RenderRecord, load
from reel.keys import entries
from reel.store import Store
from reel.work import Extent, Work

RECENT = 50
"""Past calls of an op, and past renders of a flow, that are looked at: the newest."""
SURE = 2.0
"""Standard deviations on each side: on a quiet machine nine of ten calls lie within."""
SAME = 1e-6
"""Relative difference of amounts up to which two calls have as much to do."""


class Coming(Protocol):
    """A call to forecast; `tasks.cached.Foreseen` is one."""

    @property
    def fields(self) -> Mapping[str, Any]: ...
    @property
    def work(self) -> Work | None: ...


@dataclass(frozen=True)
class Run:
    """A past call, as its key's entry tells it.

    Attributes:
        own: seconds of its own work.
        work: as `reel.work.Work.noted` wrote it; empty in an entry of an older version.
    """

    fields: Mapping[str, Any]
    output: str
    own: float
    work: Mapping[str, Any]
    memory_mib: float | None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Run:
        work = entry.get("work") or {}
        own = entry["seconds"] - work.get("importing", 0.0) - work.get("loading", 0.0)
        return cls(entry["fields"], entry["output"], max(0.0, own), work, entry["facts"].get("peak_memory_mib"))

    @property
    def models(self) -> set[str]:
        return set(self.fields["models"].values())


@dataclass(frozen=True)
class Alike:
    """Past calls that say something about one to come, the newest first, and what they say together."""

    runs: Sequence[Run]
    fit: Fit

    def own(self, amounts: Amounts) -> tuple[float, float, float, Basis, int]:
        """Seconds of a call's own work, the least and the most of them, the basis and its number of calls."""
        seen = [run.own for run in self.runs]
        if not set(self.fit.terms) <= amounts.keys():  # nobody could tell how much there is to do
            middle = statistics.median(seen)
            return middle, min(middle * (1 - UNSURE), *seen), max(middle * (1 + UNSURE), *seen), "scaled", len(seen)
        seconds, error = self.fit.seconds(amounts), SURE * self.fit.error(amounts)
        low, high = seconds / (1 + error), seconds * (1 + error)
        if equal := [run.own for run in self.runs if _equal(run.work["amounts"], amounts)]:
            return statistics.median(equal), min(low, *equal), max(high, *equal), "observed", len(equal)
        return seconds, low, high, "scaled", len(seen)

    def nearest(self, amounts: Amounts) -> Run:
        """The call that had most nearly as much to do."""
        return min(self.runs, key=lambda run: abs(sum(run.work["amounts"].values()) - sum(amounts.values())))


@dataclass(frozen=True)
class Beside:
    """Seconds that past renders took beside the calls that they computed, the oldest first.

    Attributes:
        starting: of the first in its process, with whether a Prefect server was up; None: its record does not say.
        later: of those after it.
        stages: of each, what of it lies in its stages: they are looked up and noted.
    """

    starting: list[tuple[bool | None, float]] = field(default_factory=list)
    later: list[float] = field(default_factory=list)
    stages: list[float] = field(default_factory=list)


class History:
    """Past calls and renders of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._found: dict[str, Alike | None] = {}
        self._rendered: dict[str | None, list[RenderRecord]] = {}
        self._sizes: dict[str, int] = {}

    def estimate(
        self, flow: str, coming: Iterable[Coming], used: Collection[str] = (), *, server: bool | None = None
    ) -> Estimate:
        """What a render takes whose stages a dry run found.

        Args:
            coming: its calls; those without work are in the store already.
            used: libraries and contents of models that the process has used before (`tasks.cached.used`); none: it is
                the first that it renders.
            server: whether a Prefect server is up; None: not known.
        """
        have, calls = set(used), []
        for one in (one for one in coming if one.work is not None):
            calls.append(self.guess(one, have))
            have |= needs(one)
        return Estimate(calls, self.beside(flow, first=bool(calls) and not used, server=server))

    def guess(self, coming: Coming, used: Collection[str] = ()) -> Guess:
        """What one call takes.

        Args:
            used: as in `estimate`.
        """
        alike, work = self._alike(coming), coming.work
        if alike is None or work is None:
            return self._seen_before(coming)
        once = self._once(coming, used)
        own, low, high, basis, runs = alike.own(work.amounts)
        return Guess(
            coming.fields["op"],
            own,
            once,
            low + once * (1 - UNSURE),
            high + once * (1 + UNSURE),
            basis,
            runs,
            self._size(coming, alike.runs),
            alike.nearest(work.amounts).memory_mib,
        )

    def beside(self, flow: str, *, first: bool, server: bool | None = None) -> float:
        """Seconds that a render takes beside the calls it computes: the median of past ones that began like it.

        Most of that is the same in all flows, so that those of another flow say more than nothing does. Without any
        past render it is 0.0.

        Args:
            first: it is its process's first, which starts what is started once (a server, a logging process).
            server: whether a Prefect server is up, which a first one need not start then; None: not known.
        """
        past = [self._beside(flow), self._beside(None)]
        if first:
            alike = [[one for up, one in each.starting if up == server] for each in past if server is not None]
            choices = [*alike, *([one for _, one in each.starting] for each in past)]
        else:  # where no later one was ever seen, it looks up and notes each of its stages like the first one
            choices = [each.later or each.stages for each in past]
        return statistics.median(next(filter(None, choices), [0.0]))

    def exported(self, flow: str) -> int:
        """Bytes that a render of this flow exports (median of past ones; 0 where there are none)."""
        sizes = [sum(item.size for item in record.outputs) for record in self._records(flow)]
        return round(statistics.median(sizes)) if sizes else 0

    @cached_property
    def _entries(self) -> dict[str, dict[str, Any]]:
        return dict(entries(self.store))

    @cached_property
    def _runs(self) -> dict[str, list[Run]]:
        """Past calls by op, the newest first."""
        found = defaultdict(list)
        for entry in sorted(self._entries.values(), key=lambda one: -one["made"]):
            found[entry["fields"]["op"]].append(Run.of(entry))
        return found

    @cached_property
    def _importing(self) -> dict[frozenset[str], float]:
        """Seconds for the imports of ops that use the same libraries: whichever of them runs first imports them."""
        found = defaultdict(list)
        for run in (run for runs in self._runs.values() for run in runs[:RECENT]):
            found[frozenset(run.fields["libraries"])].append(run.work.get("importing", 0.0))
        return {libraries: _typical(seconds) for libraries, seconds in found.items()}

    def _alike(self, coming: Coming) -> Alike | None:
        """Past calls of the op that say something about this one; None: there are none."""
        if coming.work is None:
            return None
        op, pace = coming.fields["op"], json.loads(json.dumps(dict(coming.work.pace)))  # as it comes back from a file
        models = set(coming.fields["models"].values())
        name = json.dumps([op, pace, sorted(models)], sort_keys=True)
        if name not in self._found:
            same = (run for run in self._runs.get(op, []) if run.work and run.work["pace"] == pace)
            runs = [run for run in same if run.models & models or not (run.models or models)][:RECENT]
            self._found[name] = Alike(runs, fit([(run.work["amounts"], run.own) for run in runs])) if runs else None
        return self._found[name]

    def _seen_before(self, coming: Coming) -> Guess:
        """From calls of an older version, which noted no work: of the very same settings, inputs and models alone."""
        op, parts = coming.fields["op"], ("config", "inputs", "models")
        older = (run for run in self._runs.get(op, []) if not run.work)
        runs = [run for run in older if all(run.fields[part] == coming.fields[part] for part in parts)]
        if not runs:
            return Guess(op)
        own = statistics.median(run.own for run in runs)
        low, high = own * (1 - UNSURE), own * (1 + UNSURE)
        return Guess(op, own, 0.0, low, high, "observed", len(runs), self._size(coming, runs), runs[0].memory_mib)

    def _once(self, coming: Coming, used: Collection[str]) -> float:
        """Seconds for imports and loading of what the process has not used yet."""
        libraries, models = frozenset(coming.fields["libraries"]), set(coming.fields["models"].values())
        seconds = 0.0
        if libraries - set(used):
            seconds += self._importing.get(libraries, 0.0)
        if new := models - set(used):
            alike = self._alike(coming)
            loads = [run.work["loading"] / len(run.models) for run in alike.runs if run.models] if alike else []
            seconds += len(new) * _typical(loads)
        return seconds

    def _beside(self, flow: str | None) -> Beside:
        found, processes = Beside(), set[tuple[str, int]]()
        for record in self._records(flow):
            own = sum(self._entries.get(s.key, {"seconds": 0.0})["seconds"] for s in record.stages if not s.reused)
            process = (record.host, record.pid)
            seconds = max(0.0, (record.seconds or 0.0) - own)
            if process in processes:
                found.later.append(seconds)
            else:
                found.starting.append((record.server, seconds))
            found.stages.append(max(0.0, sum(stage.seconds for stage in record.stages) - own))
            processes.add(process)
        return found

    def _records(self, flow: str | None) -> list[RenderRecord]:
        """The newest renders of a flow (None: of any) that ended well and had something to compute, oldest first."""
        if flow not in self._rendered:
            found: list[RenderRecord] = []
            for path in sorted((self.store.root / "records").glob("*.json"), reverse=True):
                try:
                    record = load(path)
                except UserError:
                    continue
                if record.status != "done" or not record.stages or record.reused:
                    continue
                if flow is None or record.flow == flow:
                    found.append(record)
                if len(found) == RECENT:
                    break
            self._rendered[flow] = found[::-1]
        return self._rendered[flow]

    def _size(self, coming: Coming, runs: Sequence[Run]) -> int | None:
        """Bytes of the output: in proportion to its frames and pixels, where it has any."""
        now = coming.work.extent if coming.work else None
        sizes = []
        for run in runs[:5]:
            size, then = self._stored(run.output), run.work.get("extent")
            if size and now and then:
                size *= now.megapixels / Extent(*then).megapixels
            if size:
                sizes.append(size)
        return round(statistics.median(sizes)) if sizes else None

    def _stored(self, digest: str) -> float:
        """Bytes of a stored object; 0 where it is gone."""
        if digest not in self._sizes:
            files = (path for path in self.store.folder(digest).rglob("*") if path.is_file())
            self._sizes[digest] = sum(path.stat().st_size for path in files)
        return self._sizes[digest]


def needs(coming: Coming) -> set[str]:
    """Libraries and contents of models that a call uses."""
    return {*coming.fields["libraries"], *coming.fields["models"].values()}


def _typical(seconds: Sequence[float]) -> float:
    """The median of those that paid: a call that found everything there took next to nothing."""
    paid = [one for one in seconds if one > max(seconds) / 4]
    return statistics.median(paid) if paid else 0.0


def _equal(then: Mapping[str, float], now: Mapping[str, float]) -> bool:
    return then.keys() == now.keys() and all(abs(then[term] - now[term]) <= SAME * now[term] for term in now)
