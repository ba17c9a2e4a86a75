"""What composes the config of one root: Hydra, set up when it is first needed, and what earlier processes have kept."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from flows.config import hydra_private, kept, no_code
from flows.config.root import Root, defaults, project_root
from flows.config.shape import Shape, shape
from reel.errors import UserError
from reel.masking import is_secret

if TYPE_CHECKING:
    from reel.config import Config


@dataclass(frozen=True)
class Base:
    """What files and choices of groups give, before any value is set.

    Attributes:
        data: plain data without Hydra's own part, interpolations as they are written.
        choices: chosen file by group.
        job_logging: logging configuration, for `logging.config.dictConfig`; None: it follows from Hydra's own part.
        sealed: nothing in it follows from Hydra's own part, or from files or facts that `kept` does not see.
    """

    data: Mapping[str, Any]
    choices: Mapping[str, Any]
    job_logging: dict[str, Any] | None
    sealed: bool = False


class Engine:
    """Composes one root config. Made by `hydra_ready`."""

    def __init__(self, root: Root[Any]) -> None:
        self.root = root
        self.kept = kept.Kept(root.folder)
        self._held = contextlib.ExitStack()
        self._composed: dict[tuple[str, ...], Any] = {}
        self._bases: dict[tuple[str, ...], Base] = {}

    @functools.cached_property
    def hydra(self) -> Any:
        """Hydra itself, see `hydra_private.running_hydra`."""
        from hydra import initialize_config_dir

        from flows.config import yaml_files

        yaml_files.check_folder(self.root.folder)
        note_variables()
        self._held.enter_context(
            initialize_config_dir(str(self.root.folder), job_name=self.root.name, version_base="1.3")
        )
        return hydra_private.running_hydra()

    @property
    def _cls(self) -> type[Config]:
        return self.root.cls

    @property
    def loader(self) -> Any:
        """Hydra's loader of config files."""
        return self.hydra.config_loader

    def close(self) -> None:
        self._held.close()

    @functools.cached_property
    def defaults(self) -> Mapping[str, Any]:
        """Groups that the root's defaults list names, with what it chooses."""
        return self.keep("defaults", lambda: defaults(self.root), of_files=True)

    @functools.cached_property
    def shape(self) -> Shape:
        """Keys of the settings class, which is not imported for it where they are kept."""
        if not self.root.named:
            return shape(self._cls)
        return Shape.of_plain(self.keep("shape", lambda: shape(self._cls).plain()))

    @functools.cached_property
    def options(self) -> Mapping[str, Sequence[str]]:
        """Names of the files of every group, and of every folder within one (``experiment/<flow>``)."""
        return self.keep("options", lambda: dict(self._listed("")), of_files=True)

    def _listed(self, group: str) -> Iterator[tuple[str, list[str]]]:
        yield group, hydra_private.names(self.loader, group)
        for name in hydra_private.names(self.loader, group, folders=True):
            if not name.startswith("__"):
                yield from self._listed(f"{group}/{name}".lstrip("/"))

    def composed(self, picks: Sequence[str]) -> Any:
        """The whole config of some choices, Hydra's own part included, as a copy of one's own.

        Composing takes a second on a slow machine, setting values next to nothing: each combination of files is
        composed once, however many points, checks and keys want it.

        Args:
            picks: overrides that choose files of groups.
        """
        from hydra import compose

        key = tuple(picks)
        if key not in self._composed:
            assert self.hydra
            made = compose(self.root.name, overrides=list(picks), return_hydra_config=True)
            no_code.check(made)
            self._composed[key] = made
        return self._composed[key].copy()

    def base(self, picks: Sequence[str]) -> Base:
        """As `composed`, as plain data, which earlier processes may have kept."""
        key = tuple(picks)
        if key not in self._bases:
            known = self.kept.get("base", self.root.name, *picks)
            self._bases[key] = Base(**known) if known else self._compose_base(picks)
        return self._bases[key]

    def _compose_base(self, picks: Sequence[str]) -> Base:
        from omegaconf import OmegaConf

        cfg = self.composed(picks)
        own: Any = OmegaConf.to_container(OmegaConf.masked_copy(cfg, [key for key in cfg if key != "hydra"]))
        choices: Any = OmegaConf.to_container(cfg.hydra.runtime.choices)
        written: Any = OmegaConf.to_container(cfg.hydra.job_logging)
        base = Base(own, choices, None if "${" in str(written) else written, self.keeps(picks))
        if base.sealed and self.options:  # kept, too, or the next process needs Hydra for them
            self.kept.put(asdict(base), "base", self.root.name, *picks)
        return base

    def keeps(self, overrides: Sequence[str]) -> bool:
        """Whether what is composed with overrides may be kept."""
        return kept.plain(overrides) and self._alone

    @functools.cached_property
    def _alone(self) -> bool:
        """Whether all files come from the root's own folder and Hydra's: nothing is kept where others take part."""
        if self.kept.get("options", self.root.name) is not None:
            return True
        return {one.provider for one in self.loader.get_search_path().get_path()} <= {"hydra", "main", "schema"}

    def keep(self, what: str, make: Callable[[], Any], *, of_files: bool = False) -> Any:
        """Plain data about the root's flow, made anew where none is kept.

        Args:
            of_files: it follows from the config files alone.
        """
        known = self.kept.get(what, self.root.name)
        if known is None:
            known = make()
            if (of_files or self._settings_are_ours) and self.keeps([]):
                self.kept.put(known, what, self.root.name)
        return known

    @property
    def _settings_are_ours(self) -> bool:
        """Whether the settings class is this project's own, so that what follows from it changes with its sources."""
        from reel.config import places

        classes = {self._cls, *(one.owner for one in places(self._cls))}
        return all(kept.is_ours(base) for cls in classes for base in cls.__mro__)


@contextlib.contextmanager
def hydra_ready(root: Root[Any]) -> Iterator[Engine]:
    """The engine of one root config. Leaves no global state of Hydra's behind.

    Raises:
        UserError: a file of the folder is no YAML.
    """
    os.environ.setdefault("ROTOSCOPE_ROOT", str(project_root()))
    engine = Engine(root)
    try:
        yield engine
    except Exception as error:
        if not (told := _unreadable(error, root)):
            raise
        raise told from error
    finally:
        engine.close()


def _unreadable(error: Exception, root: Root[Any]) -> UserError | None:
    """What a file that is no YAML is told as; None for any other error."""
    yaml = sys.modules.get("yaml")
    if yaml is None or not isinstance(error, yaml.YAMLError):
        return None
    from flows.config import yaml_files

    return yaml_files.unreadable(error, root.folder)


def note_variables() -> None:
    """Have ``${oc.env:NAME}`` note the names that it reads: what is kept of a config depends on them."""
    from omegaconf import OmegaConf
    from omegaconf.resolvers import oc

    def env(key: str, *default: Any) -> Any:
        if is_secret(key):
            raise UserError(
                f"${{oc.env:{key}}}: a setting may hold no secret, since it is recorded, shown and pushed to mirrors",
                fix="what needs a secret reads it from the environment itself (docs/security.md)",
            )
        kept.variables[key] = os.environ.get(key)
        return oc.env(key, *default)

    OmegaConf.register_new_resolver("oc.env", env, replace=True)


def resolved(cfg: Any) -> dict[str, Any]:
    """A composed config as plain data: without Hydra's own and the sweep's part, interpolations as what they give."""
    from omegaconf import OmegaConf

    own = OmegaConf.masked_copy(cfg, [key for key in cfg if key not in ("hydra", "sweep")])
    data: Any = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    return data
