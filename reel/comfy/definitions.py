"""What a ComfyUI server says of its nodes (``/object_info``), and a graph held against it.

The server's own check stops at a node's first mistake, takes inputs that no node has without a word, and runs what is
left of a graph of which a part does not fit. So everything is looked over before anything is queued.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reel.comfy.graph import Graph, listed
from reel.comfy.node import Link, Node
from reel.comfy.packs import pack_of
from reel.errors import suggest
from reel.values import shortened

DYNAMIC = ("COMFY_DYNAMICCOMBO_V3", "COMFY_AUTOGROW_V3", "COMFY_DYNAMICSLOT_V3")
"""Types of inputs that stand for further ones, called ``name.further``."""
ANY = ("*", "COMFY_MATCHTYPE_V3", *DYNAMIC)
"""Types that links of several types fit; the server checks those."""
MODEL_FILES = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class Input:
    """One input of a node's class.

    Attributes:
        type: ``INT``, ``COMBO``, ``IMAGE``, ...
        choices: of a COMBO, as the server knows them now; None: of another type, or known to the server alone.
        required: whether a graph must give it.
        least, most: of a number; None: no limit.
        uploads: whether its choices are files that can be uploaded.
    """

    type: str
    choices: Sequence[Any] | None = None
    required: bool = True
    least: float | None = None
    most: float | None = None
    uploads: bool = False


@dataclass(frozen=True)
class Definition:
    """A node's class.

    Attributes:
        inputs: by name, without those that the server fills in itself.
        outputs: their types.
        saves: whether it ends a graph: nodes that nothing of this kind needs are not run.
        module: Python module that it comes from; ``custom_nodes.<pack>`` is not ComfyUI's own.
    """

    name: str
    inputs: Mapping[str, Input]
    outputs: Sequence[str] = ()
    saves: bool = False
    module: str = ""

    @property
    def custom(self) -> bool:
        return not self.module.startswith(("nodes", "comfy_extras", "comfy_api_nodes"))

    def input(self, name: str) -> Input | None:
        """The input of a name; None: it declares none, and stands for none."""
        head = name.partition(".")[0]
        if (found := self.inputs.get(name)) is not None:
            return found
        if head != name and (of := self.inputs.get(head)) is not None and of.type in DYNAMIC:
            return Input("*", required=False)
        return None


def definitions(answer: Any) -> dict[str, Definition]:
    """What ``/object_info`` answers, as far as it has the form; what has not is left out, and then missing."""
    if not isinstance(answer, Mapping):
        return {}
    return {name: _definition(name, one) for name, one in answer.items() if isinstance(one, Mapping)}


def _definition(name: str, found: Mapping[str, Any]) -> Definition:
    inputs: dict[str, Input] = {}
    given = found.get("input")
    for group in ("required", "optional"):
        named = given.get(group) if isinstance(given, Mapping) else None
        for one, spec in named.items() if isinstance(named, Mapping) else ():
            inputs[one] = _input(spec, required=group == "required")
    outputs = found.get("output")
    module = found.get("python_module")
    return Definition(
        name,
        inputs,
        [one if isinstance(one, str) else "COMBO" for one in outputs] if isinstance(outputs, list) else [],
        found.get("output_node") is True,
        module if isinstance(module, str) else "",
    )


def _input(spec: Any, *, required: bool) -> Input:
    """An input as declared: ``["INT", {...}]``, ``[[choices], {...}]`` or ``["COMBO", {"options": [choices]}]``."""
    spec = spec if isinstance(spec, list) and spec else [spec]
    kind, options = spec[0], spec[1] if len(spec) > 1 and isinstance(spec[1], Mapping) else {}
    uploads = any(str(name).endswith("_upload") and value is True for name, value in options.items())
    if isinstance(kind, list):
        return Input("COMBO", kind, required, uploads=uploads)
    if kind == "COMBO":
        choices = options.get("options")
        several = options.get("multiselect") is True or "remote" in options  # what a remote one offers it asks others
        return Input("COMBO", choices if isinstance(choices, list) and not several else None, required, uploads=uploads)
    limits = [options.get(name) for name in ("min", "max")]
    least, most = (one if isinstance(one, int | float) and not isinstance(one, bool) else None for one in limits)
    return Input(kind if isinstance(kind, str) else "*", None, required, least, most, uploads)


@dataclass(frozen=True)
class Problem:
    """Something that the server would refuse, or worse, pass over.

    Attributes:
        node, input: where; ``input`` is empty where it is the whole node.
        message: without the place.
        fix: empty where nothing is likely.
    """

    node: Node
    input: str
    message: str
    fix: str = ""


Wrong = tuple[str, str]
"""A message, and a fix or an empty text."""
FINE: Wrong = ("", "")


@dataclass
class Looked:
    """A graph looked over.

    Attributes:
        graph: with values in their inputs' types.
        problems: what must be put right.
        ignored: inputs in the file that no node has: the server passes over them.
    """

    graph: Graph
    problems: list[Problem] = field(default_factory=list)
    ignored: list[Problem] = field(default_factory=list)


def look(
    graph: Graph,
    known: Mapping[str, Definition],
    uploaded: Collection[tuple[str, str]] = (),
    own: Collection[tuple[str, str]] = (),
) -> Looked:
    """Hold a graph against what a server knows.

    Args:
        known: `definitions`.
        uploaded: places (node and input) of files that will be on the server when it runs.
        own: places that the user sets, which must exist.
    """
    looked = Looked(graph)
    for node in graph.nodes.values():
        if (definition := known.get(node.kind)) is None:
            looked.problems.append(Problem(node, "", *_missing(node, known)))
            continue
        for name in node.inputs:
            declared, place = definition.input(name), (node.id, name)
            if declared is None:
                _undeclared(node, name, definition, looked, own=place in own)
                continue
            if (one := node.links.get(name)) is not None:
                wrong = _linked(declared, graph.nodes[one.node], one, known)
            elif place in uploaded:
                wrong = FINE
            else:
                value, wrong = typed(node.inputs[name], declared)
                looked.graph = looked.graph.changed(node.id, name, value)
            if wrong[0]:
                looked.problems.append(Problem(node, name, *wrong))
        needed = [name for name, one in definition.inputs.items() if one.required and one.type not in DYNAMIC]
        if absent := [name for name in needed if name not in node.inputs]:
            looked.problems.append(Problem(node, "", f"{', '.join(absent)}: not given, and needed"))
    return looked


def _missing(node: Node, known: Mapping[str, Definition]) -> Wrong:
    message, pack = f"the server has no node of class {shortened(node.kind)}", pack_of(node.kind)
    if pack is None:
        fix = "install the pack that has it (ComfyUI-Manager finds it), and restart the server"
        return message + suggest(node.kind, known), fix
    return message, f"install its pack, github.com/{pack.name}, into custom_nodes/ and restart the server"


def _undeclared(node: Node, name: str, definition: Definition, looked: Looked, *, own: bool) -> None:
    """An input that the class does not have: a mistake where it is set here, or one that it has is near."""
    pack = pack_of(node.kind)
    if pack is not None and pack.open:
        return
    near = suggest(name, definition.inputs if own else [one for one in definition.inputs if one not in node.inputs])
    there = f"inputs of {definition.name}: {listed(list(definition.inputs))}"
    wrong = Problem(node, name, f"{definition.name} has no such input{near}", there)
    (looked.problems if near or own else looked.ignored).append(wrong)


def _linked(declared: Input, before: Node, one: Link, known: Mapping[str, Definition]) -> Wrong:
    """What is wrong about a link."""
    if (giver := known.get(before.kind)) is None:
        return FINE
    if one.output >= len(giver.outputs):
        there = f"has {len(giver.outputs)} outputs, counted from 0" if giver.outputs else "has no output"
        return f"comes from output {one.output} of {before.name}, which {there}", ""
    given, wanted = set(giver.outputs[one.output].split(",")), set(declared.type.split(","))
    wanted |= {"STRING"} if declared.type == "COMBO" else set()
    if wanted & given or (wanted | given) & set(ANY):
        return FINE
    return f"takes {declared.type}, and {before.name} gives {giver.outputs[one.output]}", ""


def typed(value: Any, declared: Input) -> tuple[Any, Wrong]:
    """A value in an input's type, and what is wrong about it.

    Texts, as a command line has them, are read as the number or the choice that they spell.
    """
    got = f"got {shortened(repr(value))}"
    match declared.type:
        case "INT" | "FLOAT":
            return _number(value, declared, got)
        case "BOOLEAN":
            if isinstance(value, bool):
                return value, FINE
            word = str(value).lower()
            return (
                (word in _TRUE, FINE) if word in (*_TRUE, *_FALSE) else (value, (f"must be true or false, {got}", ""))
            )
        case "STRING":
            fits = isinstance(value, str | int | float)
            return (str(value), FINE) if fits else (value, (f"must be a text, {got}", ""))
        case "COMBO":
            return (value, FINE) if declared.choices is None else _chosen(value, declared, declared.choices)
    free = declared.type in ANY or not declared.type.isupper() or isinstance(value, dict)  # widgets of a pack's own
    return value, FINE if free else (f"takes a link that gives {declared.type}, {got}", "")


def _number(value: Any, declared: Input, got: str) -> tuple[Any, Wrong]:
    whole = declared.type == "INT"
    number = _spelled(value, whole=whole)
    if number is None:
        several = isinstance(value, str) and "," in value
        fix = "under -m several values are choice(1,2,3)" if several else ""
        return value, (f"must be {'a whole number' if whole else 'a number'}, {got}", fix)
    low, high = declared.least, declared.most
    if (low is not None and number < low) or (high is not None and number > high):
        return value, (f"must be from {_limit(low)} to {_limit(high)}, got {number}", "")
    return number, FINE


def _chosen(value: Any, declared: Input, choices: Sequence[Any]) -> tuple[Any, Wrong]:
    """A value that must be among the server's choices."""
    same = [one for one in choices if one == value and type(one) is type(value)]  # 1 is not True
    if found := same or [one for one in choices if str(one) == str(value)]:
        return found[0], FINE
    names = [str(one) for one in choices]
    said = f"the server does not offer {shortened(str(value))}{suggest(str(value), names)}"
    if declared.uploads:
        return value, (
            f"{said}; files on the server: {listed(names)}",
            "files.<node>.<input>=<file> uploads one of yours",
        )
    if is_model_file(value):
        fix = "put the file into the server's folder of such models, or name one that is there"
        return value, (f"{said}; model files on the server: {listed(names)}", fix)
    return value, (f"{said}; choices: {listed(names)}", "")


def is_model_file(value: Any) -> bool:
    """Whether a value names a file of weights, by its suffix."""
    return isinstance(value, str) and value.lower().endswith(MODEL_FILES)


def _spelled(value: Any, *, whole: bool) -> int | float | None:
    """A number, or the one that a text spells; None: it is or spells none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        if isinstance(value, str):
            value = int(value) if whole or value.strip().lstrip("+-").isdecimal() else float(value)
        if whole:
            return int(value) if value == int(value) else None
        return float(value) if math.isfinite(value) else None
    except (ValueError, OverflowError):
        return None


def _limit(value: float | None) -> str:
    return "any" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
