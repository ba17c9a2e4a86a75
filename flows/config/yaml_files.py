"""YAML files that people write, read with limits: regular files of some size, UTF-8, few aliases, no deep nesting.

A few lines of aliases of aliases stand for more values than any memory holds, and whoever composes them tries. So files
are looked over, event by event, before anything is made of them; Hydra reads files by itself, and gets none that was
not looked over (`check_folder`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reel.errors import UserError
from reel.reading import Unreadable, read_small

MOST = 1_000_000
"""Bytes of a file."""
DEEPEST = 32
"""Groups within groups."""
MOST_OF_ALIASES = 10_000
"""Values that the aliases of a file may add to those that are written there."""


def load(path: Path) -> Any:
    """A file's content as plain data; None for an empty one.

    Raises:
        UserError: the file cannot be read, is no YAML, or goes beyond the limits; file and line are named.
    """
    return parsed(read(path), path)


def parsed(text: str, path: Path) -> Any:
    """As `load`, of a file whose text was read."""
    import yaml

    check(text, path)
    try:
        return yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        raise unreadable(error, path) from None


def read(path: Path) -> str:
    """A file's text.

    Raises:
        UserError: no regular file, too large, not UTF-8, or with a character that YAML does not know.
    """
    try:
        data = read_small(path, MOST)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file", fix="check the name") from None
    except Unreadable as error:
        raise UserError(f"{path}: {error}", fix="a text file with keys and values belongs there") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}, line {line}: not UTF-8 (byte 0x{data[error.start]:02x})", fix="save the file as UTF-8"
        ) from None
    if (place := text.find("\0")) >= 0:
        line = text.count("\n", 0, place) + 1
        raise UserError(f"{path}, line {line}: holds a NUL, which no text has", fix="write the line again without it")
    return text


@dataclass
class _Group:
    """A mapping or list whose end was not reached yet.

    Attributes:
        size: values in it, aliases counted for what they stand for.
        height: levels below it.
        keys: of a mapping; None for a list.
    """

    anchor: str | None
    line: int
    size: int = 1
    height: int = 1
    keys: set[str] | None = None
    awaits_key: bool = True
    children: int = 0

    def take(self, size: int, height: int) -> None:
        self.size += size
        self.height = max(self.height, height + 1)
        self.children += 1


@dataclass
class _Looked:
    """What was seen of a file so far."""

    path: Path
    open: list[_Group] = field(default_factory=list)
    known: dict[str, tuple[int, int]] = field(default_factory=dict)
    added: int = 0

    def refuse(self, line: int, what: str, fix: str) -> UserError:
        return UserError(f"{self.path}, line {line}: {what}", fix=fix)


def check(text: str, path: Path) -> None:
    """Refuse what would grow beyond the limits, or holds a key twice; what is no YAML is left to whoever reads it.

    Raises:
        UserError: see above; file and line are named.
    """
    import yaml

    seen = _Looked(path)
    try:
        for event in yaml.parse(text, Loader=_loader()):
            _look(event, seen)
    except yaml.YAMLError:
        return


def _look(event: Any, seen: _Looked) -> None:
    import yaml

    line = event.start_mark.line + 1 if event.start_mark is not None else 0
    if isinstance(event, yaml.AliasEvent):
        _alias(str(event.anchor), line, seen)
    elif isinstance(event, yaml.ScalarEvent):
        _scalar(event, line, seen)
    elif isinstance(event, yaml.CollectionStartEvent):
        if len(seen.open) >= DEEPEST:
            raise seen.refuse(line, f"nested more than {DEEPEST} levels deep", "no setting is nested so deeply")
        keys: set[str] | None = set() if isinstance(event, yaml.MappingStartEvent) else None
        seen.open.append(_Group(event.anchor, line, keys=keys))
    elif isinstance(event, yaml.CollectionEndEvent):
        group = seen.open.pop()
        if group.anchor is not None:
            seen.known[group.anchor] = (group.size, group.height)
        if seen.open:
            seen.open[-1].take(group.size, group.height)


def _scalar(event: Any, line: int, seen: _Looked) -> None:
    if event.anchor is not None:
        seen.known[event.anchor] = (1, 0)
    if not seen.open:
        return
    group = seen.open[-1]
    if group.keys is not None and group.children % 2 == 0:
        if event.value in group.keys and event.value != "<<":
            raise seen.refuse(line, f"{event.value!r} is given twice in one group", "leave one of the two out")
        group.keys.add(event.value)
    group.take(1, 0)


def _alias(name: str, line: int, seen: _Looked) -> None:
    if name not in seen.known:
        if any(group.anchor == name for group in seen.open):
            raise seen.refuse(line, f"*{name} stands within what it stands for", "write the values out")
        return  # an alias of nothing, which the reader tells
    size, height = seen.known[name]
    seen.added += size
    if seen.added > MOST_OF_ALIASES:
        raise seen.refuse(
            line, f"aliases such as *{name} stand for more than {MOST_OF_ALIASES} values", "write the values out"
        )
    if len(seen.open) + height > DEEPEST:
        raise seen.refuse(line, f"nested more than {DEEPEST} levels deep", "no setting is nested so deeply")
    if seen.open:
        seen.open[-1].take(size, height)


def _loader() -> Any:
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def unreadable(error: Any, path: Path) -> UserError:
    """What a file that is no YAML is told as.

    Args:
        error: PyYAML's; it knows the place, and mostly the file.
    """
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        reason = str(getattr(error, "problem", None) or error).splitlines()[0]
        return UserError(f"{path}: cannot be read as YAML ({reason})", fix="put that right")
    name = path if mark.name.startswith("<") else mark.name
    return UserError(
        f"{name}:{mark.line + 1}:{mark.column + 1}: cannot be read as YAML ({error.problem})", fix="put that line right"
    )


def check_folder(folder: Path) -> None:
    """Look over all files of a folder of settings, as `check`, and how they take one another in.

    Raises:
        UserError: the first that is wrong.
    """
    files = dict(_files(folder, folder))
    listed = {}
    for name, path in files.items():
        text = read(path)
        check(text, path)
        data = _loaded(text)
        if data is not None and not isinstance(data, Mapping):
            raise UserError(
                f"{path}: must be a group of keys, each with its value, and is {_kind(data)}", fix="write key: value"
            )
        listed[name] = list(_taken_in(name, data or {}, files))
    clear: set[str] = set()
    for name in sorted(listed):
        _check_loop(name, listed, files, (), clear)


def _files(folder: Path, at: Path) -> Iterator[tuple[str, Path]]:
    """Files by the name that defaults lists have for them: ``model/sprite``; without editors' hidden ones."""
    for path in sorted(at.iterdir()) if at.is_dir() else ():
        if path.name.startswith("."):
            continue
        if path.suffix == ".yaml":
            yield str(path.relative_to(folder).with_suffix("")), path
        elif path.is_dir() and path.name != "__pycache__":
            yield from _files(folder, path)


