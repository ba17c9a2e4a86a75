"""What the help of a flow has to say, read from where it is kept anyway: the flow, conf/, and the settings classes."""

from __future__ import annotations

import contextlib
import inspect
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import yaml

from flows.config.compose import plain_data
from flows.config.diagnose import all_options
from flows.config.engine import Engine
from flows.config.help import Help, Row
from flows.config.root import Root, project_root, roots
from reel import op
from reel.config import TEXT, Config, below, place
from reel.descriptions import descriptions
from reel.errors import UserError


def gathered(engine: Engine, about: str | None, examples: Sequence[str], beside: Mapping[str, type[Config]]) -> Help:
    """The help of the engine's root, inside `flows.config.engine.hydra_ready`.

    Args:
        about: what the flow says of itself; None: its settings' docstring.
        beside: classes of groups that are no part of its settings, by group.
    """
    root = engine.root
    composed = plain_data(engine, [])
    lists = {group: one for group, one in engine.defaults.items() if isinstance(one, list)}
    choices = {**composed.choices, **lists}
    table = list(rows(root.cls, composed.data, comments(root, choices)))
    for group, cls in beside.items():
        if group in engine.defaults:
            table += rows(cls, {}, {}, f"{group}.")
    about = inspect.cleandoc(about or root.cls.__doc__ or "")
    return Help(root.name, about, list(examples), _groups(engine, choices), table)


def rows(
    cls: type[Config], data: Mapping[str, Any], notes: Mapping[str, str], prefix: str = "", path: tuple[str, ...] = ()
) -> Iterator[Row]:
    """Every key that can be set, in the order of the settings class; entries of an open mapping in that of the config.

    Args:
        data: what is set under the path.
        notes: help for keys that the class says nothing about.
        prefix: the class's own key.
        path: the path in the class whose keys are wanted.
    """
    own = below(cls, path)
    for name in dict.fromkeys([*own, *data]):
        at = (*path, name)
        key, found = f"{prefix}{'.'.join(at)}", place(cls, at)
        field = found.field if found and name in own else None
        value = data[name] if name in data else (field.get_default(call_default_factory=True) if field else None)
        value = value.model_dump(mode="json") if isinstance(value, Config) else value
        inner = _op_settings(f"{prefix}{'.'.join(path)}", name)
        if not isinstance(value, Mapping) or not value:
            text = descriptions(found.owner).get(name, "") if found and field else ""
            allowed = _allowed(inner or (found.annotation if found else Any), field.metadata if field else ())
            yield Row(key, _shown(value), " ".join((text or notes.get(key, "")).split()), allowed)
        elif inner is not None:
            yield from rows(inner, value, notes, f"{key}.")
        else:
            yield from rows(cls, value, notes, prefix, at)


def _op_settings(kind: str, name: str) -> type[Config] | None:
    """For ``preprocess.<name>`` the settings of the op of that name."""
    with contextlib.suppress(UserError):
        return op.get(kind, name).config
    return None


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


def _groups(engine: Engine, choices: Mapping[str, Any]) -> list[tuple[str, str]]:
    lines = []
    for group in engine.defaults:
        chosen = choices.get(group)
        marked = set(chosen) if isinstance(chosen, list) else {chosen}
        options = _of_this_flow(engine.root.cls, group, all_options(engine, group))
        if options:
            lines.append((group, "  ".join(f"{name}*" if name in marked else name for name in options)))
    return lines


def _of_this_flow(cls: type[Config], group: str, options: Sequence[str]) -> list[str]:
    """Of model families those of the class that the flow's settings want; all of other groups."""
    field = cls.model_fields.get(group)
    known: tuple[str, ...] = getattr(field and field.annotation, "architectures", tuple)()
    return [one for one in options if not known or _architecture(group, one) in (*known, None)]


def _architecture(group: str, name: str) -> str | None:
    """What a family's file says, or the one that it changes a few lines of; None: neither does."""
    path = project_root() / "conf" / group / f"{name}.yaml"
    data = yaml.safe_load(path.read_text()) if path.is_file() else {}
    if data.get("architecture"):
        return str(data["architecture"])
    before = [one for one in data.get("defaults", []) if isinstance(one, str) and one not in ("_self_", name)]
    return _architecture(group, before[-1]) if before else None


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
        return f"its keys: {', '.join(annotation.model_fields) or 'none'}"
    return names.get(origin or annotation, "")


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value).replace(f"{project_root()}/", "")
    return f"{text[:45]}..." if len(text) > 48 else text
