"""What the rounds have found, as docs/measured.md shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Round = Mapping[str, Any]

FOUND: Mapping[str, tuple[str, ...]] = {
    "wrong digests": ("wrong", "damaged", "nothing made", "stages"),
    "hangs": ("hang",),
    "RUNNING left": ("RUNNING",),
    "orphans": ("orphans",),
    "tracebacks": ("traceback",),
    "other ends": ("exit", "no words", "neither"),
}
"""Columns, and how the trouble begins that they count."""


def table(rounds: Sequence[Round]) -> str:
    """Rounds by fault, then by flow, then all of them."""
    faults = list(dict.fromkeys(one["fault"] for one in rounds))
    flows = list(dict.fromkeys(one["flow"] for one in rounds))
    rows = [_row(name, [one for one in rounds if one["fault"] == name]) for name in sorted(faults)]
    rows += [_row(f"`{name}`", [one for one in rounds if one["flow"] == name]) for name in sorted(flows)]
    rows.append(_row("all", rounds))
    head = ("", "rounds", "kills", "faults", "healed", "refused in words", *FOUND)
    lines = [_line(head), _line(["---"] * len(head)), *map(_line, rows)]
    return "\n".join(lines)


def _row(name: str, own: Sequence[Round]) -> list[str]:
    kills, faults, refused = (sum(one[key] for one in own) for key in ("kills", "faults", "refused"))
    healed = sum(one["faults"] for one in own if not one["refused"] and not one["trouble"])
    found = [sum(_counts(one, begins) for one in own) for begins in FOUND.values()]
    return [name, *(str(number) for number in (len(own), kills, faults, healed, refused, *found))]


def _counts(one: Round, begins: tuple[str, ...]) -> int:
    return sum(any(begin in text.partition(":")[0] for begin in begins) for text in one["trouble"])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