def _loaded(text: str) -> Any:
    """Plain data; nothing where it is no YAML, which is told when it is needed."""
    import yaml

    try:
        return yaml.load(text, Loader=_loader())
    except (yaml.YAMLError, ValueError):
        return None


def _kind(data: Any) -> str:
    return "a list" if isinstance(data, list) else "a single value"


def _taken_in(name: str, data: Mapping[Any, Any], files: Mapping[str, Path]) -> Iterator[str]:
    """Names of the files that a defaults list takes in, without what it chooses anew for others (``override``)."""
    entries = data.get("defaults") or []
    if not isinstance(entries, list):
        raise UserError(f"{files[name]}: defaults: must be a list", fix="defaults: [_self_], or leave it out")
    parent = name.rpartition("/")[0]
    for entry in entries:
        for group, choices in entry.items() if isinstance(entry, Mapping) else [("", entry)]:
            words = str(group).split()
            if "override" in words:
                continue
            plain = (words[-1] if words else "").partition("@")[0]
            for choice in choices if isinstance(choices, list) else [choices]:
                wanted = "/".join(filter(None, [plain, str(choice).partition("@")[0].removesuffix(".yaml")]))
                whole = wanted.lstrip("/") if wanted.startswith("/") else "/".join(filter(None, [parent, wanted]))
                if whole in files:
                    yield whole


def _check_loop(
    name: str, listed: Mapping[str, list[str]], files: Mapping[str, Path], way: tuple[str, ...], clear: set[str]
) -> None:
    """Follow what a file takes in; ``clear`` are those from which no way leads back, ``way`` is how one came here."""
    if name in way:
        loop = [*way[way.index(name) :], name]
        by = "" if len(loop) == 2 else f", by way of {', '.join(str(files[one]) for one in loop[1:-1])}"
        raise UserError(
            f"{files[name]}: its defaults list includes itself{by}", fix=f"take {loop[1]} out of its defaults list"
        )
    for one in listed[name] if name not in clear else ():
        _check_loop(one, listed, files, (*way, name), clear)
    clear.add(name)
