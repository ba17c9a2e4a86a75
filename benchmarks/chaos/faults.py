"""What is done to a command while it runs, or to its store before; each leaves it to be run once more, undisturbed."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos import disk
from benchmarks.chaos.damage import damaged, shifted
from benchmarks.chaos.processes import Clock, Run, Starter, kill_tree
from benchmarks.chaos.subjects import Subject, computed
from flows.prefect_server import servers

ENDS = 20.0
"""Seconds in which a command must end that was told to."""
KILLS = 8
"""How often a command is killed in one round at most."""
PART = 0.7
"""Of an undisturbed run, what a run that goes on has computed at most when it is killed."""


@dataclass
class Place:
    """Where a round takes place, and what became of it so far.

    Attributes:
        folder: holds the store and the output.
        whole: CPU seconds of the undisturbed command.
        limit: seconds after which a command hangs.
        kills, faults: how many so far.
        refused: whether a command ended with a message instead of its work.
        trouble: what must not be, in words.
    """

    subject: Subject
    folder: Path
    whole: float
    limit: float
    home: Path
    starter: Starter
    rng: random.Random
    complete: Path
    disk: Path | None = None
    slack: float = 1.0
    kills: int = 0
    faults: int = 0
    refused: int = 0
    notes: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def argv(self) -> list[str]:
        return self.subject.command(self.folder)

    def reach(self, run: Run, part: float = 1.05) -> int | None:
        """Wait for a moment of a run: it has computed up to such a part of what an undisturbed one does, and perhaps
        waits for something since. Returns as `Run.wait`.
        """
        code = run.compute(self.rng.uniform(0.02, part) * self.whole, self.limit)
        return run.wait(self.rng.choice([0.0, self.rng.uniform(0.0, self.subject.waits)])) if code is None else code

    def ends(self, run: Run, *codes: int) -> int | None:
        """Wait for a run; what it must not do is noted: hang, end otherwise than so, show a traceback."""
        code = run.wait(self.limit)
        if code is None:
            run.kill()
            self.trouble.append(f"hang: {' '.join(self.argv[:2])} {run.log}")
        elif code not in codes:
            self.trouble.append(f"exit {code}: {run.log}")
        if "Traceback (most recent call last)" in run.said:
            self.trouble.append(f"traceback: {run.log}")
        if code == 2:
            self.refused += 1
            if "error: " not in run.said:
                self.trouble.append(f"no words: {run.log}")
        return code


def kill(place: Place) -> None:
    """SIGKILL to the whole process group, again and again; each run goes on from what the one before has left."""
    for _ in range(place.rng.randint(1, KILLS)):
        run = place.starter.fork(place.argv)
        if (code := place.reach(run, PART)) is not None:
            if code != 0:
                place.trouble.append(f"exit {code} after a kill: {run.log}")
            return
        run.kill()
        place.kills += 1


def term(place: Place) -> None:
    """SIGTERM, as a batch system sends it, or Ctrl-C to the whole group."""
    number, group = place.rng.choice([(signal.SIGTERM, False), (signal.SIGINT, True)])
    run = place.starter.fork(place.argv)
    if place.reach(run) is None:
        run.signal(number, group=group)
        place.kills += 1
        place.limit, limit = ENDS * place.slack, place.limit
        place.ends(run, 0, 130, -number)  # before the program listens, the signal's own default ends it
        place.limit = limit


def server(place: Place) -> None:
    """Prefect's server is killed, or put down, while a command needs it."""
    run = place.starter.fork(place.argv)
    known = servers.running(place.home, "prefect")
    if place.reach(run) is None and known is not None:
        place.kills += 1
        if place.rng.random() < 0.5:
            kill_tree(known.pid)
        else:
            servers.down(place.home, "prefect")
    place.ends(run, 0)
    servers.up(place.home, "prefect", known.port if known else None)


def full(place: Place) -> None:
    """The disk runs full: one of a loop device, else a limit for every file stands in for it."""
    if place.disk is None:
        run = place.starter.fork(place.argv, largest_file=int(10 ** place.rng.uniform(2.5, 5.5)))
        place.ends(run, 0, 2)
    else:
        own = place.disk / "round"
        shutil.move(place.folder, own)
        place.folder = own
        filler = disk.filled(place.disk, int(10 ** place.rng.uniform(3.5, 6.5)))
        place.ends(place.starter.fork(place.argv), 0, 2)
        filler.unlink()
    place.faults += 1


def flips(place: Place) -> None:
    """Files of a finished store are damaged; commands that only look must not fall over it either."""
    shutil.rmtree(place.folder)
    shutil.copytree(place.complete, place.folder, symlinks=True)
    place.notes += damaged(place.store, place.rng, place.rng.randint(1, 4))
    place.faults += len(place.notes)
    for command in place.rng.sample((["runs"], ["sweeps"], ["why", "last"], ["gc"]), 1):
        place.ends(place.starter.fork([*command, "--store", str(place.store)]), 0, 2)
    if place.ends(place.starter.fork(place.argv), 0, 2) == 2:
        place.notes.append("refused")


def two(place: Place) -> None:
    """Two of the same at once, and at times one of them is killed: no stage twice, none missing."""
    both = [place.starter.fork(place.argv)]
    both[0].compute(place.rng.uniform(0, 0.5) * place.whole, place.limit)
    both.append(place.starter.fork(place.argv))
    killed = place.rng.random() < 0.4
    if killed and place.reach(both[0]) is None:
        both[0].kill()
        place.kills += 1
    codes = [place.ends(run, 0, *([2] if place.subject.alone else [])) for run in both[killed:]]
    place.faults += 1
    if 0 not in codes and not place.subject.alone:
        place.trouble.append(f"neither came through: {both[0].log}")
    if not killed and (twice := [key for key, count in computed(place.store).items() if count > 1]):
        place.trouble.append(f"{len(twice)} stages computed twice: {both[0].log}")


def clock(place: Place) -> None:
    """The clock is years off, or set while the command runs; or the store comes from a machine with another clock."""
    off = place.rng.choice([-4000, -40, -1, 1, 40, 4000]) * 86400.0
    place.faults += 1
    if place.rng.random() < 0.25:
        shifted(place.store, off)
        return kill(place)
    after = place.rng.choice([0.0, place.rng.uniform(0, 1) * place.whole])
    run = place.starter.fork(place.argv, clock=Clock(off, after))
    if place.rng.random() < 0.5:
        place.ends(run, 0)
    elif place.reach(run) is None:
        run.kill()
        place.kills += 1


FAULTS: Mapping[str, Callable[[Place], None]] = {
    "kill -9": kill,
    "SIGTERM, Ctrl-C": term,
    "server killed": server,
    "disk full": full,
    "store damaged": flips,
    "two at once": two,
    "clock": clock,
}
WEIGHTS = {
    **{"kill -9": 12, "SIGTERM, Ctrl-C": 4, "server killed": 1, "disk full": 2, "store damaged": 6, "two at once": 2},
    "clock": 2,
}
"""How often each fault is drawn, against the others."""

__all__ = ["FAULTS", "WEIGHTS", "Place"]
