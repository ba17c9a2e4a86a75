"""Sweeps: every point is composed and checked first, then Hydra's own sweeper and launcher run them.

A point that fails does not stop the later ones; the sweep then ends with the exit code of the first failure.
"""

from __future__ import annotations

import logging.config
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flows import entry
from flows.diagnose import admitted, checked, parse_overrides
from flows.origins import Origins
from flows.overrides import BASIC_SWEEPER, Composed, Root, compose_points, is_hydras, plain, points
from flows.settings import debugging
from reel.errors import UserError

log = logging.getLogger(__name__)


def sweep(root: Root[Any], engine: Any, fn: Callable[[Any], Any], overrides: Sequence[str]) -> int:
    """Run a flow at every point that the overrides span, inside `flows.overrides.hydra_ready`.

    Raises:
        UserError: a bad key, or settings of any point that are not valid; nothing has run then.
    """
    overrides = admitted(root, engine, checked(root, engine, overrides, multirun=True))
    parsed = parse_overrides(engine, overrides)
    axes = [one.get_key_element() for one in parsed if one.is_sweep_override()]
    own = [one.input_line for one in parsed if is_hydras(one)]
    ready = check_points(root, engine, overrides, own)
    total = len(ready)
    if ready:
        logging.config.dictConfig(ready[0].job_logging)
    print(f"sweep: {total or 'several'} point{'s' * (total != 1)} over {', '.join(axes) or 'nothing'}", file=sys.stderr)
    failed: list[BaseException] = []
    task = point_task(root, fn, axes, total, failed)
    try:
        engine.multirun(config_name=root.name, task_function=task, overrides=[*overrides, "hydra.mode=MULTIRUN"])
    except KeyboardInterrupt:
        raise
    except Exception as error:  # Hydra raises a failed point's error once all have run; in a worker it is told here
        if not failed:
            failed.append(error)
            _tell(error, "a point")
    if failed:
        print(f"sweep: {len(failed)} of {total or 'several'} points failed", file=sys.stderr)
        return entry.USER_ERROR if isinstance(failed[0], UserError) else entry.FAILED
    return entry.OK


def check_points(root: Root[Any], engine: Any, overrides: Sequence[str], own: Sequence[str]) -> list[Composed[Any]]:
    """Settings of all points, composed and checked. Empty where a sweeper other than Hydra's basic one picks them.

    Args:
        own: those of the overrides that set Hydra's own part.

    Raises:
        UserError: the first point that is not valid and how many are not; or one output folder for several points.
    """
    from hydra import compose as hydra_compose

    sweeper = hydra_compose(root.name, overrides=list(own), return_hydra_config=True).hydra.sweeper._target_
    if sweeper != BASIC_SWEEPER:
        return []
    good: list[Composed[Any]] = []
    bad: list[tuple[int, UserError]] = []
    plan = points(engine, overrides)
    for number, point in enumerate(compose_points(root, engine, plan, own)):
        if isinstance(point, UserError):
            bad.append((number, point))
        else:
            good.append(point)
    if bad:
        number, first = bad[0]
        raise UserError(
            f"point #{number} of the sweep: {first.message}"
            + (f"\n({len(bad)} of {len(plan)} points are not valid; nothing has run)" if len(plan) > 1 else ""),
            fix=first.fix,
        )
    outputs = [one.config.paths.output for one in good if getattr(one.config, "paths", None) is not None]
    folders = [folder for folder in outputs if folder is not None]
    if len(set(folders)) < len(folders):
        raise UserError(
            f"paths.output: {len(folders)} points of the sweep would write to the same folder {folders[0]}",
            fix="leave paths.output out: each point gets a folder of its own; hydra.sweep.dir=... moves them all",
        )
    return good


def point_task(
    root: Root[Any], fn: Callable[[Any], Any], axes: Sequence[str], total: int, failed: list[BaseException]
) -> Callable[[Any], Any]:
    """The function that Hydra's launcher calls for each point, here or in a worker process.

    Args:
        failed: gets the errors of points that ran in this process.
    """

    def run_point(cfg: Any) -> Any:
        from hydra.core.hydra_config import HydraConfig

        hydra = HydraConfig.get()
        overrides = _raw(hydra.overrides.task)
        varying = [text for text in overrides if text.partition("=")[0] in axes]
        label = f"point #{hydra.job.num} of {total or '?'}: {' '.join(varying)}".rstrip(": ")
        print(label, file=sys.stderr)
        try:
            config = entry.settings_of(root, cfg)
            origins = Origins(root, overrides, dict(hydra.runtime.choices), plain(cfg, root))
            sweep_dir = Path(hydra.sweep.dir).absolute()
            choices = dict(hydra.runtime.choices)
            job = entry.Job(root.name, overrides, choices, origins, num=hydra.job.num, sweep=sweep_dir)
            return entry.call(fn, config, job)
        except Exception as error:
            failed.append(error)
            _tell(error, f"point #{hydra.job.num}")
            raise

    return run_point


def _raw(node: Any) -> list[str]:
    """Strings of a list node as they are, their escaped ``${`` not taken for interpolations."""
    from omegaconf import OmegaConf

    data = OmegaConf.to_container(node, resolve=False)
    assert isinstance(data, list)
    return [str(item) for item in data]


def _tell(error: BaseException, where: str) -> None:
    if isinstance(error, UserError) and not debugging():
        entry.report(error, where)
    else:
        traceback.print_exception(error)
