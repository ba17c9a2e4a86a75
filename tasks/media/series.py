"""What the names of a folder's pictures say: a series with gaps, two series in one folder, copies among the frames.

Each may be meant, so that it is told, not refused; a frame that a renderer left out shortens a clip without a word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

_NUMBERED = re.compile(r"(?P<before>.*?)(?P<number>\d+)(?P<behind>\D*)", re.DOTALL)


def remark(pictures: Sequence[Path]) -> str | None:
    """What is odd about the names of pictures, which are in their order; None: nothing, or they are not numbered."""
    series: dict[tuple[str, str], list[int]] = {}
    names: dict[tuple[str, str], list[str]] = {}
    for path in pictures:
        match = _NUMBERED.fullmatch(path.stem)
        if match is None:
            return None
        series.setdefault((match["before"], match["behind"]), []).append(int(match["number"]))
        names.setdefault((match["before"], match["behind"]), []).append(path.name)
    longer = [key for key, numbers in series.items() if len(numbers) > 1]
    if len(longer) > 1:
        told = ", ".join(f"{names[key][0]} ... ({len(names[key])})" for key in longer[:3])
        return f"holds {len(longer)} series of pictures, which are read as one clip: {told}"
    if not longer:
        return None
    beside = sorted(name for key in series if key != longer[0] for name in names[key])
    if beside:
        some = ", ".join(beside[:3]) + (", ..." if len(beside) > 3 else "")
        return f"holds {len(beside)} pictures that are not of its series {names[longer[0]][0]} ...: {some}"
    return _gaps(series[longer[0]], names[longer[0]])


def _gaps(numbers: Sequence[int], names: Sequence[str]) -> str | None:
    """Numbers that are left out of a series that has all of them otherwise, whatever its step."""
    steps = [after - before for before, after in pairwise(numbers)]
    usual, often = Counter(steps).most_common(1)[0]
    gaps = [index for index, step in enumerate(steps) if step > usual > 0]
    if not gaps or often * 2 <= len(steps):
        return None
    missing = sum(steps[index] // usual - 1 for index in gaps)
    return f"leaves {missing} of its numbers out, the first one after {names[gaps[0]]}"
