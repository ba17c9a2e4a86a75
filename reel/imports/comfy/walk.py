"""A graph of ComfyUI, followed from what denoises: what each node that leads there says, by the rows of `nodes`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reel.comfy.node import Link, Node
from reel.imports.comfy import several
from reel.imports.comfy.films import VALUES
from reel.imports.comfy.graph import Graph
from reel.imports.comfy.nodes import NODES
from reel.imports.comfy.rows import BY_WAY, Go, Input, Is, No, Plain, Row
from reel.imports.found import Fact, Found, Group, Leaf, Path_

FORMAT = "ComfyUI graph"
_MOST_WAYS = 12
"""Ways that lead to one node; more are not followed."""


@dataclass(frozen=True)
class Way:
    """How a node is come to.

    Attributes:
        name: what the links since the denoising lead to: ``positive``, ``start``, ...
        groups: the groups that the way leads through.
    """

    name: str = ""
    groups: Mapping[str, Group] = field(default_factory=dict)


class Walk:
    """One reading of a graph.

    Attributes:
        main: id of the node that denoises first.
        around: where the graph lies in its file.
        seen: the ways on which each node was come to.
        reasons: why a node is not read, by its id.
        groups: the group that a node has begun.
    """

    def __init__(self, graph: Graph, found: Found, main: str | None, around: Path_ = ()) -> None:
        self.graph, self.found, self.main, self.around = graph, found, main, around
        self.seen: dict[str, set[tuple[str, tuple[int, ...]]]] = {}
        self.reasons: dict[str, str] = {}
        self.groups: dict[str, Group] = {}

    def leaf(self, node: Node, input_: str) -> Leaf | None:
        """Take an input's leaf."""
        return self.found.source.take(*self.around, node.id, "inputs", input_)

    def go(self, id_: str, way: Way) -> None:
        """Read a node and all that leads to it; once for each way."""
        todo = [(id_, way)]
        while todo:
            at, by = todo.pop()
            ways, key = self.seen.setdefault(at, set()), (by.name, tuple(sorted(map(id, by.groups.values()))))
            if key in ways or len(ways) >= _MOST_WAYS or at not in self.graph.nodes:
                continue
            ways.add(key)
            todo += reversed(self._read(self.graph.nodes[at], by))

    def _read(self, node: Node, way: Way) -> list[tuple[str, Way]]:
        """What a node says; where its links lead."""
        row = NODES.get(node.kind)
        if row is None:
            return self._unknown(node, way)
        named = self.found.source.take(*self.around, node.id, "class_type")
        if row.sampler and way.name == "film" and node.id != self.main:
            self.found.left(named, _AGAIN)
            self.reasons[node.id] = _AGAIN
            return self._links(node, {"latent_image": Go("film")}, way)
        if row.opens:
            if node.id not in self.groups:
                self.groups[node.id] = Group(row.opens, place=node.place)
                self.found.groups.append(self.groups[node.id])
            way = Way(way.name, {**way.groups, row.opens: self.groups[node.id]})
        self._gives(row, named, way)
        if row.special:
            return several.READ[row.special](self, node, way)
        return self._links(node, row.inputs, way)

    def _gives(self, row: Row, named: Leaf | None, way: Way) -> None:
        """Facts that a node says by being there."""
        for name, value in row.gives.items():
            self.say(name, (named,) if named is not None else (), value, row.how, way)
        if not row.gives:
            self.found.used(named, "a node that is read")

    def _links(self, node: Node, inputs: Mapping[str, Input], way: Way) -> list[tuple[str, Way]]:
        onward = []
        for name, value in node.inputs.items():
            rule = inputs.get(name, inputs.get("") if node.kind == "Reroute" else None)
            if isinstance(rule, Go):
                onward += self._follow(node, name, value, rule, way)
            elif rule is not None:
                self._value(node, name, rule, way)
        return onward

    def _follow(self, node: Node, name: str, value: Any, rule: Go, way: Way) -> list[tuple[str, Way]]:
        leaf = self.leaf(node, name)
        if isinstance(value, Link):
            self.found.used(leaf, f"leads to {value}")
            groups = {kind: one for kind, one in way.groups.items() if rule.way not in _LEAVES.get(kind, ())}
            return [(value.node, Way(rule.way or way.name, groups))]
        self.found.left(leaf, "no node is linked to it")
        return []

    def _value(self, node: Node, name: str, rule: Is | Plain | No, way: Way) -> None:
        if isinstance(rule, No):
            for leaf in self.found.source.under(*self.around, node.id, "inputs", name):
                self.found.left(leaf, rule.why)
            return
        leaves, value, why = self.constant(node, name)
        if not leaves and not (isinstance(rule, Is) and rule.name.partition(".")[0] in way.groups):
            return  # another way led here before, and it was no other thing
        if why:
            for leaf in leaves:
                self.found.left(leaf, why)
        elif isinstance(rule, Plain):
            for leaf in leaves:
                if any(type(value) is type(one) and value == one for one in rule.values) or value in rule.values:
                    self.found.used(leaf, "has no effect at this value")
                else:
                    self.found.left(leaf, rule.why)
        else:
            read = value if rule.read is None else rule.read(value)
            if read is None:
                for leaf in leaves:
                    self.found.used(leaf, "switched off")
            else:
                if rule.name in _MADE and read != value:
                    self.found.notes.append(f"{leaves[0].place}={value}: ComfyUI makes {read} of it, and so does this")
                self.say(rule.name, tuple(leaves), read, rule.how, way)

    def constant(self, node: Node, name: str) -> tuple[list[Leaf], Any, str]:
        """An input's leaves and value, through nodes that are nothing but a value; why it has none."""
        leaf = self.leaf(node, name)
        leaves, value = [leaf] if leaf is not None else [], node.inputs.get(name)
        for _ in range(20):
            if not isinstance(value, Link):
                if isinstance(value, dict | list):
                    leaves += self.found.source.under(*self.around, node.id, "inputs", name)
                    return leaves, None, "a list or group is no value"
                return leaves, value, ""
            from_ = self.graph.nodes[value.node]
            inner = "" if from_.kind == "Reroute" and from_.inputs else VALUES.get(from_.kind, None)
            if inner is None or (inner and inner not in from_.inputs):
                self.reasons.setdefault(from_.id, "computes a value, and is not read")
                return leaves, None, f"{from_.place} computes it, which is not read"
            inner = inner or next(iter(from_.inputs))
            self.found.used(self.found.source.take(*self.around, from_.id, "class_type"), "gives a value")
            self.reasons.setdefault(from_.id, "a setting of a node that gives a value")
            if (one := self.leaf(from_, inner)) is not None:
                leaves.append(one)
            value = from_.inputs[inner]
        return leaves, None, "links lead around in a ring"

    def say(self, name: str, leaves: tuple[Leaf, ...], value: Any, how: str, way: Way) -> None:
        """A fact; under the name that the way gives it, in the group that it is about."""
        if name.startswith("@"):
            names = BY_WAY[name[1:]]
            name = names.get(way.name, names[""])
        kind, _, inner = name.partition(".")
        group = way.groups.get(kind) if inner else None
        if group is not None:
            group.facts.append(Fact(inner, value, leaves, how))
        else:
            self.found.facts.append(Fact(name, value, leaves, how))

    def _unknown(self, node: Node, way: Way) -> list[tuple[str, Way]]:
        """A node that no row is about: nothing of it is read, but what its links lead to is."""
        why = f"{node.kind} is not known here"
        self.found.left(self.found.source.take(*self.around, node.id, "class_type"), why)
        self.reasons[node.id] = why
        return [(value.node, way) for value in node.inputs.values() if isinstance(value, Link)]


