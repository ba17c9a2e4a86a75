"""Composition: from a root config and overrides to checked, typed settings.

Everything is composed and checked before anything runs; under ``-m`` that means every point of the sweep.
What went wrong is worked out in `flows.config.diagnose`.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from flows.config.quoting import TextKey, text_keys, unmarked
from reel.config import Config, parse
from reel.errors import UserError

if TYPE_CHECKING:
    from flows.config.setting_places import Origins

C = TypeVar("C", bound=Config)
T = TypeVar("T")

SWEEPER = "hydra_plugins.rotoscope.ManifestSweeper"
"""Class path of the sweeper that resumes (`flows.sweep.sweeper`), as Hydra knows it."""


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
        origins: where each setting was written.
        choices: chosen file by config group.
        job_logging: logging configuration, for `logging.config.dictConfig`.
    """

    config: C
    data: Mapping[str, Any]
    overrides: Sequence[str]
    origins: Origins
    choices: Mapping[str, Any] = field(default_factory=dict)
    job_logging: dict[str, Any] = field(default_factory=dict)


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
        _COMPOSED.clear()
        try:
            yield GlobalHydra.instance().hydra
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"{mark.name}:{mark.line + 1}:{mark.column + 1}" if mark else str(root.folder)
            raise UserError(f"{where}: cannot be read as YAML ({error.problem})", fix="put that line right") from error


def single(root: Root[C], engine: Any, overrides: Sequence[str], typed: Sequence[str] | None = None) -> Composed[C]:
    """Check, compose and check again the one point that overrides name, inside `hydra_ready`.

    Args:
        overrides: with literal texts quoted (`flows.config.quoting.literal_overrides`).
        typed: the same as they were typed, for the places in messages.

    Raises:
        UserError: as `compose`, or several values for a key.
    """
    from hydra.errors import ConfigCompositionException

    from flows.config.diagnose import admitted, checked

    parsed = checked(root, engine, overrides, multirun=False)
    try:
        return compose(root, engine, overrides, typed)
    except UserError as error:
        if not isinstance(error.__cause__, ConfigCompositionException):
            raise
    return compose(root, engine, admitted(root, engine, parsed), typed)  # a wrong key, or one that wants ++


def compose(root: Root[C], engine: Any, overrides: Sequence[str], typed: Sequence[str] | None = None) -> Composed[C]:
    """Compose and check one point, inside `hydra_ready`.

    Raises:
        UserError: an unknown key or group choice (with the nearest), a value of a wrong type or out of range.
    """
    from hydra import compose as hydra_compose

    return _typed(
        root,
        engine,
        overrides,
        lambda: hydra_compose(root.name, overrides=list(overrides), return_hydra_config=True),
        typed,
    )


def unchecked(root: Root[C], engine: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The defaults as plain data and the chosen file by group, inside `hydra_ready`.

    What conf/ holds is not held against the settings class: help is wanted most where something is wrong or missing.

    Raises:
        UserError: the files do not compose.
    """
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf

    def read() -> tuple[dict[str, Any], Any]:
        cfg = hydra_compose(root.name, overrides=[], return_hydra_config=True)
        return plain(cfg, root), OmegaConf.to_container(cfg.hydra.runtime.choices)

    return diagnosed(root, engine, [], read)


def compose_points(
    root: Root[C], engine: Any, plan: Sequence[Sequence[str]], own: Sequence[str]
) -> Iterator[Composed[C] | UserError]:
    """What `compose` gives or raises for every point of a sweep, with one composition a combination of groups.

    Args:
        own: overrides of Hydra's own part, the same for all points.
    """
    from flows.config.diagnose import chosen, parse_overrides

    first = parse_overrides(engine, [*own, *(plan[0] if plan else [])])
    groups = {one.key_or_group for one in chosen(root, engine, first)}
    for point in plan:
        parsed = parse_overrides(engine, [*own, *point])
        picks = [one.input_line for one in parsed if one.key_or_group in groups]
        values = [one for one in parsed if one.key_or_group not in groups]
        try:
            yield _typed(root, engine, [*own, *point], functools.partial(with_values, root, picks, values))
        except UserError as error:
            yield error


def with_values(root: Root[C], picks: Sequence[str], values: Sequence[Any]) -> Any:
    """The composed config, Hydra's own part included, inside `hydra_ready`.

    Composing takes a second on a slow machine, setting values next to nothing: each combination of files is composed
    once, however many points, checks and keys want it.

    Args:
        picks: overrides that choose files of groups.
        values: parsed overrides that set values.
    """
    from hydra import compose as hydra_compose
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    key = (str(root.folder), root.name, *picks)
    if key not in _COMPOSED:
        _COMPOSED[key] = hydra_compose(root.name, overrides=list(picks), return_hydra_config=True)
    config = _COMPOSED[key].copy()
    ConfigLoaderImpl._apply_overrides_to_config(list(values), config)
    return config


_COMPOSED: dict[tuple[str, ...], Any] = {}
"""Composed so far inside `hydra_ready`."""


def _typed(
    root: Root[C],
    engine: Any,
    overrides: Sequence[str],
    composition: Callable[[], Any],
    typed: Sequence[str] | None = None,
) -> Composed[C]:
    """Hydra's composition as typed settings, its errors as the user's."""
    from flows.config.setting_places import Origins, placed

    written = list(overrides if typed is None else typed)

    def read() -> tuple[dict[str, Any], Any, Any]:
        from omegaconf import OmegaConf

        cfg = composition()
        job_logging: Any = OmegaConf.to_container(cfg.hydra.job_logging, resolve=True)
        return plain(cfg, root), job_logging, OmegaConf.to_container(cfg.hydra.runtime.choices)

    data, job_logging, choices = diagnosed(root, engine, overrides, read, written)
    origins = Origins(root, written, choices, data)
    try:
        config = parse(root.cls, data)
    except UserError as error:
        raise placed(error, origins) from None
    return Composed(
        config=config,
        data=data,
        overrides=list(overrides),
        origins=origins,
        choices=choices,
        job_logging=job_logging,
    )


def diagnosed(
    root: Root[C], engine: Any, overrides: Sequence[str], action: Callable[[], T], typed: Sequence[str] | None = None
) -> T:
    """What a composition gives; its errors are turned into the user's.

    Args:
        typed: the overrides as a person wrote them, where they differ.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from flows.config.diagnose import diagnose
    from flows.config.setting_places import Origins, placed

    try:
        return action()
    except (HydraException, OmegaConfBaseException) as error:
        written = list(overrides if typed is None else typed)
        raise placed(diagnose(root, engine, overrides, error), Origins(root, written)) from error


def plain(cfg: Any, root: Root[C]) -> dict[str, Any]:
    """A composed config as plain data: without Hydra's own and the sweep's part, resolved, literal texts unmarked."""
    from omegaconf import OmegaConf

    own = OmegaConf.masked_copy(cfg, [key for key in cfg if key not in ("hydra", "sweep")])
    data = unmarked(OmegaConf.to_container(own, resolve=True, throw_on_missing=True), root.keys)
    assert isinstance(data, dict)
    return data


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
