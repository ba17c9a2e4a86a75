"""Storyboard files: YAML to a `Storyboard`, every mistake at its line and column; and changes from a command line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.config import parse
from reel.errors import UserError
from reel.reading import Unreadable, read_small
from reel.story.model import Storyboard

if TYPE_CHECKING:
    from reel.schedule.findings import Source
    from reel.schedule.yaml_text import YamlNode

MOST_BYTES = 1 << 20
"""Of a storyboard: 240 shots of a page each."""
MOST_TOLD = 20
"""Mistakes that one message tells."""
_KEY = re.compile(r"(?:unknown key ')?(?P<key>[A-Za-z_]\w*(?:\.[\w-]+)*)(?P<rest>'.*|: .*)", re.DOTALL)
_SHOT = re.compile(r"shots\.(\d+)(?:\.(.*))?")


@dataclass(frozen=True)
class StoryFile:
    """A storyboard and the text that it stands in.

    Attributes:
        text: YAML.
        name: of the file, for messages.
        changes: dotted keys that a command line has changed, shots counted from 1: ``shots.3.seed``.
    """

    board: Storyboard
    text: str
    name: str
    changes: frozenset[str] = field(default=frozenset())

    def error(self, number: int, key: str, message: str, fix: str | None = None) -> UserError:
        """An error about a setting of a shot, with its place in the file or its key on the command line.

        Args:
            number: of the shot, from 1.
            key: the setting; empty: the shot as a whole.
        """
        changed = ".".join(filter(None, ["shots", str(number), key]))
        if any(f"{changed}.".startswith(f"{one}.") for one in self.changes):
            return UserError(f"{changed}: {message}", fix=fix)
        path = ".".join(filter(None, ["shots", str(number - 1), key]))
        return UserError(_placed(f"{path}: {message}", *_tree(self.text, self.name)), fix=fix)

    def with_changes(self, changes: Mapping[int, Mapping[str, Any]]) -> StoryFile:
        """The same with other settings of some shots, by number from 1.

        Raises:
            UserError: there is no such shot, or a value that does not fit.
        """
        data = self.board.model_dump()
        for number, some in sorted(changes.items()):
            if not 1 <= number <= len(self.board.shots):
                raise UserError(
                    f"shots.{number}: there is no such shot, {self.name} has {len(self.board.shots)}",
                    fix="shots are counted from 1",
                )
            data["shots"][number - 1] |= some
        try:
            board = parse(Storyboard, data)
        except UserError as error:
            raise UserError("\n".join(_counted(line) for line in error.message.split("\n")), fix=error.fix) from None
        keys = {f"shots.{number}.{name}" for number, some in changes.items() for name in some}
        return replace(self, board=board, changes=self.changes | keys)


def read(path: Path) -> StoryFile:
    """A storyboard file; paths in it begin where it lies.

    Raises:
        UserError: it cannot be read, is not YAML, or has wrong, unknown or missing keys; each with line and column.
    """
    try:
        text = read_small(path, MOST_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"shots: {path} does not exist", fix="a storyboard file: shots=story.yaml") from None
    except Unreadable as error:
        raise UserError(f"shots: {path} {error}", fix="a storyboard file: shots=story.yaml") from None
    except UnicodeDecodeError as error:
        raise UserError(f"shots: {path} is not UTF-8 at byte {error.start}", fix="save it as UTF-8") from None
    return of_text(text, str(path), path.absolute().parent)


def of_text(text: str, name: str, folder: Path | None = None) -> StoryFile:
    """As `read`, of a text.

    Args:
        folder: where paths that are not absolute begin; None: where one stands.
    """
    source, root = _tree(text, name)
    if root is None or root.kind != "map":
        raise UserError(
            f"{name}:1:1: is not a storyboard: a mapping with title, characters and shots is needed",
            fix="rotoscope storyboard story='...' writes one to begin with",
        )
    data = _plain(root, source)
    try:
        board = parse(Storyboard, data)
    except UserError as error:
        lines = error.message.split("\n")
        told = [_placed(line, source, root) for line in lines[:MOST_TOLD]]
        more = [f"and {len(lines) - MOST_TOLD} more"] if len(lines) > MOST_TOLD else []
        raise UserError("\n".join([*told, *more]), fix=error.fix or "keys: docs/storyboard.md") from None
    return StoryFile(_from(board, folder) if folder is not None else board, text, name)


def _tree(text: str, name: str) -> tuple[Source, YamlNode | None]:
    """The text as nodes with places.

    Raises:
        UserError: it is not YAML, or has more than plain YAML.
    """
    from reel.schedule.findings import Report, Source
    from reel.schedule.yaml_text import compose

    for bad in ("\0", "\ufffe"):
        if bad in text:
            raise UserError(f"{name}: holds a character that no text has (U+{ord(bad):04X})", fix="save it as UTF-8")
    report = Report(Source(text, name))
    root = compose(report)
    if report.findings:
        told = [f"{name}:{one.line}:{one.column}: {one.message}\n{one.excerpt}" for one in report.findings[:MOST_TOLD]]
        repair = report.findings[0].repair
        raise UserError("\n".join(told), fix=repair.label if repair else "plain YAML: docs/storyboard.md")
    return report.source, root


def _plain(node: YamlNode, source: Source) -> Any:
    """A node as plain data: words without quotes are texts but for numbers, true, false and null.

    Raises:
        UserError: a key stands twice.
    """
    if node.kind == "list":
        return [_plain(one, source) for one in node.items]
    if node.kind == "scalar":
        return node.text if node.quoted else _scalar(node.text)
    found: dict[str, Any] = {}
    for key, value in node.pairs:
        if key.text in found:
            line, column = source.place(key.start)
            raise UserError(
                f"{source.name}:{line}:{column}: {key.text} stands here twice\n{source.excerpt(key.start, key.stop)}",
                fix="leave one of them out",
            )
        found[key.text] = _plain(value, source)
    return found


def _scalar(text: str) -> Any:
    """YAML 1.2's core schema: `no` and `12:30` are words, as people mean them in a story."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "false", "False"):
        return text.lower() == "true"
    if re.fullmatch(r"[-+]?\d{1,40}", text):
        return int(text)
    if re.fullmatch(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d{1,3})?", text):
        return float(text)
    return text


