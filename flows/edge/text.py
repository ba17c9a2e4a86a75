"""Numbers and tables for people: one spelling each."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Sequence


def figure(value: float | None) -> str:
    """A measured number to four digits; a dash where there is none."""
    return "-" if value is None else f"{value:.4g}"


def size(count: float) -> str:
    """Bytes on a disk or a wire: ``3.4 GB``, of 1000 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def memory(count: float) -> str:
    """Bytes of memory: ``3.4 GiB``, of 1024 MiB; less than one in MiB."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def duration(seconds: float) -> str:
    """A time that something takes: ``40 s``, ``2 min 10 s``, ``12 min``, ``3 h 05 min``; to a twentieth or better."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if (tens := round(seconds / 10)) < 60:
        return f"{tens // 6} min {tens % 6}0 s" if tens % 6 else f"{tens // 6} min"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


def local(moment: datetime.datetime) -> str:
    """A moment as the clock on the wall shows it; in its own zone where the calendar ends beyond it (the year 1)."""
    with contextlib.suppress(OverflowError, ValueError):
        moment = moment.astimezone()
    return moment.isoformat(" ", "seconds")[:19]


def table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """Left-aligned columns; the last one is as long as it likes."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
