"""One round: a command is disturbed, then run once more, and what it has made is held against an undisturbed one's."""

from __future__ import annotations

import json
import math
import os
import random
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.chaos import disk, serving
from benchmarks.chaos.comfy import Comfy, comfy
from benchmarks.chaos.faults import FAULTS, WEIGHTS, Place
from benchmarks.chaos.processes import Starter, left
from benchmarks.chaos.subjects import SUBJECTS, Made, Subject, models
from flows.prefect_server import servers
from reel.errors import UserError
from reel.files import write_atomic
from reel.history.record import list_records
from reel.history.recorder import alive
from reel.history.sweep import list_sweeps
from reel.store import Store

SHARES = {
    "dance": 16,
    "animate": 10,
    "bakeoff": 4,
    "loop": 6,
    "timeframe": 6,
    "storyboard": 8,
    "text2video": 4,
    "vace": 4,
    "wan_animate": 4,
    "comfyui": 6,
    "sweep": 5,
    "search": 4,
    "compare": 5,
    "serve": 2,
}
"""How often each flow is drawn, against the others."""
PATIENCE = 8.0
"""A command hangs that takes so many times as long as an undisturbed one, and half a minute."""
ORPHAN = 20.0
"""Seconds that what a killed command has started may outlive it."""


@dataclass
class Outcome:
    """A round's line in the log."""

    number: int
    flow: str
    fault: str
    kills: int = 0
    faults: int = 0
    refused: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Whole:
    """An undisturbed run: what it took (s, CPU s), what it made, and the folder that holds it."""

    seconds: float
    computed: float
    made: Made
    folder: Path


