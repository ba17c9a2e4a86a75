"""YAML with places: a tree of nodes that know where they stand, built from parser events.

Depth is bounded and anchors are refused while the events arrive, before anything can grow. libyaml's parser is
iterative, so hostile nesting costs as many events as it takes to notice it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from reel.schedule.findings import Edit, Report
from reel.schedule.jsonish import Refused

MAX_DEPTH = 8
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# libyaml marks count characters, as ours do; the pure Python loader does the same
_GLUED = re.compile(r"^(\s*[\w.%-]+):(?=[^\s:])", re.MULTILINE)


@dataclass(slots=True)
class YamlNode:
    kind: Literal["scalar", "map", "list"]
    start: int
    stop: int
    text: str = ""
    quoted: bool = False
    pairs: list[tuple[YamlNode, YamlNode]] = field(default_factory=list)
    items: list[YamlNode] = field(default_factory=list)


def compose(report: Report, max_depth: int = MAX_DEPTH) -> YamlNode | None:
    """The document's root, or None after a finding (RS002, RS003, RS004, RS120)."""
    try:
        return _build(report, yaml.parse(report.source.text, Loader=_LOADER), max_depth)
    except yaml.MarkedYAMLError as error:
        _syntax(report, error)
    except yaml.YAMLError as error:
        report.add(
            "RS120",
            f"not readable as YAML: {str(error).splitlines()[0][:100]}",
            int(getattr(error, "position", 0) or 0),
        )
    except Refused:
        pass
    return None


def _build(report: Report, events: Iterator[Any], max_depth: int) -> YamlNode | None:
    stack: list[tuple[YamlNode, YamlNode | None]] = []
    root: YamlNode | None = None
    for event in events:
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent, yaml.ScalarEvent, yaml.AliasEvent)):
            node = _node(report, event, len(stack), max_depth)
            if root is None:
                root = node
            elif not stack:
                report.add("RS120", "a second document: a schedule is one", node.start)
                raise Refused
            else:
                stack[-1] = _attach(stack[-1], node)
            if node.kind != "scalar":
                stack.append((node, None))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            node, _ = stack.pop()
            node.stop = _index(event.end_mark)
    return root


def _index(mark: Any) -> int:
    """A mark's offset. The stubs allow an event without marks; a parser of text gives every event both."""
    assert mark is not None
    return int(mark.index)


def _node(report: Report, event: Any, depth: int, max_depth: int) -> YamlNode:
    start, stop = _index(event.start_mark), _index(event.end_mark)
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        report.add(
            "RS003",
            "anchors and aliases (& and *) are refused",
            start,
            stop,
            fix='write the text out, or "quote" a text that begins with & or *',
        )
        raise Refused
    if event.tag not in (None, "!"):
        report.add("RS120", f"tags such as {event.tag[:30]} are refused", start)
        raise Refused
    if isinstance(event, yaml.ScalarEvent):
        return YamlNode("scalar", start, stop, event.value, quoted=event.style in ("'", '"'))
    if depth >= max_depth:
        report.add("RS002", f"nested more than {max_depth} levels deep", start)
        raise Refused
    return YamlNode("map" if isinstance(event, yaml.MappingStartEvent) else "list", start, stop)


def _attach(top: tuple[YamlNode, YamlNode | None], node: YamlNode) -> tuple[YamlNode, YamlNode | None]:
    """Put a node into its parent; a mapping's first node of each pair waits for its value."""
    parent, waiting = top
    if parent.kind == "list":
        parent.items.append(node)
        return parent, None
    if waiting is None:
        return parent, node
    parent.pairs.append((waiting, node))
    return parent, None


def _syntax(report: Report, error: yaml.MarkedYAMLError) -> None:
    """libyaml's message at its place, with the usual slip named where it is one."""
    mark = error.problem_mark or error.context_mark
    text = report.source.text
    at = min(mark.index if mark is not None else 0, len(text))
    match = None
    for match in _GLUED.finditer(text, 0, min(len(text), at + 200)):
        if match.end() > at - 200:
            break
    if match is not None and abs(match.end() - at) <= 200:
        end = match.end()
        report.add(
            "RS120",
            "YAML wants a space after the colon",
            end,
            fix="a space here",
            edits=(Edit(end, end, " "),),
            certain=True,
        )
        return
    words = " ".join(filter(None, (error.context, error.problem)))
    fix = 'put the text in "quotes"' if any(c in text[max(0, at - 1) : at + 1] for c in ":@`%|>&*!{}[]") else None
    report.add("RS120", f"{words}" if words else "not valid YAML", at, fix=fix)


def node_at(report: Report, key: str) -> tuple[YamlNode, YamlNode] | None:
    """The nodes of a dotted key's name and value in a YAML file; the value twice where it is an item of a list.

    Returns: None where the key is not in this file or the file cannot be read.
    """
    node = name = compose(report, max_depth=32)
    for part in key.split("."):
        if node is None or node.kind == "scalar":
            return None
        if node.kind == "list":
            name = node = node.items[int(part)] if part.isdigit() and int(part) < len(node.items) else None
        else:
            name, node = next(((n, value) for n, value in node.pairs if n.text == part), (None, None))
    return (name, node) if name is not None and node is not None else None
