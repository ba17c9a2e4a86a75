"""How far a whole render is, across its stages: beside the bar of the stage at work, and a line for each of them.

The stages' lengths are what past runs tell (`reel.forecast`), corrected by how the stages of this one have gone so far.
Where nothing is known of one, no time is told, but only how many stages there are.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_SURE_FROM = 5.0
"""Expected seconds of finished stages from which their real ones say how fast this machine is today."""
_OWN_FROM = 0.25
"""Share of a stage from which its own speed alone says how long the rest of it takes."""
_WIDTH = 10
"""Characters of the bar."""


@dataclass(frozen=True)
class Coming:
    """A stage that is to be computed.

    Attributes:
        seconds: that it takes as past runs tell; None: they do not.
    """

    op: str
    seconds: float | None


class Whole:
    """Told when a stage begins and ends; says how far the render is."""

    def __init__(
        self,
        coming: Sequence[Coming],
        say: Callable[[str], object],
        spell: Callable[[float], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            coming: stages in order.
            say: prints a line.
            spell: seconds in words.
        """
        self._waiting = list(coming)
        self._count = len(self._waiting)
        self._say, self._spell, self._clock = say, spell, clock
        self._now: Coming | None = None
        self._since = 0.0
        self._expected = self._took = 0.0

    def begin(self, op: str) -> None:
        """A stage is computed from now on."""
        self._now = next((one for one in self._waiting if one.op == op), Coming(op, None))
        if self._now in self._waiting:
            self._waiting.remove(self._now)
        self._since = self._clock()
        seconds = self._now.seconds or 0.0
        about = f", about {self._spell(seconds)}" if seconds >= 1 else ""
        self._say(f"  {f'{self._count - len(self._waiting)} of {self._count}':8} {short(op)}{about}")

    def end(self, op: str, *, reused: bool) -> None:
        """A stage has been computed, or was taken from the store."""
        if reused:
            self._say(f"  {'reused':8} {short(op)}")
        elif self._now is not None and self._now.op == op:
            if self._now.seconds is not None:
                self._expected += self._now.seconds
                self._took += self._clock() - self._since
            self._now = None

    def left(self, share: float, own: float | None = None) -> float | None:
        """Seconds that are left; None: not known.

        Args:
            share: of the stage at work that is done, 0..1.
            own: seconds that are left of it at its own speed so far; None: too early to say.
        """
        rest = [one.seconds for one in self._waiting]
        if any(one is None for one in rest):
            return None
        pace = self._took / self._expected if self._expected >= _SURE_FROM else 1.0
        return self._stage_left(share, own, pace) + pace * sum(one for one in rest if one is not None)

    def shown(self, share: float, own: float | None = None, *, plain: bool = False) -> str:
        """``render |####      | 42 %, 2 min left``; without times ``render: 3 of 9``.

        Args:
            share, own: as in `left`.
            plain: ASCII alone.
        """
        left = self.left(share, own)
        if left is None:
            return f"render: {self._count - len(self._waiting)} of {self._count}"
        gone = self._took + (self._clock() - self._since if self._now is not None else 0.0)
        done = min(1.0, gone / (gone + left)) if gone + left > 0 else 1.0
        filled = round(done * _WIDTH)
        bar = ("#" if plain else "█") * filled + " " * (_WIDTH - filled)
        return f"render |{bar}| {done:.0%}, {self._spell(left)} left"

    def _stage_left(self, share: float, own: float | None, pace: float) -> float:
        """Of the stage at work: as expected at first, by its own speed from a quarter of it on."""
        if self._now is None:
            return 0.0
        if self._now.seconds is None:
            return own or 0.0
        expected = max(0.0, pace * self._now.seconds - (self._clock() - self._since))
        sure = min(1.0, share / _OWN_FROM) if own is not None else 0.0
        return sure * (own or 0.0) + (1 - sure) * expected


def short(op: str) -> str:
    """``denoise`` for ``stylize.denoise``; of a metric the whole, which its name alone does not say."""
    return op if op.startswith("measure.") else op.rpartition(".")[2]


_whole: contextvars.ContextVar[Whole | None] = contextvars.ContextVar("whole", default=None)


def whole() -> Whole | None:
    """Of the render at work in this thread; None: none tells how far it is."""
    return _whole.get()


@contextlib.contextmanager
def telling(
    coming: Sequence[Coming], spell: Callable[[float], str], say: Callable[[str], object] | None = None
) -> Iterator[Whole]:
    """The render inside tells how far it is, on stderr unless said otherwise."""
    told = Whole(coming, say or (lambda line: print(line, file=sys.stderr, flush=True)), spell)
    token = _whole.set(told)
    try:
        yield told
    finally:
        _whole.reset(token)
