"""A ComfyUI graph in API format: nodes by id, each with its class and inputs, which are values or links.

``{"3": {"class_type": "KSampler", "inputs": {"seed": 3, "model": ["4", 0]}, "_meta": {"title": "Sampler"}}}``. A link
names a node and one of its outputs. Read from strangers' files, so whatever JSON holds is met in words.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reel.comfy.node import Node, link
from reel.errors import UserError, suggest
from reel.reading import Unreadable, read_small
from reel.values import shortened

MOST_BYTES = 16 << 20
"""Of a workflow file."""
MOST_NODES = 10_000
MOST_DIGITS = 4000
"""Of a whole number in a file: Python reads no longer ones."""
_EXPORT = "in ComfyUI: Workflow > Export (API), or with the developer options Save (API Format)"


@dataclass(frozen=True)
class Graph:
    """Nodes by id, in the order of their file."""

    nodes: Mapping[str, Node]

    def find(self, name: str, setting: str) -> Node:
        """The node of an id, a title or, if there is one of it, a class.

        A title's characters that no key of a command line holds may be written as ``_``: ``Load_Image``.

        Args:
            setting: whose key names it, for messages.

        Raises:
            UserError: none is called so, or several are.
        """
        if (node := self.nodes.get(name)) is not None:
            return node
        for called in (lambda one: one.title, lambda one: as_key(one.title), lambda one: one.kind):
            if found := [one for one in self.nodes.values() if called(one) == name]:
                break
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(one.name for one in found[:8])
            raise UserError(f"{setting}: {len(found)} nodes are called {name}: {ids}", fix=f"name one by its id: "
                            f"{setting.partition('.')[0]}.{found[0].id}")  # fmt: skip
        known = [text for one in self.nodes.values() for text in (one.title, one.kind, one.id) if text]
        raise UserError(
            f"{setting}: no node of the graph has the id, title or class {shortened(name)}{suggest(name, known)}",
            fix=f"nodes: {listed(one.name for one in self.nodes.values())}",
        )

    def changed(self, id: str, name: str, value: Any) -> Graph:
        """The same with another value at an input."""
        node = self.nodes[id]
        inputs = {**node.inputs, name: link(value) or value}
        return Graph({**self.nodes, id: replace(node, inputs=inputs)})

    def behind(self, ids: list[str]) -> set[str]:
        """Ids of the nodes that some are made of, these included."""
        seen: set[str] = set()
        left = list(ids)
        while left:
            if (id := left.pop()) not in seen:
                seen.add(id)
                left += [one.node for one in self.nodes[id].links.values()]
        return seen

    def only(self, ids: set[str]) -> Graph:
        return Graph({id: node for id, node in self.nodes.items() if id in ids})

    @property
    def plain(self) -> dict[str, Any]:
        """As ComfyUI takes it, without titles, which change nothing."""
        return {node.id: node.plain for node in self.nodes.values()}


def as_key(title: str) -> str:
    """A title as a command line's key can hold it: runs of other characters than letters, digits and - become _."""
    return re.sub(r"[^\w-]+", "_", title, flags=re.ASCII).strip("_")


def listed(names: Iterator[str] | list[str], most: int = 12) -> str:
    """Some names, and how many more there are."""
    found = [shortened(name) for name in names]
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "") or "none"


def load(path: Path) -> Graph:
    """A workflow file.

    Raises:
        UserError: no file, no JSON, or no graph in API format; the message names the node.
    """
    try:
        data = read_small(path, MOST_BYTES)
    except FileNotFoundError:
        raise UserError(f"workflow: there is no file {path}", fix="workflow=graph.json, " + _EXPORT) from None
    except Unreadable as error:
        raise UserError(f"workflow: {path} {error}", fix="workflow=graph.json, " + _EXPORT) from None
    try:
        return parsed(data)
    except UserError as error:
        raise UserError(f"workflow: {path.name}: {error.message}", fix=error.fix) from None


def parsed(data: bytes) -> Graph:
    """A graph out of a file's bytes.

    Raises:
        UserError: as `load`, without the file's name.
    """
    try:
        found = json.loads(data.decode("utf-8-sig"), parse_constant=_no_number)
    except UnicodeDecodeError:
        raise UserError("is not UTF-8 text", fix=_EXPORT) from None
    except RecursionError:
        raise UserError("is nested too deeply", fix=_EXPORT) from None
    except json.JSONDecodeError as error:
        raise UserError(f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}", fix=_EXPORT) from None
    except ValueError as error:
        raise UserError(f"holds a number that cannot be read: {shortened(str(error))}", fix=_EXPORT) from None
    if isinstance(found, dict) and isinstance(found.get("prompt"), dict) and "class_type" not in found["prompt"]:
        found = found["prompt"]  # as it is posted to a server
    if isinstance(found, dict) and isinstance(found.get("nodes"), list):
        raise UserError("is a workflow of the editor, not in API format", fix=f"export it anew, {_EXPORT}")
    if not isinstance(found, dict) or not found:
        kind = "empty" if found in ({}, []) else f"{type(found).__name__}, not a mapping from ids to nodes"
        raise UserError(f"holds no graph: it is {kind}", fix=_EXPORT)
    if len(found) > MOST_NODES:
        raise UserError(f"has {len(found)} nodes, at most {MOST_NODES} are read")
    graph = Graph({id: _node(id, one) for id, one in found.items()})
    _check_links(graph)
    return graph


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _node(id: str, found: Any) -> Node:
    if not isinstance(found, dict) or not isinstance(found.get("class_type"), str) or not found["class_type"]:
        raise UserError(f"node {shortened(id)} has no class_type, which says what it does", fix=_EXPORT)
    inputs = found.get("inputs", {})
    if not isinstance(inputs, dict):
        raise UserError(f"node {shortened(id)}: its inputs are not a mapping from names to values", fix=_EXPORT)
    for name, value in inputs.items():
        if isinstance(value, float) and not math.isfinite(value):  # 1e999
            raise UserError(f"node {shortened(id)}: {shortened(name)} is a number without end")
    return Node.of(id, found)


def _check_links(graph: Graph) -> None:
    """Raises: UserError for a link to nowhere, and for nodes that feed themselves."""
    for node in graph.nodes.values():
        for name, one in node.links.items():
            if one.node not in graph.nodes:
                near = suggest(one.node, graph.nodes)
                raise UserError(f"node {node.name}: {name} comes from node {shortened(one.node)}, which is not in the "
                                f"graph{near}", fix=_EXPORT)  # fmt: skip
            if one.output < 0:
                raise UserError(f"node {node.name}: {name} comes from output {one.output}; outputs count from 0")
    done: set[str] = set()
    for start in graph.nodes:
        way: list[tuple[str, Iterator[str]]] = [(start, _before(graph, start))]
        on = {start}
        while way:
            id, further = way[-1]
            nearest = next((one for one in further if one not in done), None)
            if nearest is None:
                way.pop()
                on.discard(id)
                done.add(id)
            elif nearest in on:
                raise UserError(f"node {graph.nodes[nearest].name} is made of itself: its links go round in a circle")
            else:
                way.append((nearest, _before(graph, nearest)))
                on.add(nearest)


def _before(graph: Graph, id: str) -> Iterator[str]:
    return iter([one.node for one in graph.nodes[id].links.values()])
