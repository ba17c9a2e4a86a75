"""A bad input as data: a command line, what makes the files that it names, and what the person must be told."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Make = Callable[[Path], object]
"""Makes a case's files in the folder in which its command runs."""


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        argv: arguments of ``rotoscope``; ``{here}`` stands for the folder in which it runs.
        said: what its output must hold: the key or file, what is wrong, what is allowed or the likely fix.
        code: exit code; 0 only where the command can do its work and says what it passed over.
        make: makes the files.
        env: environment variables, None to take one away.
        kind: what the table lists it under.
    """

    argv: tuple[str, ...]
    said: tuple[str, ...]
    code: int = 2
    make: Make | None = None
    env: Mapping[str, str | None] = field(default_factory=dict)
    kind: str = ""

    @property
    def name(self) -> str:
        return " ".join(word if len(word) < 80 else f"{word[:60]}...({len(word)} characters)" for word in self.argv)


def case(
    command: str,
    *said: str,
    make: Make | None = None,
    code: int = 2,
    env: Mapping[str, str | None] | None = None,
    more: tuple[str, ...] = (),
) -> Case:
    """A case from a command as it is typed in a shell.

    Args:
        more: further arguments, as they are.
    """
    return Case((*shlex.split(command), *more), said, code, make, env or {})


def cases(flow: str, *rows: tuple[str, ...]) -> list[Case]:
    """Cases of one command, each an argument with what must be said of it."""
    return [Case((*shlex.split(flow), argument), tuple(said)) for argument, *said in rows]
