"""Root configs: which file and folder one is, the class of its settings, and what its defaults list chooses.

Nothing here composes, and nothing is imported for it but PyYAML.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from reel.errors import UserError

if TYPE_CHECKING:
    from flows.config.quoting import TextKey
    from reel.config import Config

C = TypeVar("C", bound="Config")


class Root(Generic[C]):
    """A root config.

    Attributes:
        name: stem of its file.
        folder: the folder that holds it.
    """

    def __init__(self, name: str, cls: type[C] | Callable[[], type[C]] | None, conf: Path | None = None) -> None:
        """Args:
        cls: the class of its settings, or a function that imports it when it is needed; None: they are but composed.
        conf: the folder; None: the project's conf/.
        """
        self.name = name
        self.folder = (conf or project_root() / "conf").absolute()
        self._cls = cls

    @functools.cached_property
    def cls(self) -> type[C]:
        if self._cls is None:
            raise TypeError(f"the settings of {self.name} are held against no class")
        return self._cls if isinstance(self._cls, type) else self._cls()

    @property
    def classless(self) -> bool:
        """Whether its settings are composed alone, and held against no class."""
        return self._cls is None

    @property
    def named(self) -> bool:
        """Whether the class is imported when it is needed."""
        return not isinstance(self._cls, type)

    @property
    def keys(self) -> list[TextKey]:
        """Keys whose values are literal text."""
        from flows.config.quoting import text_keys

        return text_keys(self.cls)


@functools.cache
def project_root() -> Path:
    """The checkout (or site-packages, where installed as a wheel): the folder that holds ``conf/``."""
    import conf

    return Path(next(iter(conf.__path__))).resolve().parent


def roots(root: Root[Any]) -> list[str]:
    """Names of the root configs that a root is made of: those that its defaults list takes in whole, then itself."""
    return _roots(root.folder, root.name)


def _roots(folder: Path, name: str, within: tuple[str, ...] = ()) -> list[str]:
    path = folder / f"{name}.yaml"
    if name in within:
        raise UserError(f"{path}: its defaults list includes itself", fix=f"take {name} out of its defaults list")
    taken = [one for one in entries(path) if isinstance(one, str) and one != "_self_"]
    return [*(found for one in taken for found in _roots(folder, one, (*within, name))), name]


def defaults(root: Root[Any]) -> dict[str, Any]:
    """Groups that a root's defaults list names, with what it chooses: a name, a list of names, or None."""
    chosen = {}
    for name in roots(root):
        for entry in entries(root.folder / f"{name}.yaml"):
            if isinstance(entry, Mapping):
                group = group_of(entry)
                if group.partition("/")[0] != "hydra":
                    chosen[group] = next(iter(entry.values()))
    return chosen


def group_of(entry: Mapping[Any, Any] | str) -> str:
    """The group that an entry of a defaults list is about: ``model`` for ``override /model@x: sprite``."""
    name = next(iter(entry)) if isinstance(entry, Mapping) else entry
    return re.sub(r"^(?:optional|override)\s+", "", str(name)).partition("@")[0].strip("/ ")


def entries(path: Path) -> Sequence[Any]:
    """The defaults list of a config file; empty where it has none, or the file is not there."""
    if not path.is_file():
        return ()
    from flows.config import yaml_files

    return _entries(path, yaml_files.read(path))


@functools.lru_cache
def _entries(path: Path, text: str) -> tuple[Any, ...]:
    from flows.config import yaml_files

    data = yaml_files.parsed(text, path)
    listed = data.get("defaults") if isinstance(data, Mapping) else None
    return tuple(listed) if isinstance(listed, list) else ()
