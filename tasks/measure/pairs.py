"""A render and its source, frame by frame: what the metrics that compare the two share."""

from __future__ import annotations

from reel.clip import Clip
from reel.errors import UserError


def check_pair(name: str, clip: Clip, original: Clip) -> None:
    """Raises: UserError when the two differ in size or number of frames."""
    ours, theirs = ((one.width, one.height, one.count) for one in (clip, original))
    if ours != theirs:
        shown = [f"{width}x{height} px x {count} frames" for width, height, count in (ours, theirs)]
        raise UserError(f"measure.{name}: the render is {shown[0]}, the source {shown[1]}")
