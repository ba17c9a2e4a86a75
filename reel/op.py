"""Ops: named, versioned pure functions from settings and stored inputs to one stored output.

An op is registered where it is written and looked up by name, so that a config or a deployment's parameter can name
code but never import it. ``tasks/<kind>/<name>.py`` holds the op that ``conf/<kind>/<name>.yaml`` sets; a kind with a
single op lives in ``tasks/<kind>.py``.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from reel.compute import Compute
from reel.config import Config, suggest
from reel.errors import UserError
from reel.live import Live
from reel.progress import progress
from reel.store import Store
from reel.work import WorkOf, through_clips

T = TypeVar("T")


@dataclass
class Context:
    """What an op may touch beside its settings and inputs.

    Attributes:
        files: paths of inputs that are files outside the store, under the same names as their digests in ``inputs``.
        addresses: of servers that do an op's work, by name: where it is done, which is in no key.
        run: id of the render that the op works for, so that unfinished work can be told to belong to it.
        facts: provenance noted while the op runs; kept beside the output, never part of its digest.
        told: gets every finished stage, as a render's recorder does; None: nobody listens.
        live: is told how far the work is, for those that look on; None: nobody does.
        say: takes a line for the person who waits, as (what it is about, text); None: nobody reads.
    """

    store: Store
    compute: Compute = field(default_factory=Compute)
    files: Mapping[str, Path] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    run: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    told: Callable[[Any], object] | None = None
    live: Live | None = None
    say: Callable[[str, str], object] | None = None

    def tell(self, stage: T) -> T:
        """Hand a finished stage to whoever listens, and back."""
        if self.told is not None:
            self.told(stage)
        return stage

    def progress(self, total: int, desc: str, unit: str = "frame", done: int = 0) -> Any:
        return progress(total, desc, unit, done, self.live)

    def note(self, **facts: Any) -> None:
        """Remember JSON values about how the work went (provider, peak memory, frames without a person).

        ``work_share`` (0..1) is what was left to do of the op's work, where an earlier run had done the rest.
        """
        self.facts.update(facts)


Function = Callable[[Any, Mapping[str, str], Context], str]
Models = Callable[[Any], Sequence[Any]]


@dataclass(frozen=True)
class Op:
    """A registered op.

    Attributes:
        version: raised whenever the same settings and inputs would give other bytes.
        inputs: names of the inputs; a trailing ``*`` stands for any number with that prefix (``map_*``).
        distributions: installed packages whose version can change the output's bytes; all are in the key.
        models: the model sources that given settings use; their content is in the key.
        gives: what the output is to the wiring, where an op kind has several (``poses`` or ``map``).
        work: how much given settings and inputs have to do, for forecasts; in no key.
    """

    kind: str
    name: str
    version: int
    config: type[Config]
    inputs: tuple[str, ...]
    distributions: tuple[str, ...]
    models: Models
    gives: str
    module: str
    fn: Function
    work: WorkOf = through_clips

    @property
    def id(self) -> str:
        return self.kind if self.kind == self.name else f"{self.kind}.{self.name}"

    def takes(self, name: str) -> bool:
        return any(name == known or (known.endswith("*") and name.startswith(known[:-1])) for known in self.inputs)


_REGISTRY: dict[tuple[str, str], Op] = {}


def op(
    kind: str,
    name: str,
    *,
    version: int,
    config: type[Config],
    inputs: tuple[str, ...],
    distributions: tuple[str, ...] = (),
    models: Models = lambda cfg: (),
    gives: str = "map",
    work: WorkOf = through_clips,
) -> Callable[[Function], Function]:
    """Register a function ``(cfg, inputs, ctx) -> digest`` under ``kind`` and ``name``."""

    def register(fn: Function) -> Function:
        known = _REGISTRY.get((kind, name))
        if known and known.module != fn.__module__:
            raise ValueError(f"op {kind}.{name} is registered by {known.module} and by {fn.__module__}")
        found = Op(kind, name, version, config, inputs, distributions, models, gives, fn.__module__, fn, work)
        _REGISTRY[kind, name] = found
        return fn

    return register


def get(kind: str, name: str) -> Op:
    """The op of that name; its module is imported on demand.

    Raises:
        UserError: no such op; the message lists what there is.
    """
    if (kind, name) not in _REGISTRY:
        if not _registers(kind, name):
            known = names(kind)
            raise UserError(f"no {kind} named {name!r}{suggest(name, known)}", fix=f"known: {', '.join(known)}")
        importlib.import_module(_module(kind, name))
    return _REGISTRY[kind, name]


def _registers(kind: str, name: str) -> bool:
    """Whether the module where an op of that name belongs registers it, read from its source without importing it."""
    if not (kind.isidentifier() and name.isidentifier()):
        return False
    path = tasks_folder().joinpath(*_module(kind, name).split(".")[1:]).with_suffix(".py")
    return path.is_file() and (kind, name) in _registered(path)


def names(kind: str) -> list[str]:
    """Names of all ops of a kind, found without importing them."""
    return [name for known, name in catalogue() if known == kind]


@functools.cache
def catalogue() -> list[tuple[str, str]]:
    """Kind and name of every op under tasks/, read from the sources without importing them; sorted."""
    return sorted({one for path in tasks_folder().rglob("*.py") for one in _registered(path)})


@functools.cache
def tasks_folder() -> Path:
    """Folder of the package `tasks`, found without importing it."""
    spec = importlib.util.find_spec("tasks")
    assert spec is not None
    return Path(next(iter(spec.submodule_search_locations or [])))


def _registered(path: Path) -> set[tuple[str, str]]:
    """Kind and name of the ops that a source file registers."""
    return {(match["kind"], match["name"]) for match in _DECORATOR.finditer(path.read_text("utf-8"))}


def _module(kind: str, name: str) -> str:
    return f"tasks.{kind}" if kind == name else f"tasks.{kind}.{name}"


_DECORATOR = re.compile(r"""^@op\(\s*["'](?P<kind>\w+)["'],\s*["'](?P<name>\w+)["']""", re.MULTILINE)