_MADE = ("frames", "width", "height")
_AGAIN = "a further pass over the film has no counterpart; finish=[upscale] makes films larger"
_LEAVES = {
    "lora": ("positive", "negative", "latent", "start", "guide", "vae"),
    "control": ("positive", "negative", "model", "latent", "vae", "clip", "reference", "start", "end"),
    "guide": ("positive", "negative", "latent", "vae"),
    "ip_adapter": ("model",),
}
"""Ways that lead out of a group."""


def read(graph: Graph, found: Found, around: Path_ = ()) -> None:
    """Everything that a graph says into ``found``."""
    main = _main(graph)
    walk = Walk(graph, found, main, around)
    if main is not None:
        walk.go(main, Way())
        behind = graph.after([main])
        for id_ in _ends(graph):
            if id_ in behind:
                walk.go(id_, Way("film"))
    several.finished(found)
    _rest(walk)


def _main(graph: Graph) -> str | None:
    """The node that denoises first on the way to what the graph is for."""
    samplers = {id_ for id_, node in graph.nodes.items() if NODES.get(node.kind, _NONE).sampler}
    if not samplers:
        return None
    behind = graph.after(samplers)
    end = next((one for one in _ends(graph) if one in behind), None)
    found = next((one for one in graph.before(end) if one in samplers), "") if end is not None else ""
    found = found or next(one for one in graph.nodes if one in samplers)
    for _ in range(_MOST_PASSES):
        before = next((one for one in graph.before(found, "latent_image") if one in samplers and one != found), None)
        if before is None:
            break
        found = before
    return found


_MOST_PASSES = 20
_NONE = Row()


def _ends(graph: Graph) -> list[str]:
    """Where films and pictures end, films first."""
    rank = {id_: NODES.get(node.kind, _NONE).end for id_, node in graph.nodes.items()}
    return sorted((id_ for id_, found in rank.items() if found), key=lambda id_: -rank[id_])


def _rest(walk: Walk) -> None:
    """Leaves that no row took, each with the reason."""
    found, depth = walk.found, len(walk.around)
    for leaf in found.source.rest():
        id_ = leaf.path[depth] if len(leaf.path) > depth else ""
        node = walk.graph.nodes.get(id_)
        inside = leaf.path[depth + 1 :]
        if node is None:
            found.left(leaf, "no node of the graph")
        elif inside[:1] == ("_meta",):
            found.left(leaf, "a node's title, for people")
        elif inside[:1] == ("is_changed",):
            found.left(leaf, "of the server that ran it")
        elif id_ in walk.reasons:
            found.left(leaf, walk.reasons[id_])
        elif id_ in walk.seen:
            found.left(leaf, f"no input of {node.kind} that is read")
        elif NODES.get(node.kind) is None:
            found.left(leaf, f"{node.kind} is not known here, and no way leads from it to the film")
        else:
            found.left(
                leaf, "nothing denoises in this graph" if walk.main is None else "no way leads from it to the film"
            )
