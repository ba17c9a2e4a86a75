"""Flows: what each of them is to the rest of the house, and how one is found by its name.

A flow is a module that holds ``FLOW``, ``flows/<name>.py`` or in a package ``flows/<name>/flow.py``, and a root config,
``conf/<name>.yaml``. Nothing else names it: the command line, sweeps, searches, comparisons, deployments and DVC find
it here. What renders hands over a `RenderPlan`, which `flows.render.render` runs, records and measures.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable

from flows.config.root import project_root
from reel.errors import UserError, suggest

if TYPE_CHECKING:
    from flows.render.measures import Measures
    from reel.config import Config
    from reel.history.recorder import Recorder
    from reel.op import Context, Op
    from reel.store import Store

C = TypeVar("C", bound="Config")


@dataclass(frozen=True)
class Source:
    """A file or folder outside the store that a render is made from, and the digest of its content."""

    path: Path
    digest: str


@dataclass(frozen=True)
class Made:
    """Digests of what a plan drew.

    Attributes:
        frames: the drawn clip.
        original: the clip that it was drawn from, which metrics hold it against; empty: from none.
        maps: control maps by ``map_<control>``.
        poses: poses found in ``original``, by detector.
        key: cache key of the stage that drew, the fact by which a render is known; empty: it is not told.
        sound: sound that was made with the frames; empty: none was.
        parts: what it is made up of where that is measured part by part, such as the shots of a film.
    """

    frames: str
    original: str = ""
    maps: Mapping[str, str] = field(default_factory=dict)
    poses: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    sound: str = ""
    parts: Sequence[Made] = ()

    @property
    def pictures(self) -> dict[str, str]:
        """Clips to look at, by the role under which a record keeps them."""
        found = {"frames": self.frames, "original": self.original, **self.maps}
        return {role: digest for role, digest in found.items() if digest}


class RenderPlan(Protocol):
    """A render worked out and checked, before anything is computed.

    Attributes:
        sources: files outside the store that it is made from, by name.
        ops: every op that it runs before the metrics, with its settings.
        measures: the metrics that follow.
    """

    @property
    def sources(self) -> Mapping[str, Source]: ...

    @property
    def ops(self) -> Sequence[tuple[Op, Config]]: ...

    @property
    def measures(self) -> Measures: ...

    def draw(self, ctx: Context) -> Made:
        """Run every stage up to the drawn frames in order, or take it from the cache."""
        ...

    def assemble(self, made: Made, ctx: Context) -> str:
        """Digest of the files that the render is exported as."""
        ...


@runtime_checkable
class HandsOver(Protocol):
    """A plan that has more to hand over than what `assemble` gives: pages and files about the render."""

    def hand_over(self, made: Made, ctx: Context, recorder: Recorder) -> None:
        """Write them into the record's output folder, and note them; those of an earlier render there are noted."""
        ...


class Divisible(RenderPlan, Protocol):
    """A plan that can be run on some of its frames, as a search's cheaper levels do.

    Attributes:
        count: number of frames.
    """

    @property
    def count(self) -> int: ...

    def part(self, frames: Sequence[int]) -> RenderPlan:
        """The same render of some frames, as a clip of their own. What comes before the renderer is shared."""
        ...

    def people(self, ctx: Context) -> list[Any]:
        """For every frame of the source the largest person (`reel.pose.Person`), or None."""
        ...


@dataclass(frozen=True)
class Drop:
    """A kind of file that becomes a render of its own when it is dropped into a watched folder.

    Attributes:
        key: the setting that names it.
        patterns: of names that such files have, whatever their case.
        digest: of what it holds. Raises UserError for a file of another kind, or a damaged one.
        names: further files that it names, each with its place in it.
    """

    key: str
    patterns: Sequence[str]
    digest: Callable[[Path], str]
    names: Callable[[Path], Iterable[tuple[str, Path]]] = lambda path: ()


@dataclass(frozen=True)
class Flow(Generic[C]):
    """What `rotoscope NAME` does.

    Attributes:
        name: stem of its root config.
        settings: class of its settings.
        run: does it; called once a point under ``-m``.
        about: what ``--help`` begins with, the module's docstring.
        plan: checks settings and works a render out; None: the flow renders nothing by itself.
        drop: the files that it takes out of a watched folder; None: it takes none.
        effort: the key of the number of denoising steps, which a search lowers for its proxies; None: not searchable.
        examples: command lines for ``--help``.
        main: takes the place of the command line's usual way, see `flows.edge.entry.run_flow`.
    """

    name: str
    settings: type[C]
    run: Callable[[C], Any]
    about: str | None = None
    plan: Callable[[C, Store], RenderPlan] | None = None
    drop: Drop | None = None
    effort: str | None = None
    examples: Sequence[str] = ()
    main: Callable[[Sequence[str]], int] | None = None


def names() -> list[str]:
    """Names of all flows, found without importing any."""
    roots = sorted(path.stem for path in (project_root() / "conf").glob("[!_]*.yaml"))
    return [name for name in roots if source(name) is not None]


def get(name: str) -> Flow[Any]:
    """The flow of that name; its module is imported on demand, and no other name imports anything.

    Raises:
        UserError: there is none; the message lists what there is.
    """
    known = names()
    if name not in known:
        raise UserError(f"there is no flow {name!r}{suggest(name, known)}", fix=f"flows: {', '.join(known)}")
    found: Flow[Any] = importlib.import_module(_module(name)).FLOW
    return found


def source(name: str) -> Path | None:
    """The file that holds a flow; None: there is none."""
    package = Path(__file__).parent / name
    return next((path for path in (package / "flow.py", package.with_suffix(".py")) if path.is_file()), None)


def _module(name: str) -> str:
    path = source(name)
    assert path is not None
    return f"flows.{name}.flow" if path.name == "flow.py" else f"flows.{name}"
