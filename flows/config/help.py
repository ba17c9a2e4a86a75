"""``--help`` of a flow: what it does, examples, groups with their choices, and every key with default, unit and range.

All of it is read from where it is kept anyway: what the flow says of itself, conf/, and the settings classes.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import re
import shutil
import textwrap
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from flows.config.compose import Root, defaults, project_root, roots, unchecked
from flows.flow import Flow
from flows.sweep.axes import Sweep
from reel import op
from reel.config import TEXT, Config, arms, suggest
from reel.errors import UserError

FOLD = 24
"""Keys of one section beyond which the help folds it."""

_FLAGS = (
    ("-m, --multirun", "run one point for each combination of a,b,c  range(0.2,1.0,0.2)  choice(a,b)  glob(*)"),
    ("--help KEY", "the keys under KEY alone: --help stylize, --help preprocess.canny"),
    ("--cfg job", "print the composed config and stop (-p KEY: a part of it; --resolve)"),
    ("--info defaults", "print which files the config is made of and stop"),
    ("--debug", "tracebacks for every error (or ROTOSCOPE_DEBUG=1)"),
)
_LITERAL = (
    "Text is literal: prompt='a, (b:1.2) ${c}' reaches the render byte for byte. prompt=@file.txt reads a file; "
    'prompt=choice("a, b", c) with -m is an axis; \\@ and \\choice( stand for themselves.'
)


@dataclass(frozen=True)
class Row:
    """One key of the help: its default as it would be typed, what it means, and what is allowed."""

    key: str
    default: str
    text: str
    allowed: str


def help_text(root: Root[Any], engine: Any, flow: Flow[Any], topics: Sequence[str] = ()) -> str:
    """The help, fitted to the terminal, inside `flows.config.compose.hydra_ready`.

    Args:
        topics: keys to list alone, with all that stands under them (``--help model``); none: the whole help, in which
            long sections are folded.

    Raises:
        UserError: no key of that name.
    """
    width = min(max(shutil.get_terminal_size((100, 24)).columns, 60), 120)
    command = f"rotoscope {root.name.replace('_', '-')}"
    data, choices = unchecked(root, engine)
    choices |= {group: one for group, one in defaults(root).items() if isinstance(one, list)}
    notes = comments(root, choices)
    table = list(rows(root.cls, data, notes))
    if "sweep" in defaults(root):
        table += rows(Sweep, Sweep().model_dump(), {}, "sweep.")
    if topics:
        return _block(f"{command}: key=default", _lines(_under(table, topics)), width)
    parts = [
        f"{command} [key=value ...] [group=choice ...] [-m]",
        inspect.cleandoc(flow.about or root.cls.__doc__ or ""),
        _block("Examples", [(example, "") for example in flow.examples], width),
        _block("Groups (group=choice; * is the default)", _groups(root, engine, choices), width),
        textwrap.fill(_LITERAL, width),
        _block("Keys (key=default)", _folded(command, table), width),
        _block("Flags", _FLAGS, width),
        "Exit codes: 0 done, 1 failure, 2 something to put right, 130 interrupted. More: docs/cli.md",
    ]
    return "\n\n".join(part for part in parts if part)


def _under(table: Sequence[Row], topics: Sequence[str]) -> list[Row]:
    for topic in topics:
        if not any(f"{row.key}.".startswith(f"{topic}.") for row in table):
            parts = [row.key.split(".") for row in table]
            known = {".".join(path[:depth]) for path in parts for depth in range(1, len(path) + 1)}
            raise UserError(f"--help {topic}: no such key{suggest(topic, known)}", fix="--help alone lists them")
    return [row for row in table if any(f"{row.key}.".startswith(f"{topic}.") for topic in topics)]


def _folded(command: str, table: Sequence[Row]) -> list[tuple[str, str]]:
    """Lines of all keys; a section that would fill a screen is one line that tells how to see it."""
    lines = []
    for section, group in itertools.groupby(table, key=lambda row: row.key.partition(".")[0]):
        members = list(group)
        if len(members) <= FOLD:
            lines += _lines(members)
            continue
        inner = dict.fromkeys(row.key.split(".")[1] for row in members)
        text = f"{len(members)} keys ({', '.join(inner)}): {command} --help {section}"
        lines.append((f"{section}.*", text))
    return lines


def rows(annotation: Any, data: Mapping[str, Any], notes: Mapping[str, str], prefix: str = "") -> Iterator[Row]:
    """Every key that can be set, in the order of the settings class; entries of an open mapping in that of the config.

    Args:
        annotation: the type of ``data``: a settings class, or a mapping from names to one.
        notes: help for keys that the class says nothing about.
    """
    fields = _fields(annotation)
    for name in dict.fromkeys([*fields, *data]):
        key, field = f"{prefix}{name}", fields.get(name)
        inner = field.annotation if field else _item_type(annotation, prefix, name)
        value = data[name] if name in data else (field.get_default(call_default_factory=True) if field else None)
        value = value.model_dump(mode="json") if isinstance(value, Config) else value
        if isinstance(value, Mapping) and value:
            yield from rows(inner, value, notes, f"{key}.")
        else:
            text = " ".join(((field.description if field else None) or notes.get(key, "")).split())
            yield Row(key, _shown(value), text, _allowed(inner, field.metadata if field else ()))


def _fields(annotation: Any) -> dict[str, Any]:
    """Fields of a settings class, also where it is one arm of a union."""
    for arm in arms(annotation):
        if isinstance(arm, type) and issubclass(arm, Config):
            return dict(arm.model_fields)
    return {}


def _item_type(annotation: Any, prefix: str, name: str) -> Any:
    """Type of a mapping's entry; for ``preprocess.<name>`` the settings of the op of that name."""
    with contextlib.suppress(UserError):
        return op.get(prefix.rstrip("."), name).config
    for arm in arms(annotation):
        origin = get_origin(arm)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return get_args(arm)[1]
    return Any


