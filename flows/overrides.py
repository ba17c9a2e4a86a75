"""Composition: from a root config and overrides to checked, typed settings.

Everything is composed and checked before anything runs; under ``-m`` that means every point of the sweep.
What went wrong is worked out in `flows.diagnose`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from flows.quoting import TextKey, text_keys, unmarked
from reel.config import Config, parse
from reel.errors import UserError

C = TypeVar("C", bound=Config)

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


@dataclass(frozen=True)
class Root(Generic[C]):
    """A root config: its name, the class of its settings, and the folder that holds it (None: the project's conf/)."""

    name: str
    cls: type[C]
    conf: Path | None = None

    @property
    def folder(self) -> Path:
        return (self.conf or project_root() / "conf").absolute()

    @property
    def keys(self) -> list[TextKey]:
        return text_keys(self.cls)


@dataclass(frozen=True)
class Composed(Generic[C]):
    """One point: its settings, and what gave them.

    Attributes:
        data: the composed config as plain data, as the YAML files and the overrides have it.
        choices: chosen file by config group.
        job_logging: logging configuration, for `logging.config.dictConfig`.
        sweeper: class path of Hydra's sweeper.
    """

    config: C
    data: Mapping[str, Any]
    overrides: Sequence[str]
    choices: Mapping[str, Any] = field(default_factory=dict)
    job_logging: dict[str, Any] = field(default_factory=dict)
    sweeper: str = BASIC_SWEEPER


def project_root() -> Path:
    """The checkout (or site-packages, where installed as a wheel): the folder that holds ``conf/``."""
    import conf

    return Path(next(iter(conf.__path__))).resolve().parent


@contextlib.contextmanager
def hydra_ready(root: Root[C]) -> Iterator[Any]:
    """Hydra set up for one root config; gives its engine. Leaves no global state of Hydra's behind.

    Raises:
        UserError: a file of the folder is no YAML.
    """
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from yaml import MarkedYAMLError

    os.environ.setdefault("ROTOSCOPE_ROOT", str(project_root()))
    with initialize_config_dir(str(root.folder), job_name=root.name, version_base="1.3"):
        try:
            yield GlobalHydra.instance().hydra
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"{mark.name}, line {mark.line + 1}" if mark else str(root.folder)
            raise UserError(f"{where}: cannot be read as YAML ({error.problem})", fix="put that line right") from error


def single(root: Root[C], engine: Any, overrides: Sequence[str]) -> Composed[C]:
    """Check, compose and check again the one point that overrides name, inside `hydra_ready`.

    Args:
        overrides: with literal texts quoted (`flows.quoting.literal_overrides`).

    Raises:
        UserError: as `compose`, or several values for a key.
    """
    from hydra.errors import ConfigCompositionException

    from flows.diagnose import admitted, checked

    parsed = checked(root, engine, overrides, multirun=False)
    try:
        return compose(root, engine, overrides)
    except UserError as error:
        if not isinstance(error.__cause__, ConfigCompositionException):
            raise
    return compose(root, engine, admitted(root, engine, parsed))  # a wrong key, or one that wants ++


def compose(root: Root[C], engine: Any, overrides: Sequence[str]) -> Composed[C]:
    """Compose and check one point, inside `hydra_ready`.

    Raises:
        UserError: an unknown key or group choice (with the nearest), a value of a wrong type or out of range.
    """
    from hydra import compose as hydra_compose

    return _typed(
        root, engine, overrides, lambda: hydra_compose(root.name, overrides=list(overrides), return_hydra_config=True)
    )


def compose_points(
    root: Root[C], engine: Any, plan: Sequence[Sequence[str]], own: Sequence[str]
) -> Iterator[Composed[C] | UserError]:
    """What `compose` gives or raises for every point of a sweep, with one composition a combination of groups.

    Args:
        own: overrides of Hydra's own part, the same for all points.
    """
    from hydra import compose as hydra_compose
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    from flows.diagnose import chosen, parse_overrides

    groups = {one.key_or_group for one in chosen(root, engine, parse_overrides(engine, plan[0] if plan else []))}
    bases: dict[tuple[str, ...], Any] = {}
    for point in plan:
        parsed = parse_overrides(engine, point)
        picks = tuple(one.input_line for one in parsed if one.key_or_group in groups)
        values = [one for one in parsed if one.key_or_group not in groups]

        def cfg(picks: tuple[str, ...] = picks, values: Sequence[Any] = values) -> Any:
            if picks not in bases:
                bases[picks] = hydra_compose(root.name, overrides=[*own, *picks], return_hydra_config=True)
            copied = bases[picks].copy()
            ConfigLoaderImpl._apply_overrides_to_config(list(values), copied)
            return copied

        try:
            yield _typed(root, engine, [*own, *point], cfg)
        except UserError as error:
            yield error


def _typed(root: Root[C], engine: Any, overrides: Sequence[str], composition: Callable[[], Any]) -> Composed[C]:
    """Hydra's composition as typed settings, its errors as the user's."""
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from flows.diagnose import diagnose

    try:
        cfg = composition()
        data = plain(cfg, root)
        job_logging: Any = OmegaConf.to_container(cfg.hydra.job_logging, resolve=True)
        choices: Any = OmegaConf.to_container(cfg.hydra.runtime.choices)
    except (HydraException, OmegaConfBaseException) as error:
        raise diagnose(root, engine, overrides, error) from error
    return Composed(
        config=parse(root.cls, data),
        data=data,
        overrides=list(overrides),
        choices=choices,
        job_logging=job_logging,
        sweeper=cfg.hydra.sweeper._target_,
    )


def plain(cfg: Any, root: Root[C]) -> dict[str, Any]:
    """A composed config as plain data: without Hydra's own part, resolved, literal texts unmarked."""
    from omegaconf import OmegaConf, open_dict

    cfg = cfg.copy()
    with open_dict(cfg):
        cfg.pop("hydra", None)
    data = unmarked(OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True), root.keys)
    assert isinstance(data, dict)
    return data


