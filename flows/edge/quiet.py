"""``--quiet``: of all that a flow says, the paths of what it made on stdout, and warnings and errors on stderr."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

VARIABLE = "ROTOSCOPE_QUIET"
"""Set while a quiet command runs, for the workers of a sweep, too."""
_TROUBLE = re.compile(r"WARNING|ERROR|CRITICAL|warning:|error:|fix:")
_SHOWN = ("movie", "page")


class _Troubles(io.TextIOBase):
    """Passes on the lines that tell of trouble."""

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self._line = ""

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if _TROUBLE.match(line.rpartition("\r")[2]):
                self._to.write(f"{line}\n")
        return len(text)


@contextlib.contextmanager
def quiet(wanted: bool) -> Iterator[None]:
    """Say only what `shown` prints, and trouble, while a command runs."""
    if not wanted or os.environ.get(VARIABLE):
        yield
        return
    os.environ[VARIABLE] = "1"
    try:
        with contextlib.redirect_stderr(_Troubles(sys.stderr)):
            yield
    finally:
        del os.environ[VARIABLE]


@contextlib.contextmanager
def results_alone() -> Iterator[list[Any]]:
    """Run a flow inside and append what it returns: in a quiet command the paths of that are all that is printed."""
    results: list[Any] = []
    if not os.environ.get(VARIABLE):
        yield results
        return
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(_Troubles(sys.stderr)):
        yield results
    for result in results:
        for path in paths(result):
            print(path, flush=True)


def paths(result: Any) -> list[Path]:
    """Where the films or pages of a render's record are; all its files where it has neither."""
    outputs = getattr(result, "outputs", ())
    chosen = [one for one in outputs if one.role in _SHOWN] or outputs
    return [Path(result.output or "") / one.name for one in chosen]
