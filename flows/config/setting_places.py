"""Where a setting was written: a file of conf/ with line and column, or an override with its column.

OmegaConf keeps no positions, so the files are read again, with positions, once something is wrong.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.config.root import Root, defaults, entries, group_of
from reel.errors import UserError
from reel.nested import at
from reel.schedule.findings import Finding, Report, Source
from reel.values import from_home

if TYPE_CHECKING:
    from flows.render.schedules import Slot
    from reel.schedule.lint import LintResult
    from reel.schedule.read import Parsed
    from reel.schedule.yaml_text import YamlNode

_KEY = re.compile(r"(unknown key ')?([A-Za-z_][\w-]*(?:\.[\w-]+)*)(?:'|=[^:]*)?(?::|; nearest| is )")
"""The key that a line of an error's message is about: messages begin with it."""


@dataclass(frozen=True)
class Origin:
    """Where a value stands.

    Attributes:
        source: the file's or the override's whole text.
        name_at, name_stop: offsets of the key's name.
        start, stop: offsets of the value as it is written, quotes included.
        node: the value in a YAML file.
        file: the value is ``@file``, and this is the file.
    """

    source: Source
    name_at: int
    name_stop: int
    start: int
    stop: int
    node: YamlNode | None = None
    file: Path | None = None

    @property
    def name(self) -> str:
        return str(self.file) if self.file is not None else self.source.name

    def shown(self, *, key: bool = False) -> str:
        """``file:line:column`` and the line with a caret under the value, or under the key's name."""
        start, stop = (self.name_at, self.name_stop) if key else (self.start, self.stop)
        line, column = self.source.place(start)
        return f"  {self.source.name}:{line}:{column}\n{self.source.excerpt(start, stop)}"

    def parsed(self, slot: Slot) -> Parsed:
        """A schedule, read where it stands."""
        from reel.schedule.dialects.catalogue import DIALECTS
        from reel.schedule.dialects.own_yaml import read_node
        from reel.schedule.read import Parsed, load, parse
        from reel.schedule.setting import parse_setting

        if self.file is not None:
            text, name = load(self.file)
            return parse(text, None, slot.what, name=name)
        if self.node is not None and self.node.kind == "map":
            report = Report(self.source)
            schedule = read_node(report, self.node, slot.what)
            return Parsed(schedule, report, DIALECTS["yaml"], schedule.what if schedule else slot.what)
        return parse_setting(slot.text, slot.what, slot.key)

    def name_for(self, slot: Slot) -> str:
        """What stands before line and column of a schedule's findings."""
        if self._in_place or self._shift(slot.text) is not None:
            return self.name
        line, column = self.source.place(self.start)
        return f"<text at {self.name}:{line}:{column}>"

    def moved(self, slot: Slot, found: LintResult) -> LintResult:
        """Findings of a text at their places in the file or override, where it stands there as it is."""
        shift = None if self._in_place else self._shift(slot.text)
        return found if shift is None else replace(found, findings=[self._moved(one, shift) for one in found.findings])

    @property
    def _in_place(self) -> bool:
        """A schedule is read from the file itself."""
        return self.file is not None or (self.node is not None and self.node.kind == "map")

    def _shift(self, text: str) -> Callable[[int], int] | None:
        """From offsets in a text to those in the source; None where escapes or folds make it look different there."""
        by = self.source.text.find(text, self.start, self.stop + 1) if text else -1
        if by >= 0:
            return lambda at: at + by
        written = self.source.text[self.start : self.stop]
        head, _, body = written.partition("\n")
        indent = len(body) - len(body.lstrip(" "))
        if head.startswith("|") and textwrap.dedent(body).strip() == text.strip():
            return lambda at: self.start + len(head) + 1 + at + indent * (text.count("\n", 0, at) + 1)
        return None

    def _moved(self, one: Finding, shift: Callable[[int], int]) -> Finding:
        start, stop = shift(one.start), shift(one.stop)
        line, column = self.source.place(start)
        excerpt = self.source.excerpt(start, stop)
        return replace(one, start=start, stop=stop, line=line, column=column, excerpt=excerpt, repair=one.repair)


