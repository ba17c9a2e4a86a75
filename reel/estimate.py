"""What a render will take, as figures and in words; `reel.forecast` makes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Basis = Literal["observed", "scaled", "unknown"]
"""``observed``: from calls with as much to do; ``scaled``: from calls with more or less; ``unknown``: from none."""

UNSURE = 0.5
"""Relative error where only a median is known: of imports, of loading, of what is beside the calls."""


@dataclass(frozen=True)
class Guess:
    """What one call will take.

    Attributes:
        own: seconds of its own work; None: nothing is known of it.
        once: seconds that its process pays once, for imports and loading.
        low, high: on a quiet machine nine of ten calls take between so many seconds, ``once`` included.
        runs: number of past calls that it stands on.
        size: bytes of the stored output.
        memory_mib: peak resident memory of the process after it.
    """

    op: str
    own: float | None = None
    once: float = 0.0
    low: float = 0.0
    high: float = 0.0
    basis: Basis = "unknown"
    runs: int = 0
    size: int | None = None
    memory_mib: float | None = None

    @property
    def seconds(self) -> float:
        """Wall seconds as far as they are known."""
        return (self.own or 0.0) + self.once


@dataclass(frozen=True)
class Estimate:
    """What a render will take.

    Attributes:
        calls: those to compute.
        beside: seconds beside them.
    """

    calls: Sequence[Guess] = ()
    beside: float = 0.0

    @property
    def seconds(self) -> float:
        """Wall seconds as far as they are known."""
        return self.beside + sum(call.seconds for call in self.calls)

    @property
    def low(self) -> float:
        off = [call.seconds - call.low for call in self.calls if call.runs]
        return self.seconds - _together([*off, self.beside * UNSURE])

    @property
    def high(self) -> float:
        off = [call.high - call.seconds for call in self.calls if call.runs]
        return self.seconds + _together([*off, self.beside * UNSURE])

    @property
    def unknown(self) -> list[str]:
        """Ops of which nothing is known, each once."""
        return sorted({call.op for call in self.calls if call.basis == "unknown"})

    @property
    def basis(self) -> Basis:
        """The weakest of the known calls'; ``unknown`` where there are calls and none is known."""
        found = {call.basis for call in self.calls}
        return "scaled" if "scaled" in found else "unknown" if found == {"unknown"} else "observed"


def line(estimate: Estimate, spell: Callable[[float], str]) -> str:
    """What a render will take, for a person, before it starts; empty where it computes nothing.

    ``about 35 s (28 s to 45 s): denoise 24 s, decode 5 s, imports and loading 4 s; scaled from 3 past runs``
    ``about 5 s and more: decode 5 s; scaled from 3 past runs; and denoise, not known from any past run``

    Args:
        spell: seconds in words.
    """
    if not estimate.calls:
        return ""
    missing = ", ".join(_short(op) for op in estimate.unknown)
    known = [call for call in estimate.calls if call.runs]
    if not known:
        return "how long it takes is not known yet: nothing like it has run here"
    parts: dict[str, float] = defaultdict(float)
    for call in known:
        parts[_short(call.op)] += call.own or 0.0
    parts["imports and loading"] = sum(call.once for call in estimate.calls)
    parts["beside the stages"] = estimate.beside
    longest = sorted(parts.items(), key=lambda part: -part[1])[:3]
    least = min(estimate.seconds / 20, longest[0][1])  # of many short ones the longest is told, too
    told = ", ".join(f"{what} {spell(took)}" for what, took in longest if took >= least)
    runs = min(call.runs for call in known)
    how = "scaled" if any(call.basis == "scaled" for call in known) else "as"
    based = f"{told}; {how} from {runs} past run{'s' * (runs > 1)}"
    about = f"about {spell(estimate.seconds)}"
    if missing:  # what is not known may be the longest of all
        return f"{about} and more: {based}; and {missing}, not known from any past run"
    return f"{about} ({spell(estimate.low)} to {spell(estimate.high)}): {based}"


def _together(off: Sequence[float]) -> float:
    """Errors of a sum, where each is independent of the others."""
    return sum(one**2 for one in off) ** 0.5


def _short(op: str) -> str:
    """``denoise`` for ``stylize.denoise``."""
    return op.rpartition(".")[2]
