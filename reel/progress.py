"""Progress of long work: a bar with an ETA on a terminal, a plain line now and then elsewhere.

Inside a render the whole render's own bar stands beside that of the stage (`reel.whole`), and the stage's leaves
nothing behind.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from reel import interrupt
from reel.whole import Whole, whole

_BESIDE = "{desc}: {percentage:3.0f}%|{bar:8}| {n_fmt}/{total_fmt} <{remaining}  {whole}"  # fits into 80 columns

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
    terminal, of = sys.stderr.isatty(), whole()
    bar = _bar()(
        total=total,
        initial=done,
        desc=desc,
        unit=unit,
        dynamic_ncols=terminal,
        leave=terminal != (of is not None),  # in a log it ends its line, on a terminal the stage's own line says enough
        delay=0.5,
        mininterval=0.2 if terminal else 10.0,
        ascii=None if terminal else True,
        bar_format=_BESIDE if of is not None else None,
        of=of,
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

        def __init__(self, *args: Any, of: Whole | None = None, **kwargs: Any) -> None:
            self._of = of
            super().__init__(*args, **kwargs)

        @property
        def format_dict(self) -> dict[str, Any]:
            """What its line is made of: tqdm's own, and how far the render is."""
            found = dict(super().format_dict)
            if self._of is None:
                return found
            made, rest = self.n - self.initial, (self.total or 0) - self.initial
            own = found["elapsed"] * (rest - made) / made if made > 0 else None
            share = made / rest if rest > 0 else 0.0
            return {**found, "whole": self._of.shown(share, own, plain=bool(found["ascii"]))}

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
