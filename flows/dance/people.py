"""What was seen of the people of a clip, told before the denoising, with what the model family needs to see of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from reel.framing import Framing, Seen

_ENOUGH = 0.8
"""Share of the frames with people that a family must be able to draw; the others are carried by their neighbours."""
_FOUND = 0.5
"""Share of the frames in which somebody must be found for the pose to lead the render."""


def lines(seen: Seen, model: str, framings: Sequence[Framing]) -> Iterator[tuple[str, str]]:
    """Lines as (what it is about, text).

    Args:
        framings: that the family draws well; none: all of them.
    """
    count = len(seen.people)
    yield "people", f"{_how_many(seen)}{_how_framed(seen)}"
    if seen.found < _FOUND:
        yield (
            "warning",
            f"nobody is found in {count - round(seen.found * count)} of {count} frames: there the pose leads nothing. "
            "Take another part of the clip (extract.start, extract.end), larger frames (extract.short_side), or a "
            "control that needs nobody (control=[lineart])",
        )
    fitting = sum(seen.shares.get(one, 0.0) for one in framings)
    if framings and seen.found and fitting < _ENOUGH:
        yield (
            "warning",
            f"{model} draws a {' or '.join(framings)}, which {fitting:.0%} of these frames show: elsewhere it draws "
            "what is not there. Take a clip in which the whole person is in the picture, or another family "
            "(rotoscope models)",
        )


def _how_many(seen: Seen) -> str:
    """``1 in 70 of 72 frames, 2 in 2``."""
    counts = Counter(seen.people)
    told = [f"{number} in {counts[number]}" for number in sorted(counts) if number]
    if not told:
        return f"none in {len(seen.people)} frames"
    return f"{told[0]} of {len(seen.people)} frames{''.join(f', {one}' for one in told[1:])}"


def _how_framed(seen: Seen) -> str:
    """``; whole figure in 97 % of them, upper body in 3 %``, of the largest person."""
    told = [f"{name} in {share:.0%}" for name, share in seen.shares.items()]
    return f"; the largest: {', '.join(told)}" if told else ""