def points(engine: Any, overrides: Sequence[str]) -> list[list[str]]:
    """Overrides of every point of a sweep, in the order in which Hydra's basic sweeper runs them.

    Raises:
        UserError: an override that Hydra cannot read, or one without single values to run.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    from flows.diagnose import parse_overrides

    parsed = parse_overrides(engine, overrides)
    settings = [one for one in parsed if not is_hydras(one)]
    for one in settings:
        if one.is_sweep_override() and not one.is_discrete_sweep():
            raise UserError(
                f"{one.input_line}: an interval has no points of its own",
                fix=f"{one.key_or_group}=range(start,stop,step) or {one.key_or_group}=a,b,c",
            )
    return [list(point) for point in BasicSweeper.split_arguments(settings, None)[0]]


def is_hydras(one: Any) -> bool:
    """Whether a parsed override sets Hydra's own part (``hydra.sweep.dir``, ``hydra/launcher``)."""
    return one.key_or_group == "hydra" or one.key_or_group.startswith(("hydra.", "hydra/"))


def roots(root: Root[C]) -> list[str]:
    """Names of the root configs that a root is made of: those that its defaults list takes in whole, then itself."""
    found: list[str] = []
    for entry in _entries(root.folder, root.name):
        if isinstance(entry, str) and entry != "_self_":
            found += roots(Root(entry, root.cls, root.conf))
    return [*found, root.name]


def defaults(root: Root[C]) -> dict[str, Any]:
    """Groups that a root config's defaults list names, with what it chooses: a name, a list of names, or None."""
    chosen = {}
    for name in roots(root):
        for entry in _entries(root.folder, name):
            if isinstance(entry, Mapping):
                key, choice = next(iter(entry.items()))
                group = str(key).removeprefix("optional ").removeprefix("override ").partition("@")[0].strip("/ ")
                if group.partition("/")[0] != "hydra":
                    chosen[group] = choice
    return chosen


def _entries(folder: Path, name: str) -> list[Any]:
    """The defaults list of a root config."""
    from omegaconf import OmegaConf

    path = folder / f"{name}.yaml"
    data: Any = OmegaConf.to_container(OmegaConf.load(path)) if path.is_file() else {}
    return list(data.get("defaults", []))
