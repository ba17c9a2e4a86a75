"""Workflows as ComfyUI's editor saves them, as graphs of the API's form: where the file names its widgets.

Nodes of newer editors list their widgets by name, in the order of ``widgets_values``; older ones do not, and a node's
class alone would know. Then the file is refused, with the way to export the other form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reel.comfy.node import Link
from reel.errors import UserError
from reel.imports.comfy.graph import graph_leaves
from reel.imports.found import Entry, Leaf, Path_, leaves

HOW = (
    "in ComfyUI: menu Workflow > Export (API); in older versions switch on Settings > Dev mode, "
    "then Save (API Format); a PNG that ComfyUI saved holds that form as well"
)
_SEEDS = ("seed", "noise_seed")
_AFTER = ("fixed", "increment", "decrement", "randomize")
"""Values of the widget that the editor puts behind a seed's."""
_MUTED, _BYPASSED = 2, 4
VALUE, WIRE = "gives its value to the inputs that it is linked to", "leads on to what it is linked to"
_ASIDE: dict[Any, str] = {
    **{_MUTED: "the node is muted", _BYPASSED: "the node is bypassed"},
    **{"Note": "a note", "MarkdownNote": "a note", "Reroute": WIRE, "PrimitiveNode": VALUE},
}
"""Nodes that the editor keeps for itself, by class and mode."""


@dataclass
class Workflow:
    """A workflow as a graph.

    Attributes:
        nodes: the graph, as plain data.
        origin: where in the file each of the graph's leaves stands.
        aside: what becomes of nodes that are none of the graph's, by their numbers in the file.
    """

    nodes: dict[str, Any] = field(default_factory=dict)
    origin: dict[Path_, Path_] = field(default_factory=dict)
    aside: dict[str, str] = field(default_factory=dict)


def is_workflow(data: Any) -> bool:
    """Whether plain data is a workflow of the editor."""
    return isinstance(data, Mapping) and isinstance(data.get("nodes"), list) and "links" in data


def converted(data: Mapping[str, Any], name: str) -> Workflow:
    """The graph of a workflow.

    Raises:
        UserError: it does not say enough, and how to export the form that does.
    """
    definitions = data.get("definitions")
    if isinstance(definitions, Mapping) and definitions.get("subgraphs"):
        raise _refused(name, "it holds subgraphs")
    made = Workflow()
    nodes = {str(node["id"]): (at, node) for at, node in enumerate(data["nodes"]) if _is_node(node)}
    if not nodes:
        raise _refused(name, "it has no nodes")
    links = _links(data.get("links"))
    for id_, (at, node) in nodes.items():
        mode = node.get("mode")
        aside = _ASIDE.get(node["type"]) or (_ASIDE.get(mode) if isinstance(mode, int) else None)
        if aside is not None:
            made.aside[str(at)] = aside
            continue
        made.nodes[id_] = {"class_type": node["type"], "inputs": _inputs(id_, at, node, nodes, links, made, name)}
        made.origin[id_, "class_type"] = ("nodes", str(at), "type")
    return made


def workflow_leaves(data: Mapping[str, Any], made: Workflow) -> Iterator[Leaf]:
    """Leaves of a workflow: those of its graph, under the graph's paths, and what else the editor keeps."""
    taken = set(made.origin.values())
    yield from graph_leaves(made.nodes)
    for leaf in leaves(data):
        if leaf.path not in taken and not any(leaf.path[:end] in taken for end in range(1, len(leaf.path))):
            yield Leaf(("editor", *leaf.path), leaf.place, leaf.value)


def told(leaf: Leaf, made: Workflow) -> Entry | None:
    """What becomes of a leaf that the editor keeps for itself; None for one of the graph."""
    if leaf.path[:1] != ("editor",):
        return None
    if leaf.path[1] == "links":
        return Entry(leaf, "mapped", (), "a link of the graph")
    aside = made.aside.get(leaf.path[2]) if leaf.path[1] == "nodes" and len(leaf.path) > 3 else None
    if aside is None or leaf.path[3] not in ("type", "widgets_values", "inputs", "mode"):
        return Entry(leaf, "not mapped", (), "what the editor draws")
    return Entry(leaf, "mapped" if aside in (VALUE, WIRE) else "not mapped", (), aside)