@dataclass(frozen=True)
class Origins:
    """Finds where settings of one composition were written.

    Attributes:
        overrides: as they were typed.
        choices: chosen file by config group.
        data: the composed settings.
    """

    root: Root[Any]
    overrides: Sequence[str]
    choices: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    def find(self, key: str) -> Origin | None:
        """The place of the value that a dotted key got; None for a default of a class."""
        origin = self._override(key) or self._file(key)
        if origin is None:
            return None
        value = at(self.data, key)
        if isinstance(value, str) and value.startswith("@"):
            return replace(origin, file=from_home(value[1:]))
        return origin

    def about(self, key: str, message: str) -> list[Origin]:
        """The places that a message about a key is about.

        Of a group it is those of the settings that the message names: what was typed, else what files say.
        """
        value = at(self.data, key)
        if not isinstance(value, Mapping):
            origin = self.find(key)
            return [] if origin is None else [origin]
        named = [f"{key}.{name}" for name in value if re.search(rf"(?<![\w.]){re.escape(str(name))}\b", message)]
        typed = [origin for one in named if (origin := self._override(one)) is not None]
        return typed or [origin for one in named if (origin := self.find(one)) is not None]

    def chosen(self, group: str) -> Path:
        """The file that was chosen of a group."""
        return self.root.folder / group / f"{self.choices[group]}.yaml"

    def _override(self, key: str) -> Origin | None:
        for text in reversed(self.overrides):
            name, equals, _ = text.partition("=")
            plain = name.lstrip("+~")
            if equals and plain and f"{key}.".startswith(f"{plain}.") and plain not in self.choices:
                source = Source(text, "<override>")
                start = len(name) + 1
                return Origin(source, len(name) - len(plain), len(name), start, max(len(text), start + 1))
        return None

    def _file(self, key: str) -> Origin | None:
        from reel.schedule.yaml_text import node_at

        found = None
        for path, package in self._files():
            inner = key if not package else key.removeprefix(f"{package}.")
            if (package and inner == key) or not path.is_file():
                continue
            report = Report(Source(path.read_text("utf-8"), _named(path, self.root.folder)))
            nodes = node_at(report, inner)
            if nodes is not None:
                name, value = nodes
                found = Origin(
                    report.source, name.start, name.stop, value.start, max(value.stop, value.start + 1), value
                )
        return found

    def _files(self) -> Iterator[tuple[Path, str]]:
        """(file, package) of everything composed, the later ones winning."""
        own = self.root.folder / f"{self.root.name}.yaml"
        listed = defaults(self.root)
        order = _order(own)
        for group in [*order, *(group for group in self.choices if group not in order)]:
            taken = own if group == "_self_" else self.root.folder / f"{group}.yaml"
            if taken.is_file():  # a root config that this one takes in whole, or itself
                yield taken, ""
            if taken.is_file() or group.partition("/")[0] == "hydra":
                continue
            choice = self.choices.get(group, listed.get(group))
            folder = self.root.folder / group
            # Hydra does not tell what a list has chosen: a file of that folder counts if it is for the key
            paths = (
                sorted(folder.glob("*.yaml")) if isinstance(listed.get(group), list) else [folder / f"{choice}.yaml"]
            )
            yield from ((path, package_of(path, group)) for path in paths)


def _order(path: Path) -> list[str]:
    """Groups of a root config and ``_self_``, the root itself, in the order in which they are put over each other."""
    order = [group_of(entry) for entry in entries(path)]
    return order if "_self_" in order else [*order, "_self_"]


def package_of(path: Path, group: str) -> str:
    """The key under which the settings of a group's file stand; empty for the whole, or where there is no file."""
    if not path.is_file():
        return ""
    match = re.search(r"^#\s*@package\s+(\S+)", path.read_text("utf-8"), re.MULTILINE)
    named = group.replace("/", ".")
    if match is None:
        return named
    return "" if match[1] == "_global_" else match[1].replace("_group_", named).replace("_name_", path.stem)


def _named(path: Path, folder: Path) -> str:
    """A file as a person would name it: from where they stand, or with the folder's name."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path.relative_to(folder.parent)) if path.is_relative_to(folder.parent) else str(path)


def placed(error: UserError, origins: Origins) -> UserError:
    """The same error with the place of each setting that it names, where that is known.

    An error with a method ``placed`` knows itself where its parts stand.
    """
    if own := getattr(error, "placed", None):
        told: UserError = own(origins)
        return told
    lines: list[str] = []
    waiting: list[str] = []
    for line in error.message.split("\n"):
        if not line.startswith(" "):  # an indented line belongs to the one before it
            lines, waiting = lines + waiting, []
        lines.append(line)
        match = _KEY.match(line)
        if match is not None:
            waiting = [one.shown(key=match[1] is not None) for one in origins.about(match[2], line[match.end() :])]
    message = "\n".join(lines + waiting)
    return UserError(message, fix=error.fix) if message != error.message else error
