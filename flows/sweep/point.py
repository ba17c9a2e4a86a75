"""One point of a sweep, as a launcher calls it: in this process or in a worker, which may lie on another machine."""

from __future__ import annotations

import dataclasses
import gc
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flows.config import hydra_private
from flows.config.compose import plain, raw_texts
from flows.config.root import Root
from flows.config.setting_places import Origins
from flows.edge import text
from flows.edge.exits import tell
from flows.edge.job import Job, call
from reel.config import parse
from reel.errors import NoRoom, UserError
from reel.history.recorder import as_point
from reel.history.sweep import Manifest
from reel.history.sweep_files import PointStatus
from reel.history.sweep_points import Claim
from reel.store import Store


def flow_point(root: Root[Any], fn: Callable[[Any], Any], total: int) -> Callable[[Any], Any]:
    """The function that runs one point of a manifest.

    It claims the point first, so that no two processes run it; one that is done, or that another process runs, is
    passed over. What it raises is noted in the manifest, told on stderr and raised again.

    Args:
        total: number of points.
    """

    def run_point(cfg: Any) -> Any:
        hydra = hydra_private.running_point()
        data = plain(cfg, root)
        config = parse(root.cls, data)
        manifest = Manifest.load(Store(config.paths.store), hydra.sweeper.id)
        keep_tracking(manifest.store, config)
        axes = [key for axis in manifest.axes for key in axis.keys]
        job = dataclasses.replace(job_of(root, data, hydra, hydra.sweeper.point), axes=axes)
        statuses, driver = list(hydra.sweeper.statuses), hydra.sweeper.driver
        return claimed(manifest, hydra.sweeper.point, statuses, driver, total, lambda: call(fn, config, job))

    return run_point


def claimed(
    manifest: Manifest,
    index: int,
    statuses: Sequence[PointStatus],
    driver: str | None,
    total: int,
    run: Callable[[], Any],
) -> Any:
    """What a point gives, claimed first so that no two processes run it; None where it was not to be had.

    Args:
        statuses, driver: as `Manifest.claim` takes them.
        total: number of points, to be told.

    Raises:
        Exception: what ``run`` raised, noted in the manifest and told on stderr.
    """
    claim = manifest.claim(index, statuses, driver)
    if claim is None:
        return None
    where = f"point #{claim.index}"
    told = manifest.point(claim.index).label.partition(" ")[2]
    print(f"{where} of {total}: {told}".rstrip(": "), file=sys.stderr)
    try:
        with as_point(claim):
            result = run()
    except Exception as error:
        _failed(claim, error, where)
        raise
    except BaseException:  # Ctrl-C, or the end of the process: not the point's fault
        claim.release()
        raise
    claim.done()
    _progress(manifest, claim.index)
    return result


def plain_point(root: Root[Any], fn: Callable[[Any], Any], failed: list[BaseException]) -> Callable[[Any], Any]:
    """The function that runs one point of a sweeper that keeps no manifest.

    Args:
        failed: gets the errors of points that ran in this process.
    """

    def run_point(cfg: Any) -> Any:
        hydra = hydra_private.running_point()
        where = f"point #{hydra.job.num}"
        print(where, file=sys.stderr)
        try:
            data = plain(cfg, root)
            return call(fn, parse(root.cls, data), job_of(root, data, hydra, hydra.job.num))
        except Exception as error:
            failed.append(error)
            tell(error, where)
            raise

    return run_point


def keep_tracking(store: Store, config: Any) -> None:
    """One logging process for all points of this process: starting one costs seconds."""
    from tasks.tracking.process import keep_logger
    from tasks.tracking.settings import Tracking

    tracking = getattr(config, "tracking", None)
    if isinstance(tracking, Tracking) and tracking.enabled:
        keep_logger(store)


def job_of(root: Root[Any], data: dict[str, Any], hydra: Any, number: int) -> Job:
    """How a point was called, from its settings as plain data and Hydra's part of its config."""
    overrides, choices = raw_texts(hydra.overrides.task), dict(hydra.runtime.choices)
    origins = Origins(root, overrides, choices, data)
    return Job(root.name, overrides, choices, origins, num=number, sweep=Path(hydra.sweep.dir).absolute())


def _failed(claim: Claim, error: Exception, where: str) -> None:
    from tasks.tracking.render import reason

    kind = UserError if isinstance(error, UserError) and not isinstance(error, NoRoom) else type(error)
    claim.fail(reason(error), kind.__name__)
    tell(error, where)
    if out_of_memory(reason(error)):
        free()


def out_of_memory(reason: str) -> bool:
    """Whether what ended a point was that memory ran out, by what is told of it."""
    return any(sign in reason.lower() for sign in ("out of memory", "not enough memory", "memoryerror"))


def free() -> None:
    """Let go of the loaded models: the next point starts with all the memory there is."""
    memory = sys.modules.get("tasks.weights.memory")
    if memory is not None:
        memory.LOADED.free()
    gc.collect()


def _progress(manifest: Manifest, index: int) -> None:
    points = manifest.points
    took = [point.seconds for point in points if point.status == "done" and point.seconds is not None]
    left = sum(point.status in ("pending", "running") for point in points)
    seconds = manifest.point(index).seconds or 0.0
    told = f"point #{index}: done in {seconds:.1f} s"
    if left and took:
        told += f"; {left} left, about {text.duration(left * sum(took) / len(took))} of work"
    print(told, file=sys.stderr)
