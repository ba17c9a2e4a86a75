"""Progress of long work: a bar with an ETA on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from reel import interrupt

if TYPE_CHECKING:
    from reel.live import Live


def progress(total: int, desc: str, unit: str = "frame", done: int = 0, live: Live | None = None) -> Any:
    """A tqdm bar (a context manager with ``update(n)``).

    Args:
        total: number of steps.
        desc: what is being done, such as ``blazepose``.
        unit: what is counted.
        done: steps of an earlier run, which say nothing about the speed of this one.
        live: is told of every step.
    """
    terminal = sys.stderr.isatty()
    bar = _bar()(
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
    bar.live = live
    if live is not None:
        live.step(desc, unit, done, total, None)
    return bar


@functools.cache  # tqdm keeps a watching thread for every class that there is
def _bar() -> type[Any]:
    from tqdm import tqdm

    class Bar(tqdm):
        live: Live | None = None

        def update(self, n: float | None = 1) -> bool | None:
            interrupt.check()
            shown = super().update(n)
            if self.live is not None:
                self.live.step(self.desc, self.unit, int(self.n), int(self.total or 0), _left(self))
            return shown

    return Bar


def _left(bar: Any) -> float | None:
    """Seconds that are left at the mean speed of this run; None before the first step."""
    made = bar.n - bar.initial
    return float((bar.total - bar.n) * bar.format_dict["elapsed"] / made) if made > 0 else None
