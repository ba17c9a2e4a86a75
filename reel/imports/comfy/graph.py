"""Graphs of ComfyUI in the API's form: nodes by their ids, each with a class and inputs that are values or links."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from reel.comfy.node import Link, Node, link
from reel.imports.found import Leaf, Path_, leaves


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


def graph(data: Mapping[str, Any]) -> Graph:
    """The nodes of plain data that `is_graph`; what is no node there stays in the leaves alone."""
    ids = node_ids(data)
    return Graph({id_: Node.of(id_, node, ids) for id_, node in data.items() if id_ in ids})


def graph_leaves(data: Mapping[str, Any], around: Path_ = ()) -> Iterator[Leaf]:
    """Leaves of a graph: a link is one, and places name the node and its input."""
    ids = node_ids(data)
    for id_, node in data.items():
        if id_ not in ids:
            yield from leaves(node, (*around, id_))
            continue
        name = Node.of(id_, node, ids).place
        for key, value in node.items():
            if key == "class_type":
                yield Leaf((*around, id_, "class_type"), name, value)
            elif key == "inputs" and isinstance(value, Mapping) and value:
                for input_, given in value.items():
                    yield from _input((*around, id_, "inputs", str(input_)), f"{name}: {input_}", given, ids)
            else:
                for leaf in leaves(value, (*around, id_, str(key))):
                    yield Leaf(leaf.path, f"{name}, {'.'.join(leaf.path[len(around) + 1 :])}", leaf.value)


def _input(path: Path_, place: str, value: Any, ids: Collection[str]) -> Iterator[Leaf]:
    if (found := link(value, ids)) is not None:
        yield Leaf(path, place, found)
        return
    for leaf in leaves(value, path):
        more = ".".join(leaf.path[len(path) :])
        yield Leaf(leaf.path, f"{place}.{more}" if more else place, leaf.value)
