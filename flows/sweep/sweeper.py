"""Hydra's sweeper for sweeps that resume: hands the manifest's open points to a launcher until none is left.

Hydra takes plugins from packages named ``hydra_plugins.*`` only; this project's top level has no such package, so the
classes are registered under that name by `register`.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from flows.config import hydra_private
from reel.history.sweep import DEATHS, Manifest
from reel.history.sweep_files import Point

log = logging.getLogger(__name__)

PACKAGE = "hydra_plugins.rotoscope"


class Runner:
    """What is to be done at a sweep, asked for anew before every round.

    A launcher may come back with points undone: a worker that was killed takes its point with it, and with joblib the
    whole pool. Such points are pending again and go into another round.
    """

    def __init__(self, manifest: Manifest, order: Sequence[int], *, only_failed: bool) -> None:
        self.manifest = manifest
        self._order = order
        self._first = manifest.points
        self._only_failed = only_failed

    def open(self) -> list[Point]:
        """Points to run now, in the order to run them."""
        points = self.manifest.points
        return [points[index] for index in self._order if self._is_open(points[index])]

    def _is_open(self, point: Point) -> bool:
        before = self._first[point.index]
        if self._only_failed:
            tried = point.status == "failed" and point.attempts > before.attempts
            return before.status == "failed" and point.status in ("failed", "pending") and not tried
        return point.status == "pending"


_runner: list[Runner] = []


@contextlib.contextmanager
def running(runner: Runner) -> Iterator[None]:
    """The runner that a `ManifestSweeper` made inside works for."""
    _runner.append(runner)
    try:
        yield
    finally:
        _runner.pop()


class ComposedOnce:
    """Hydra's config loader, which composes but once what points share: the files that their choices of groups name.

    Hydra itself reads and merges all of conf/ again for every point, which takes about as long as a point's own work
    beside its ops.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._bases: dict[tuple[str, ...], DictConfig] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """What Hydra gives for a point: its whole config, Hydra's own part included."""
        parsed = OverridesParser.create(config_loader=self._loader).parse_overrides(sweep_overrides)
        chosen: list[Any] = []
        values: list[Any] = []
        for one in parsed:
            group = hydra_private.is_group(self._loader, one.key_or_group)
            (chosen if group and not isinstance(one.value(), dict) else values).append(one)
        key = tuple(one.input_line for one in chosen)
        if key not in self._bases:
            self._bases[key] = self._loader.load_sweep_config(master_config, list(key))
        config = self._bases[key].copy()
        hydra_private.apply_overrides(values, config)
        task = [one for one in parsed if not one.is_hydra_override()]
        config.hydra.overrides.task = [one.input_line for one in task]
        config.hydra.overrides.hydra.extend([one.input_line for one in values if one.is_hydra_override()])
        names: Any = OmegaConf.to_container(config.hydra.job.config.override_dirname)
        config.hydra.job.override_dirname = hydra_private.overrides_dirname(task, names)
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config


class ManifestSweeper(Sweeper):
    """Runs what is open of a sweep. Its settings are those of conf/hydra/sweeper/rotoscope.yaml."""

    def __init__(self, id: str, **settings: Any) -> None:
        self.id = id
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config
        if config.hydra.launcher._target_ == hydra_private.IN_PROCESS:
            loader: Any = ComposedOnce(hydra_context.config_loader)
            hydra_context = HydraContext(loader, hydra_context.callbacks)
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Launch in rounds. The arguments are not looked at: the manifest holds every point's overrides.

        A process that dies may take a whole pool of them with it. What was under way then is run again one by one, so
        that no point is blamed for another one's end.

        Raises:
            Exception: what the launcher, or the composition of a point, raised when a round got nowhere.
        """
        assert self.config is not None
        runner = _runner[-1]
        self._save_config()
        if self.config.hydra.launcher._target_ != hydra_private.IN_PROCESS:
            from flows.prefect_server.run import share

            share(runner.manifest.store.root)
        suspects: set[int] = set()
        for _ in range(len(runner.manifest.planned) * (DEATHS + 1) + 1):
            todo = runner.open()
            if not todo:
                return
            alone = [point for point in todo if point.index in suspects][:1]
            trouble, lost = self._round(alone or todo)
            left = runner.open()
            before = {(point.index, point.attempts) for point in todo}
            begun = {point.index for point in left if (point.index, point.attempts) not in before}
            suspects -= {point.index for point in alone} - begun
            if not alone and not begun and len(left) == len(todo):
                if trouble is not None:
                    raise trouble
                return  # other processes hold them
            if begun and lost:
                suspects |= begun
                log.warning("points that did not come back are run again, one by one (%s)", _first_line(lost))

    def _round(self, todo: Sequence[Point]) -> tuple[Exception | None, Exception | None]:
        """Launch these points; returns the first error of any kind, and the launcher's own: a worker that was killed.

        Which points failed or were lost, the manifest knows.
        """
        assert self.launcher is not None
        driver = f"++hydra.sweeper.driver='{_runner[-1].manifest.driver}'"
        batch = [[*point.overrides, f"hydra.sweeper.point={point.index}", driver] for point in todo]
        try:
            returns = self.launcher.launch(batch, initial_job_idx=0)
        except Exception as error:
            return error, error
        return next(filter(None, map(hydra_private.raised, returns)), None), None

    def _save_config(self) -> None:
        assert self.config is not None
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]


def register() -> None:
    """Make the project's plugins known to Hydra, under a module that exists in this process only."""
    from flows.sweep.ray import RayLauncher

    module = types.ModuleType(PACKAGE, __doc__)
    for plugin in (ManifestSweeper, RayLauncher):
        plugin.__module__ = PACKAGE
        setattr(module, plugin.__name__, plugin)
        Plugins.instance().register(plugin)
    sys.modules[PACKAGE] = module
