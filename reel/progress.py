"""Progress of long work: a bar with an ETA on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import functools
import sys
from typing import Any

from reel import interrupt


def progress(total: int, desc: str, unit: str = "frame", done: int = 0) -> Any:
    """A tqdm bar (a context manager with ``update(n)``).

    Args:
        total: number of steps.
        desc: what is being done, such as ``blazepose``.
        unit: what is counted.
        done: steps of an earlier run, which say nothing about the speed of this one.
    """
    terminal = sys.stderr.isatty()
    return _bar()(
        total=total,
        initial=done,
        desc=desc,
        unit=unit,
        dynamic_ncols=terminal,
        leave=terminal,
        delay=0.5,
        mininterval=0.2 if terminal else 10.0,
        ascii=None if terminal else True,
    )


@functools.cache  # tqdm keeps a watching thread for every class that there is
def _bar() -> type[Any]:
    from tqdm import tqdm

    class Bar(tqdm):
        def update(self, n: float | None = 1) -> bool | None:
            interrupt.check()
            return super().update(n)

    return Bar
