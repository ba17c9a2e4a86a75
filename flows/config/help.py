"""``--help`` of a flow, as it is shown: what it does, examples, groups with their choices, and every key.

What there is to show is gathered in `flows.config.help_facts` and kept between processes.
"""

from __future__ import annotations

import itertools
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from reel.errors import UserError, suggest

FOLD = 24
"""Keys of one section beyond which the help folds it."""

_FLAGS = (
    ("-m, --multirun", "run one point for each combination of a,b,c  range(0.2,1.0,0.2)  choice(a,b)  glob(*)"),
    ("--from RUN", "begin with the settings of a past render: its id (rotoscope runs), latest, its film or folder"),
    ("--help KEY", "the keys under KEY alone: --help stylize, --help preprocess.canny"),
    ("--cfg job", "print the composed config and stop (-p KEY: a part of it; --resolve)"),
    ("--info defaults", "print which files the config is made of and stop"),
    ("--quiet", "print the paths of what was made, warnings and errors, and nothing else"),
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


@dataclass(frozen=True)
class Help:
    """What the help of a flow has to say.

    Attributes:
        groups: groups of files with their choices, the chosen ones marked.
    """

    name: str
    about: str
    examples: Sequence[str]
    groups: Sequence[tuple[str, str]]
    rows: Sequence[Row]

    def plain(self) -> dict[str, Any]:
        """As data for JSON, see `of_plain`."""
        return {**asdict(self), "groups": [list(pair) for pair in self.groups]}

    @staticmethod
    def of_plain(data: dict[str, Any]) -> Help:
        rows = [Row(**row) for row in data["rows"]]
        return Help(**{**data, "groups": [(group, options) for group, options in data["groups"]], "rows": rows})


def shown(facts: Help, topics: Sequence[str] = ()) -> str:
    """The help, fitted to the terminal.

    Args:
        topics: keys to list alone, with all that stands under them (``--help model``); none: the whole help, in which
            long sections are folded.

    Raises:
        UserError: no key of that name.
    """
    width = min(max(shutil.get_terminal_size((100, 24)).columns, 60), 120)
    command = f"rotoscope {facts.name.replace('_', '-')}"
    if topics:
        return _block(f"{command}: key=default", _lines(_under(facts.rows, topics)), width)
    parts = [
        f"{command} [key=value ...] [group=choice ...] [-m]",
        facts.about,
        _block("Examples", [(example, "") for example in facts.examples], width),
        _block("Groups (group=choice; * is the default)", facts.groups, width),
        textwrap.fill(_LITERAL, width),
        _block("Keys (key=default)", _folded(command, facts.rows), width),
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