def _placed(line: str, source: Source, root: YamlNode | None) -> str:
    """A line of an error about a key, with the key's place in the text, or that of the nearest that is there."""
    match = _KEY.match(line)
    if match is None or root is None:
        return f"{source.name}: {line}"
    node, whole = _nearest(root, match["key"], name="unknown key" in line)
    row, column = source.place(node.start)
    stop = node.stop if whole else node.start + 1
    return f"{source.name}:{row}:{column}: {_counted(line)}\n{source.excerpt(node.start, max(stop, node.start + 1))}"


def _nearest(root: YamlNode, key: str, *, name: bool) -> tuple[YamlNode, bool]:
    """The node of a dotted key's value (or of its name), or of the last part of the key that is there; and which."""
    node, shown = root, root
    for part in key.split("."):
        if node.kind == "list" and part.isdigit() and int(part) < len(node.items):
            node = shown = node.items[int(part)]
        elif pair := next((pair for pair in node.pairs if pair[0].text == part), None):
            shown, node = pair[0] if name else pair[1], pair[1]
        else:
            return shown, False
    return shown, shown.kind == "scalar"


def _counted(line: str) -> str:
    """A line about a shot, which people count from 1: ``shots.2.seed: ...`` is of shot 3."""
    return _SHOT.sub(lambda found: f"shots.{int(found[1]) + 1}" + (f".{found[2]}" if found[2] else ""), line, count=1)


def _from(board: Storyboard, folder: Path) -> Storyboard:
    """With paths that begin in a folder."""

    def placed(path: Path | None) -> Path | None:
        return folder / path if path is not None else None

    characters = [
        one.model_copy(update={"pictures": [folder / path for path in one.pictures]}) for one in board.characters
    ]
    shots = [
        one.model_copy(update={name: placed(getattr(one, name)) for name in ("picture", "last", "sound")})
        for one in board.shots
    ]
    return board.model_copy(update={"characters": characters, "shots": shots})


HEAD = """\
# A storyboard: `rotoscope storyboard shots=<this file>` makes the film, and makes again only what was changed.
# A shot is one action and one camera move. Where a prompt names a character, the character's words stand in it.
"""


def text_of(board: Storyboard) -> str:
    """A storyboard as YAML that reads back as the very same; what is as by default is left out."""
    return HEAD + "\n".join(_lines(board.model_dump(mode="json", exclude_defaults=True), "")) + "\n"


def _lines(data: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in data.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            yield f"{indent}{name}:"
            for item in value:
                first, *rest = _lines(item, f"{indent}    ")
                yield f"{indent}  - {first.strip()}"
                yield from rest
        else:
            yield f"{indent}{name}: {_flow(value)}"


def _flow(value: Any) -> str:
    from reel.schedule.yaml_text import quote

    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quote(str(name), flow=True)}: {_flow(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return quote(value, flow=True) if isinstance(value, str) else json.dumps(value)