def comments(root: Root[Any], choices: Mapping[str, Any]) -> dict[str, str]:
    """Trailing ``# ...`` comments of the chosen YAML files by full key: help for keys that no class describes."""
    found: dict[str, str] = {}
    files = [(root.folder / f"{name}.yaml", "") for name in roots(root)]
    for group, choice in choices.items():
        names = choice if isinstance(choice, list) else [choice]
        files += [(root.folder / group / f"{name}.yaml", group.replace("/", ".")) for name in names]
    for path, package in files:
        if path.is_file():
            found |= _comments_of(path, package)
    return found


def _comments_of(path: Path, package: str) -> dict[str, str]:
    """Comments behind a key, or else the lines above it, by full key."""
    found: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    above = ""
    for line in path.read_text("utf-8").splitlines():
        directive = re.match(r"#\s*@package\s+(\S+)", line)
        if directive:
            package = "" if directive[1] == "_global_" else directive[1].replace("_group_", package)
            continue
        entry = re.match(r"(\s*)([\w-]+):(?:\s|$)", line)
        if not entry:
            alone = re.match(r"\s*#\s+(.*)$", line)
            above = f"{above} {alone[1]}".strip() if alone else ""
            continue
        indent = len(entry[1])
        stack = [(level, name) for level, name in stack if level < indent] + [(indent, entry[2])]
        behind = re.search(r"\s#\s+(.*)$", line)
        text = behind[1].strip() if behind else above
        if text:
            found[".".join(filter(None, [package, *(name for _, name in stack)]))] = text
        above = ""
    return found


def _groups(root: Root[Any], engine: Any, choices: Mapping[str, Any]) -> list[tuple[str, str]]:
    from flows.config.diagnose import all_options

    lines = []
    for group in defaults(root):
        chosen = choices.get(group)
        marked = set(chosen) if isinstance(chosen, list) else {chosen}
        options = all_options(engine, group)
        if options:
            lines.append((group, "  ".join(f"{name}*" if name in marked else name for name in options)))
    return lines


def _allowed(annotation: Any, metadata: Sequence[Any]) -> str:
    """Type and range in a few words: ``integer, 1 to 100``."""
    bounds = {
        name: f"{getattr(item, name):g}"
        for item in metadata
        for name in ("ge", "gt", "le", "lt")
        if hasattr(item, name)
    }
    kind = "text" if TEXT in metadata else _type_name(annotation)
    low = bounds.get("ge", f"above {bounds['gt']}" if "gt" in bounds else None)
    high = bounds.get("le", f"below {bounds['lt']}" if "lt" in bounds else None)
    if low is not None and high is not None:
        return f"{kind}, {low} to {high}"
    if low is not None:
        return f"{kind}, {low}" if "gt" in bounds else f"{kind}, {low} or more"
    if high is not None:
        return f"{kind}, {high}" if "lt" in bounds else f"{kind}, at most {high}"
    return kind


def _type_name(annotation: Any) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(str(arg) for arg in args)
    if origin in (Union, types.UnionType):
        named = [_type_name(arg) for arg in args if arg is not type(None)]
        return " | ".join([*dict.fromkeys(named), *(["null"] if type(None) in args else [])])
    if hasattr(annotation, "__metadata__"):
        return "text" if TEXT in annotation.__metadata__ else _type_name(args[0])
    names = {
        str: "word",
        int: "integer",
        float: "number",
        bool: "true | false",
        Path: "path",
        list: "list",
        dict: "map",
    }
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return f"its keys: {', '.join(annotation.model_fields)}"
    return names.get(origin or annotation, "")


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value).replace(f"{project_root()}/", "")
    return f"{text[:45]}..." if len(text) > 48 else text


def _lines(table: Sequence[Row]) -> list[tuple[str, str]]:
    return [
        (f"{row.key}={row.default}", " ".join(filter(None, [row.text, f"({row.allowed})" if row.allowed else ""])))
        for row in table
    ]


def _block(title: str, lines: Sequence[tuple[str, str]], width: int) -> str:
    """A titled list in two columns; a left entry that is too long gets a line of its own."""
    if not lines:
        return ""
    column = min(max((len(left) for left, right in lines if right), default=0) + 2, 36)
    out = [title]
    for left, right in lines:
        if not right:
            out.append(f"  {left}")
            continue
        wrapped = textwrap.wrap(right, max(width - column - 2, 24)) or [""]
        if len(left) + 2 > column:
            out += [f"  {left}", *(f"  {'':{column}}{line}" for line in wrapped)]
        else:
            out += [f"  {left:{column}}{wrapped[0]}", *(f"  {'':{column}}{line}" for line in wrapped[1:])]
    return "\n".join(out)