def _refused(name: str, why: str) -> UserError:
    return UserError(f"{name}: a workflow of ComfyUI's editor, and {why}: it cannot be read for sure", fix=HOW)


def _is_node(node: Any) -> bool:
    return isinstance(node, Mapping) and isinstance(node.get("type"), str) and isinstance(node.get("id"), int | str)


def _links(found: Any) -> dict[Any, tuple[str, int]]:
    """Node and slot that each link comes from, by the link's id."""
    links: dict[Any, tuple[str, int]] = {}
    for link in found if isinstance(found, list) else ():
        if isinstance(link, list) and len(link) >= 5 and isinstance(link[0], int) and isinstance(link[2], int):
            links[link[0]] = (str(link[1]), link[2])
        elif isinstance(link, Mapping) and isinstance(link.get("id"), int) and isinstance(link.get("origin_slot"), int):
            links[link["id"]] = (str(link.get("origin_id")), link["origin_slot"])
    return links


Nodes = Mapping[str, tuple[int, Mapping[str, Any]]]


def _inputs(
    id_: str,
    at: int,
    node: Mapping[str, Any],
    nodes: Nodes,
    links: Mapping[Any, tuple[str, int]],
    made: Workflow,
    name: str,
) -> dict[str, Any]:
    given, found = node.get("inputs"), {}
    inputs = [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []
    for key, (value, place) in _widgets(node, inputs, name).items():
        found[key] = value
        made.origin[id_, "inputs", key] = ("nodes", str(at), "widgets_values", *place)
    for number, one in enumerate(inputs):
        link = one.get("link")
        if not isinstance(link, int) or not isinstance(one.get("name"), str):
            continue
        value = _from(links.get(link), str(one.get("type")), nodes, links)
        if isinstance(value, Link):
            value = value.plain
        if value is not None:
            found[one["name"]] = value
            made.origin[id_, "inputs", one["name"]] = ("nodes", str(at), "inputs", str(number), "link")
    return found


def _widgets(
    node: Mapping[str, Any], inputs: list[Mapping[str, Any]], name: str
) -> dict[str, tuple[Any, tuple[str, ...]]]:
    """A node's widgets with their values, and where those stand in ``widgets_values``.

    Raises:
        UserError: the file does not say which value is which widget's.
    """
    values = node.get("widgets_values")
    if isinstance(values, Mapping):
        return {str(key): (value, (str(key),)) for key, value in values.items()}
    if not isinstance(values, list) or not values:
        return {}
    names = [widget["name"] for one in inputs if isinstance(widget := one.get("widget"), Mapping)
             and isinstance(widget.get("name"), str)]  # fmt: skip
    found: dict[str, tuple[Any, tuple[str, ...]]] = {}
    place = 0
    for one in names:
        if place >= len(values):
            break
        found[one] = (values[place], (str(place),))
        place += 1
        if one in _SEEDS and place < len(values) and values[place] in _AFTER:
            place += 1
    if len(found) != len(names) or place != len(values):
        raise _refused(name, f"node {node['id']} {node['type']} does not say which value is which widget's")
    return found


def _from(source: tuple[str, int] | None, kind: str, nodes: Nodes, links: Mapping[Any, tuple[str, int]]) -> Any:
    """What a link brings: an output, or the value of the editor's own nodes; None where it comes from nothing."""
    for _ in range(200):
        if source is None or source[0] not in nodes:
            return None
        node = nodes[source[0]][1]
        if node.get("mode") == _MUTED:
            return None
        if node["type"] == "PrimitiveNode":
            values = node.get("widgets_values")
            return values[0] if isinstance(values, list) and values and not isinstance(values[0], list | dict) else None
        if node["type"] != "Reroute" and node.get("mode") != _BYPASSED:
            return Link(*source)
        given = node.get("inputs")
        onward = [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []
        if node["type"] != "Reroute":
            onward = [one for one in onward if str(one.get("type")) == kind]
        source = next(
            (links[one["link"]] for one in onward if isinstance(one.get("link"), int) and one["link"] in links), None
        )
    return None