class Rounds:
    """The rounds of one seed, in a folder of their own."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        subjects: Sequence[Subject] = SUBJECTS,
        flows: Mapping[str, int] = SHARES,
        faults: Mapping[str, int] = WEIGHTS,
        slack: float = 1.0,
    ) -> None:
        """
        Args:
            flows, faults: how often each is drawn, against the others.
            slack: factor of all times that are waited, for a machine that is busy with other work.
        """
        self.slack = slack
        self.subjects = {one.name: one for one in subjects}
        self.folder = folder
        self.faults = faults
        self.seed = seed
        self.home = folder / "home"
        self.shares = flows
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        self.starter = Starter(folder / "logs")
        self.whole: dict[str, Whole] = {}
        self.disk: Path | None = None
        self.comfy: Comfy | None = None
        self._seen: dict[tuple[int, float], float] = {}

    @contextmanager
    def ready(self) -> Iterator[None]:
        """What the commands need, the undisturbed runs, and the disk that runs full."""
        needed = self._needed()
        with ExitStack() as held:
            if any(self.subjects[name].models for name in needed):
                held.enter_context(models(self.folder))
            if any(self.subjects[name].comfyui for name in needed):
                self.comfy = held.enter_context(comfy())
            self.starter.fork(["runs", "--store", str(self.folder / "store")]).wait(900)  # all is imported now
            for one in self.subjects.values():
                if one.name in needed:
                    self.whole[one.name] = self._undisturbed(one)
            self.disk = held.enter_context(disk.small_disk(self.folder))
            yield

    def _needed(self) -> set[str]:
        """The subjects whose undisturbed runs the flows are held against or begin on."""
        found = {"dance" if name == "serve" else name for name in self.shares}
        while bases := {base for name in found if (base := self.subjects[name].base)} - found:
            found |= bases
        return found

    def _undisturbed(self, one: Subject) -> Whole:
        """Run it on a store of its own, once for all starts in this folder."""
        place, note = self.folder / "whole" / one.name, self.folder / "whole" / f"{one.name}.json"
        if not note.exists():
            shutil.rmtree(place, ignore_errors=True)
            self._begun(one, place)
            began = time.monotonic()
            run = self.starter.fork(one.command(place))
            if (code := run.compute(math.inf, self.slack * 900)) != 0:
                raise RuntimeError(f"{one.name} undisturbed: exit {code}\n{run.said[-3000:]}")
            found = {"seconds": time.monotonic() - began, "computed": run.computed, "made": one.look(place)}
            write_atomic(note, json.dumps(found).encode())
        return Whole(folder=place, **json.loads(note.read_bytes()))

    def _begun(self, one: Subject, place: Path) -> None:
        """A folder with the store that the subject begins on."""
        if one.base is None:
            place.mkdir(parents=True)
        else:
            shutil.copytree(self.whole[one.base].folder, place, symlinks=True)
            shutil.rmtree(place / "out", ignore_errors=True)

    def play(self, number: int) -> Outcome:
        """Play a round; everything in it follows from the seed and its number, but for the moments of the machine."""
        rng = random.Random(f"{self.seed}-{number}")
        name = rng.choices(list(self.shares), list(self.shares.values()))[0]
        if name == "serve":
            return self._serve(number, rng)
        one = self.subjects[name]
        fault = rng.choices(list(self.faults), list(self.faults.values()))[0]
        whole, began = self.whole[one.name], time.monotonic()
        folder = self.folder / "round"
        shutil.rmtree(folder, ignore_errors=True)
        self._begun(one, folder)
        place = Place(
            one, folder, whole.computed, self.slack * (30 + PATIENCE * whole.seconds), self.home, self.starter, rng,
            whole.folder, self.disk, self.slack,
        )  # fmt: skip
        before = left()
        if self.comfy is not None:
            self.comfy.begin()
        FAULTS[fault](place)
        in_the_way = any(note.startswith("lock: pipe") for note in place.notes)  # refused in words, by design
        may_refuse = bool(place.notes) and (in_the_way or not one.heals)
        last = self.starter.fork(place.argv)
        if place.ends(last, 0, *([2] if may_refuse else [])) == 0:
            told = any(re.search(said, last.said) for said in one.says)
            self._check(place, None if told else whole.made)
        self._orphans(place, before)
        if place.trouble:
            self._keep(place.folder, number)
        if self.disk is not None and place.folder.is_relative_to(self.disk):
            disk.emptied(self.disk)
        seconds = time.monotonic() - began
        return Outcome(
            number, one.name, fault, place.kills, place.faults, place.refused, seconds, place.notes, place.trouble
        )

    def _serve(self, number: int, rng: random.Random) -> Outcome:
        """A round of `serve`, which renders what `dance` does."""
        folder, began = self.folder / "round", time.monotonic()
        shutil.rmtree(folder, ignore_errors=True)
        fault = rng.choice(serving.FAULTS)
        name = f"chaos_{self.seed}_{number}_{os.getpid()}"
        one = serving.Serving(folder, self.home, name, self.starter, rng, slack=self.slack)
        one.play(fault, self.whole["dance"].made)
        if one.trouble:
            self._keep(folder, number)
        seconds = time.monotonic() - began
        return Outcome(number, "serve", fault, one.kills, seconds=seconds, trouble=one.trouble)

    def _keep(self, folder: Path, number: int) -> None:
        """Leave a copy of what a round with trouble has left, but for pipes."""
        with suppress(shutil.Error):
            shutil.copytree(folder, self.folder / f"kept-{number}", symlinks=True, dirs_exist_ok=True)

    def _check(self, place: Place, expected: Made | None) -> None:
        """What is in the store and the output folder in the end; None: something else, and the command said so."""
        store = Store(place.store)
        try:
            found = place.subject.look(place.folder)
        except Exception as error:
            place.trouble.append(f"nothing made: {type(error).__name__}: {error}")
            return
        expected = found if expected is None else expected
        if wrong := sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name)):
            place.trouble.append(f"wrong: {', '.join(wrong[:4])}")
        for digest in store.digests():
            try:
                store.verify(digest)
            except UserError as error:
                if not place.notes:  # damage that the command had no need to look at stays
                    place.trouble.append(f"damaged: {error.message}")
        running = [one.run for one in list_records(store)[0] if one.status == "running" and not alive(store, one.run)]
        points = [f"{sweep.id} #{one.index}" for sweep in list_sweeps(store) for one in sweep.points
                  if one.status == "running"]  # fmt: skip
        if self.comfy is not None and (twice := self.comfy.twice()):
            place.trouble.append(f"{len(twice)} stages queued twice on ComfyUI: {', '.join(twice)}")
        if running or points:
            place.trouble.append(f"RUNNING: {', '.join([*running, *points])}")

    def _orphans(self, place: Place, before: set[tuple[int, float]]) -> None:
        """Processes of earlier rounds that still live. Those of this one are looked at again in later rounds."""
        now = time.monotonic()
        living = left()
        self._seen = {one: self._seen.get(one, now) for one in living}
        late = [one for one, since in self._seen.items() if one in before and now - since > self.slack * ORPHAN]
        if late:
            place.trouble.append(f"orphans: {sorted(pid for pid, _ in late)}")
            for one in late:
                del self._seen[one]

    def server(self) -> None:
        """The Prefect server is up, as it was before a round that killed it."""
        servers.up(self.home, "prefect")
