"""A node of a ComfyUI graph in API format: its class, and its inputs, which are values or links."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Link:
    """Output number ``output`` of the node ``node``."""

    node: str
    output: int

    def __str__(self) -> str:
        return f"[{self.node}, {self.output}]"

    @property
    def plain(self) -> list[str | int]:
        return [self.node, self.output]


@dataclass(frozen=True)
class Node:
    """One node.

    Attributes:
        kind: its class, ``class_type``.
        inputs: values, and `Link`s where a value comes from another node.
        title: as its author called it; empty: they did not.
    """

    id: str
    kind: str
    inputs: Mapping[str, Any]
    title: str = ""

    @classmethod
    def of(cls, id: str, found: Mapping[str, Any], among: Collection[str] | None = None) -> Node:
        """A node out of plain data that has a ``class_type``; what else it should have and has not is empty.

        Args:
            among: as in `link`.
        """
        given, meta = found.get("inputs"), found.get("_meta")
        inputs = given if isinstance(given, Mapping) else {}
        title = meta.get("title") if isinstance(meta, Mapping) else ""
        read = {str(name): link(value, among) or value for name, value in inputs.items()}
        return cls(id, found["class_type"], read, title if isinstance(title, str) else "")

    @property
    def name(self) -> str:
        """For messages: ``3 (Sampler)``."""
        return f"{self.id} ({self.title or self.kind})"

    @property
    def place(self) -> str:
        """For reports on a file: ``node 3 KSampler``."""
        return f"node {self.id} {self.kind}"

    @property
    def links(self) -> dict[str, Link]:
        return {name: value for name, value in self.inputs.items() if isinstance(value, Link)}

    @property
    def plain(self) -> dict[str, Any]:
        """As ComfyUI takes it, without the title, which changes nothing."""
        inputs = {name: value.plain if isinstance(value, Link) else value for name, value in self.inputs.items()}
        return {"class_type": self.kind, "inputs": inputs}


def link(value: Any, among: Collection[str] | None = None) -> Link | None:
    """The link that an input's value is; None: it is a value. As ComfyUI tells them: a list of an id and a number.

    Args:
        among: ids of the nodes that there are: a list that names another is a value; None: any.
    """
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        number = value[1]
        if isinstance(number, int) and not isinstance(number, bool) and (among is None or value[0] in among):
            return Link(value[0], number)
    return None
