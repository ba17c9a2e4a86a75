"""YAML with places: a tree of nodes that know where they stand, built from parser events; and texts as YAML scalars.

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
_GLUED = re.compile(r"^([ ]*[\w.%-]+):(?=[^\s:])(?!.*:(?:\s|$))", re.MULTILINE)
MAX_BROKEN = 20
"""Broken lines after which the rest of a file is not read."""
PATIENCE = 2_000_000
"""Characters that all readings of a broken file may take together."""


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
    """The document's root, or None after a finding (RS002, RS003, RS004, RS120).

    A line that breaks the syntax is reported and blanked out, so that the mistakes of all others are found as well.
    """
    text = report.source.text
    heard, indent = 0, 0  # up to where, and from which depth on, errors only follow from one that was told
    for _ in range(max(1, min(MAX_BROKEN, PATIENCE // max(1, len(text))))):
        try:
            return _build(report, yaml.parse(text, Loader=_LOADER), max_depth)
        except yaml.MarkedYAMLError as error:
            at, noticed = _place(text, error)
            start = text.rfind("\n", 0, at) + 1
            line = text[start:].split("\n", 1)[0]
            deep = len(line) - len(line.lstrip())
            if at >= heard or deep <= indent:
                _syntax(report, error, text, at)
                heard, indent = noticed, deep
            if not line.strip():
                return None
            text = text[:start] + " " * len(line) + text[start + len(line) :]
        except yaml.YAMLError as error:
            where = int(getattr(error, "position", 0) or 0)
            report.add("RS120", f"not readable as YAML: {str(error).splitlines()[0][:100]}", where)
            return None
        except Refused:
            return None
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
                report.add("RS120", "a second document: one is read", node.start)
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


def _place(text: str, error: yaml.MarkedYAMLError) -> tuple[int, int]:
    """(where the mistake is, where the parser noticed): a bracket or quote that is never closed is the mistake."""
    mark = error.problem_mark or error.context_mark
    noticed = min(_index(mark) if mark is not None else 0, len(text))
    at = noticed
    if error.context_mark is not None and re.search("flow|quoted", error.context or ""):
        at = min(_index(error.context_mark), noticed)
    for match in _GLUED.finditer(text, max(0, text.rfind("\n", 0, max(0, at - 200))), min(len(text), at + 200)):
        if abs(match.end() - at) <= 200:
            return match.end(), max(noticed, match.end())
    if not text[text.rfind("\n", 0, at) + 1 :].split("\n", 1)[0].strip():
        at = len(text[:at].rstrip()) - 1  # noticed on an empty line, or at the end
    return max(at, 0), noticed


def _syntax(report: Report, error: yaml.MarkedYAMLError, text: str, at: int) -> None:
    """libyaml's message at its place, with the usual slip named where it is one."""
    if at and text[at - 1] == ":" and _GLUED.match(text, text.rfind("\n", 0, at) + 1):
        report.add("RS120", "YAML needs a space after the colon", at, fix="a space here",
                   edits=(Edit(at, at, " "),), certain=True)  # fmt: skip
        return
    if text[at : at + 1] in ("[", "{", "'", '"') and re.search("flow|quoted", error.context or ""):
        close = {"[": "]", "{": "}"}.get(text[at], text[at])
        report.add("RS120", f"this {text[at]} is never closed", at, fix=f"close it with {close} on the same line")
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


_PLAIN = re.compile(r"[A-Za-z(][\w (),./+*=<>;'-]*[\w).]|[A-Za-z]")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"}


def quote(text: str, flow: bool = False) -> str:
    """A YAML scalar that reads back as this very text, never as a number, truth value, date or null (1.1 and 1.2)."""
    if (
        _PLAIN.fullmatch(text)
        and text.lower() not in _WORDS
        and not (flow and re.search(r"[,\[\]{}]", text))
        and "  " not in text
    ):
        return text
    out = ['"']
    for char in text:
        code = ord(char)
        if char in '"\\':
            out.append("\\" + char)
        elif char == "\n":
            out.append("\\n")
        elif (char.isprintable() and code not in (0xFEFF, 0x85, 0x2028, 0x2029)) or char == " ":
            out.append(char)
        else:
            out.append(f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return "".join([*out, '"'])
