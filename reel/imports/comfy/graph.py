"""Graphs of ComfyUI in the API's form: nodes by their ids, each with a class and inputs that are values or links."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reel.imports.found import Leaf, Path_, leaves


@dataclass(frozen=True)
class Link:
    """An output of another node."""

    node: str
    slot: int

    def __str__(self) -> str:
        return f"[{self.node}, {self.slot}]"


@dataclass(frozen=True)
class Node:
    id: str
    kind: str
    """Its class, ``class_type``."""
    inputs: Mapping[str, Any]
    """Values and `Link`s."""

    @property
    def name(self) -> str:
        return f"node {self.id} {self.kind}"


class Graph:
    """Nodes by id."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes
        self._readers: dict[str, list[str]] = {}
        for node in nodes.values():
            for value in node.inputs.values():
                if isinstance(value, Link):
                    self._readers.setdefault(value.node, []).append(node.id)

    def before(self, id_: str, through: str | None = None) -> list[str]:
        """Ids of nodes that a node's links lead to, however far, nearest first.

        Args:
            through: the one input of the node that is followed; None: all.
        """
        first = self.nodes[id_].inputs
        todo = [value.node for name, value in first.items() if isinstance(value, Link) and through in (None, name)]
        found: dict[str, None] = {}
        for one in todo:  # grows while it is walked through
            if one in found or one not in self.nodes:
                continue
            found[one] = None
            todo += [value.node for value in self.nodes[one].inputs.values() if isinstance(value, Link)]
        return list(found)

    def after(self, ids: Iterable[str]) -> set[str]:
        """Ids of nodes that read these, however far from them, themselves included."""
        todo = list(ids)
        found = set(todo)
        for one in todo:  # grows while it is walked through
            new = [reader for reader in self._readers.get(one, ()) if reader not in found]
            found.update(new)
            todo += new
        return found


def is_graph(data: Any) -> bool:
    """Whether plain data is a graph in the API's form."""
    if not isinstance(data, Mapping) or not data:
        return False
    return any(isinstance(node, Mapping) and isinstance(node.get("class_type"), str) for node in data.values())


def unwrapped(data: Any) -> tuple[Any, Path_]:
    """A graph that lies in what is sent to the server, ``{"prompt": {...}}``, and where."""
    if isinstance(data, Mapping) and not is_graph(data) and is_graph(data.get("prompt")):
        return data["prompt"], ("prompt",)
    return data, ()


def node_ids(data: Mapping[str, Any]) -> set[str]:
    """Keys of plain data under which there are nodes."""
    return {id_ for id_, node in data.items() if isinstance(node, Mapping) and isinstance(node.get("class_type"), str)}


def is_link(value: Any, ids: Collection[str]) -> bool:
    """Whether an input's value is a link to a node that is there."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str | int)
        and not isinstance(value[0], bool)
        and isinstance(value[1], int)
        and not isinstance(value[1], bool)
        and str(value[0]) in ids
    )


def graph(data: Mapping[str, Any]) -> Graph:
    """The nodes of plain data that `is_graph`; what is no node there stays in the leaves alone."""
    nodes = {}
    ids = node_ids(data)
    for id_, node in data.items():
        if id_ in ids:
            given = node.get("inputs")
            inputs = given if isinstance(given, Mapping) else {}
            read = {
                str(name): Link(str(value[0]), value[1]) if is_link(value, ids) else value
                for name, value in inputs.items()
            }
            nodes[str(id_)] = Node(str(id_), node["class_type"], read)
    return Graph(nodes)


def graph_leaves(data: Mapping[str, Any], around: Path_ = ()) -> Iterator[Leaf]:
    """Leaves of a graph: a link is one, and places name the node and its input."""
    ids = node_ids(data)
    for id_, node in data.items():
        if id_ not in ids:
            yield from leaves(node, (*around, str(id_)))
            continue
        name = f"node {id_} {node['class_type']}"
        for key, value in node.items():
            if key == "class_type":
                yield Leaf((*around, str(id_), "class_type"), name, value)
            elif key == "inputs" and isinstance(value, Mapping) and value:
                for input_, given in value.items():
                    yield from _input((*around, str(id_), "inputs", str(input_)), f"{name}: {input_}", given, ids)
            else:
                for leaf in leaves(value, (*around, str(id_), str(key))):
                    yield Leaf(leaf.path, f"{name}, {'.'.join(leaf.path[len(around) + 1 :])}", leaf.value)


def _input(path: Path_, place: str, value: Any, ids: Collection[str]) -> Iterator[Leaf]:
    if is_link(value, ids):
        yield Leaf(path, place, Link(str(value[0]), value[1]))
        return
    for leaf in leaves(value, path):
        more = ".".join(leaf.path[len(path) :])
        yield Leaf(leaf.path, f"{place}.{more}" if more else place, leaf.value)
