"""Progress of long work: a bar with an ETA on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
from typing import Any

from reel import interrupt


def progress(total: int, desc: str, unit: str = "frame") -> Any:
    """A tqdm bar (a context manager with ``update(n)``).

    Args:
        total: number of steps.
        desc: what is being done, such as ``blazepose``.
        unit: what is counted.
    """
    from tqdm import tqdm

    class Bar(tqdm):
        def update(self, n: float | None = 1) -> bool | None:
            interrupt.check()
            return super().update(n)

    terminal = sys.stderr.isatty()
    return Bar(
        total=total,
        desc=desc,
        unit=unit,
        dynamic_ncols=terminal,
        leave=terminal,
        delay=0.5,
        mininterval=0.2 if terminal else 10.0,
        ascii=None if terminal else True,
    )
