"""What is found in another tool's file: its leaves, what each of them says, and what became of them.

A reader of a format takes the leaves of a `Source` one by one and says of each what it is: a `Fact` in the words of
`reel.imports.settle`, something that has no effect, or something that is not mapped, and why. What no reader takes is
not mapped either: `Source.rest` is what is left, so that nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Path_ = tuple[str, ...]
"""Where a value stands in a file: keys and numbers of a list, as text."""


@dataclass(frozen=True)
class Leaf:
    """One value of a file.

    Attributes:
        place: where it stands, for people: ``controlnet_map.controlnet_tile.enable``, ``node 3 KSampler: steps``.
        value: a text, a number, true, false, null, an empty list or group, or a link of a graph.
    """

    path: Path_
    place: str
    value: Any


class Source:
    """A file's leaves, each of which is taken once.

    Args:
        folder: what paths in it may start from.
    """

    def __init__(self, name: str, folder: Path, leaves: Iterator[Leaf]) -> None:
        self.name, self.folder = name, folder
        self._all = {leaf.path: leaf for leaf in leaves}
        self._left = dict(self._all)

    @property
    def leaves(self) -> Mapping[Path_, Leaf]:
        """All of them, taken or not."""
        return self._all

    def take(self, *path: str) -> Leaf | None:
        """The leaf at a path, which nobody takes again; None where there is none, or it was taken."""
        return self._left.pop(path, None)

    def under(self, *path: str) -> list[Leaf]:
        """Take all leaves at and below a path."""
        found = [one for one in self._left if one[: len(path)] == path]
        return [self._left.pop(one) for one in found]

    def rest(self) -> list[Leaf]:
        """Take what is left."""
        return self.under()


@dataclass(frozen=True)
class Fact:
    """What a file says of a render, in the importers' common words (`reel.imports.settle`).

    Attributes:
        leaves: where it says so.
        how: what is not the same as in the file already; empty: nothing.
    """

    name: str
    value: Any
    leaves: tuple[Leaf, ...] = ()
    how: str = ""

    @property
    def place(self) -> str:
        return self.leaves[0].place if self.leaves else ""


@dataclass
class Group:
    """Facts about one of several like things: a control, a LoRA, a guiding picture."""

    kind: str
    """``control``, ``lora``, ``motion_lora``, ``guide`` or ``ip_adapter``."""
    facts: list[Fact] = field(default_factory=list)
    place: str = ""

    def get(self, name: str) -> Fact | None:
        return next((fact for fact in self.facts if fact.name == name), None)

    def value(self, name: str, default: Any = None) -> Any:
        fact = self.get(name)
        return default if fact is None else fact.value


@dataclass(frozen=True)
class Entry:
    """What became of a leaf.

    Attributes:
        keys: the settings that it is in.
        how: how it is approximated, why it is not mapped, or what it does where it is mapped and in no setting.
    """

    leaf: Leaf
    fate: Literal["mapped", "approximated", "not mapped"]
    keys: tuple[str, ...] = ()
    how: str = ""


@dataclass
class Found:
    """What a reader made of a file.

    Attributes:
        format: of what tool the file is, for people.
        flow: the flow that does what the file says.
        entries: what needs no setting: what has no effect, and what is not mapped.
        notes: what the file does not say and the tool takes from elsewhere, and what else is good to know.
        implied: settings that follow from what the tool does, with the reason: in the words of facts.
        renderer: of the flow; empty: its own.
    """

    format: str
    flow: str
    source: Source
    facts: list[Fact] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    implied: list[Fact] = field(default_factory=list)
    renderer: str = ""

    def say(self, name: str, leaf: Leaf | None, value: Any = None, how: str = "", group: Group | None = None) -> None:
        """A fact of one leaf; nothing where there is no leaf.

        Args:
            value: what it says; None: the leaf's own value.
            group: the thing that it is about.
        """
        if leaf is not None:
            facts = self.facts if group is None else group.facts
            facts.append(Fact(name, leaf.value if value is None else value, (leaf,), how))

    def used(self, leaf: Leaf | None, what: str) -> None:
        """A leaf that is understood and needs no setting."""
        if leaf is not None:
            self.entries.append(Entry(leaf, "mapped", how=what))

    def left(self, leaf: Leaf | None, why: str) -> None:
        """A leaf that is not mapped."""
        if leaf is not None:
            self.entries.append(Entry(leaf, "not mapped", how=why))

    def imply(self, name: str, value: Any, why: str) -> None:
        self.implied.append(Fact(name, value, (), why))

    def get(self, name: str) -> Fact | None:
        return next((fact for fact in self.facts if fact.name == name), None)

    def of(self, kind: str) -> list[Group]:
        return [group for group in self.groups if group.kind == kind]


def leaves(data: Any, path: Path_ = (), separator: str = ".") -> Iterator[Leaf]:
    """Leaves of plain data, their places as dotted keys: scalars, and lists and groups that are empty."""
    todo: list[tuple[Path_, Any]] = [(path, data)]
    while todo:
        at, value = todo.pop()
        if isinstance(value, Mapping) and value:
            todo += reversed([((*at, str(name)), item) for name, item in value.items()])
        elif isinstance(value, list) and value:
            todo += reversed([((*at, str(number)), item) for number, item in enumerate(value)])
        else:
            yield Leaf(at, separator.join(at), value)
