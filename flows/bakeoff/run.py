"""The films of a bakeoff: animator by animator, each in a process of its own."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.bakeoff.entrant import Entrant
from flows.bakeoff.plan import Contest
from flows.bakeoff.settings import Bakeoff
from flows.sweep.point import out_of_memory
from reel.errors import NoRoom, UserError
from reel.history.sweep import Manifest
from reel.history.sweep_files import PointStatus
from tasks.tracking.render import log_later

Do = Callable[[Mapping[str, Any]], int]
"""Has a task done: `flows.bakeoff.processes.Processes.do`."""


def run(contest: Contest, cfg: Bakeoff, folder: Path, do: Do) -> int:
    """Make what is not made yet; what goes wrong with one is noted as its result.

    Args:
        folder: of all films, each in a folder of its own.
        do: called for each animator, one after the other.

    Returns:
        how many films were begun.
    """
    manifest = contest.manifest
    wanted: list[PointStatus] = ["pending", "failed"] if cfg.again else ["pending"]
    manifest.reopen(NoRoom.__name__)
    begun = 0
    for name, one in contest.entrants.items():
        todo = [index for index in contest.points(name) if manifest.point(index).status in wanted]
        if todo and one.refused is not None:
            _fail(manifest, todo, wanted, one.refused.message, UserError.__name__)
        elif todo:
            begun += len(todo)
            _films(contest, one, todo, wanted, folder, do)
            for index in todo:
                if (run := manifest.point(index).run) is not None:
                    log_later(manifest.store, cfg.tracking, run)
    return begun


def _films(
    contest: Contest, one: Entrant, todo: Sequence[int], wanted: Sequence[PointStatus], folder: Path, do: Do
) -> None:
    """Films of one animator, in a process of their own; those that it left behind have failed as well."""
    manifest = contest.manifest
    code = do(_task(contest, one, todo, wanted, folder))
    left = [index for index in todo if manifest.point(index).status == "pending"]
    ended = [manifest.point(index) for index in todo if manifest.point(index).status == "failed"]
    if not left:
        return
    if ended and out_of_memory(ended[-1].reason or ""):
        _fail(
            manifest, left, ["pending"], f"not tried, since seed {ended[-1].values['seed']} ran out of memory", "left"
        )
    elif code < 0:
        signed = signal.Signals(-code).name
        most_likely = ": out of memory, most likely" if code == -signal.SIGKILL else ""
        _fail(manifest, left, ["pending"], f"its process was ended by {signed}{most_likely}", "died")
    elif code:
        _fail(manifest, left, ["pending"], f"its process ended with code {code}", "died")


def _task(
    contest: Contest, one: Entrant, todo: Sequence[int], wanted: Sequence[PointStatus], folder: Path
) -> dict[str, Any]:
    """What `flows.bakeoff.worker` is told."""
    manifest = contest.manifest
    films = []
    for index in todo:
        seed = int(manifest.planned[index].values["seed"])
        paths = {**one.data["paths"], "output": str(folder / f"{one.name}-{seed}")}
        tracking = {**one.data["tracking"], "enabled": False}  # one process logs all of them: `log_later`
        films.append({"index": index, "settings": {**one.data, "seed": seed, "paths": paths, "tracking": tracking}})
    return {
        "store": str(manifest.store.root),
        "bakeoff": manifest.id,
        "driver": manifest.driver,
        "statuses": list(wanted),
        "folder": str(folder),
        "flow": one.flow.name,
        "logging": one.logging,
        "job": {"overrides": list(one.job.overrides), "choices": one.job.choices},
        "films": films,
    }


def _fail(manifest: Manifest, todo: Sequence[int], wanted: Sequence[PointStatus], reason: str, kind: str) -> None:
    for index in todo:
        if (claim := manifest.claim(index, wanted)) is not None:
            claim.fail(reason, kind)
