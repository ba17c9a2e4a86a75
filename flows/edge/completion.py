"""What the last word of a command line can become.

Everything is read from what is kept of conf/ and the settings classes (`flows.config.kept`): an answer imports neither
Hydra nor a flow, unless nothing is kept yet.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.config.root import Root
from reel.errors import UserError

if TYPE_CHECKING:
    from flows.config.engine import Engine

FLAGS = ("--from", "--multirun", "--quiet", "--help", "--cfg", "--info", "--debug")
RUNS = 30
"""Latest renders that are offered."""
_OF_A_RUN = ("open", "why")


def last_word(line: str) -> str:
    """The word at the end of a line, as it is typed; empty behind a space."""
    return re.split(r"(?<!\\)\s", line)[-1].lstrip("'\"")


def candidates(line: str, store: Path | None = None) -> list[str]:
    """Words that the last one can become, in order; those that end with ``=``, ``.`` or ``/`` go on.

    Args:
        line: the command line up to the cursor, the program's name included.
        store: the store whose runs are offered; None: the one that the settings name.
    """
    from flows.cli import COMMANDS, available

    word = last_word(line)
    before = _words(line[: len(line) - len(word)])[1:]
    if not before:
        return _fitting(word, available())
    name = before[0].replace("-", "_")
    if before[-1] == "--from" or (before[0] in _OF_A_RUN and not word.startswith("-")):
        return [*_fitting(word, _runs(store)), *(_files("", word) if before[-1] == "--from" else ())]
    if before[0] in COMMANDS or before[0] not in available():
        return _files("", word)
    if word.startswith("-"):
        return _fitting(word, FLAGS)
    return _of_flow(name, before[1:], word)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # an open quote
        return line.split()


def _fitting(word: str, all_of: Iterable[str]) -> list[str]:
    return [one for one in all_of if one.startswith(word)]


def _runs(store: Path | None) -> list[str]:
    from flows.commands.common import store_path

    try:
        folder = store_path(store) / "records"
    except UserError:
        return []
    return [*sorted((path.stem for path in folder.glob("*.json")), reverse=True)[:RUNS], "latest"]


def _of_flow(name: str, before: Sequence[str], word: str) -> list[str]:
    from flows.config.engine import hydra_ready
    from flows.flow import get

    root: Root[Any] = Root(name, lambda: get(name).settings)
    with hydra_ready(root) as engine:
        key, equals, value = word.partition("=")
        if not equals:
            return _keys(engine, before, word)
        return [f"{key}={one}" for one in _choices(engine, key, value)]


def _keys(engine: Engine, before: Sequence[str], word: str) -> list[str]:
    """Groups and keys, as far as the next dot, so that not all 300 are shown at once."""
    found = [f"{group}=" for group in engine.defaults if not group.startswith("hydra")]
    found += [f"{key}=" for key in _all_keys(engine, before)]
    parts = (re.match(r"[^.=]*[.=]", one[len(word) :]) for one in found if one.startswith(word))
    return list(dict.fromkeys(word + part[0] for part in parts if part))


def _all_keys(engine: Engine, before: Sequence[str]) -> Iterator[str]:
    """Keys of the flow, those of names that are chosen on the line included (``control=[pose,lineart]``)."""
    rows = [row[0] for row in _rows(engine)]
    yield from rows
    named = re.findall(r"[\w-]+", " ".join(text.partition("=")[2] for text in before if text.partition("=")[0] in
                                           engine.defaults))  # fmt: skip
    known = {tuple(key.split(".")[:-1]) for key in rows}
    for leaf in engine.shape.leaves:
        if "*" in leaf and leaf.count("*") == 1 and leaf[-1] not in ("*", "**"):
            place = leaf.index("*")
            beside = {path[place] for path in known if path[:place] == tuple(leaf[:place]) and len(path) > place}
            for name in {*beside, *(named if beside else ())}:
                yield ".".join((*leaf[:place], name, *leaf[place + 1 :]))


def _rows(engine: Engine) -> list[tuple[str, str]]:
    """Key and allowed values of each line of the flow's help."""
    from flows.edge.entry import help_of
    from flows.flow import get

    return [(row.key, row.allowed) for row in help_of(engine, lambda: get(engine.root.name)).rows]


def _choices(engine: Engine, key: str, value: str) -> list[str]:
    """Values of a key: files of a group, words that its type allows, files of the disk for paths."""
    from flows.config.diagnose import all_options

    if key in engine.defaults:
        head, _, last = value.rpartition("[" if "," not in value else ",")
        head = value[: len(value) - len(last)]
        opening = "[" if isinstance(engine.defaults[key], list) and not head else ""
        taken = re.findall(r"[\w/-]+", head)
        return [f"{head}{opening}{one}" for one in _fitting(last, all_options(engine, key)) if one not in taken]
    if any(text.is_path and text.matches(key) for text in engine.shape.texts):
        return _files("", value)
    allowed = next((allowed for row, allowed in _rows(engine) if _is(row, key)), "")
    words = [one.strip() for one in allowed.split("|")] if "|" in allowed else []
    return _fitting(value, [one for one in words if re.fullmatch(r"[\w-]+", one) and one not in _TYPES])


_TYPES = {"integer", "number", "word", "text", "path", "map", "list"}


def _is(row: str, key: str) -> bool:
    """Whether a line of the help is about a key; names under ``controls`` have the same keys."""
    mine, other = row.split("."), key.split(".")
    return mine == other or (len(mine) == len(other) > 2 and (mine[0], mine[2:]) == (other[0], other[2:]))


def _files(head: str, value: str) -> list[str]:
    """Files and folders on the disk, hidden ones left out."""
    folder, slash, start = value.rpartition("/")
    place = Path(folder or ("/" if slash else ".")).expanduser()
    try:
        names = sorted(path.name + "/" * path.is_dir() for path in place.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
    return [f"{head}{folder}{slash}{name}" for name in _fitting(start, names)]
