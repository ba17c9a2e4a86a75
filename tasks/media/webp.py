"""Animated WebP with every frame that was asked for.

libwebp's own animation encoder, which FFmpeg and Pillow both use, joins frames that resemble each other and gives a
single one no duration. Here Pillow encodes each frame as a still picture, and this module puts them into the container
(developers.google.com/speed/webp/docs/riff_container).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.errors import UserError
from reel.files import explained

if TYPE_CHECKING:
    import numpy as np

TICK = Fraction(1, 1000)
"""Seconds."""
LARGEST = 16383
"""px, of a side."""
_QUALITY = 85
_ANIMATED = 0x02
_NO_BLENDING = 0x02


def write(
    path: Path,
    size: tuple[int, int],
    frames: Iterable[np.ndarray],
    durations: Sequence[int],
    *,
    quality: int = _QUALITY,
    effort: int = 4,
) -> Path:
    """Write frames ``(H, W, 3)`` uint8 RGB, as many as ``durations`` (in ticks), without end in a loop.

    Args:
        quality: 0 to 100.
        effort: 0 (fast) to 6 (small).

    Raises:
        UserError: a side is too long, or nothing more can be written.
    """
    if max(size) > LARGEST:
        raise UserError(f"assemble.format: webp holds at most {LARGEST} px a side, not {size[0]}x{size[1]}",
                        fix="assemble.format=mp4")  # fmt: skip
    before: Any = None
    data = b""
    with explained(path), path.open("wb") as file:
        file.write(b"RIFF\0\0\0\0WEBP")
        file.write(_chunk(b"VP8X", bytes([_ANIMATED, 0, 0, 0]) + _three(size[0] - 1) + _three(size[1] - 1)))
        file.write(_chunk(b"ANIM", bytes(6)))  # a transparent ground; played for ever
        for frame, duration in zip(frames, durations, strict=True):
            data = data if frame is before else _encoded(frame, quality, effort)
            before = frame
            place = _three(0) * 2 + _three(size[0] - 1) + _three(size[1] - 1)
            file.write(_chunk(b"ANMF", place + _three(duration) + bytes([_NO_BLENDING]) + data))
        length = file.tell()
        file.seek(4)
        file.write((length - 8).to_bytes(4, "little"))
    return path


def _encoded(frame: np.ndarray, quality: int, effort: int) -> bytes:
    """The picture's own chunk out of a still WebP file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "WEBP", quality=quality, method=effort)
    return buffer.getvalue()[12:]


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return kind + len(payload).to_bytes(4, "little") + payload + bytes(len(payload) % 2)


def _three(value: int) -> bytes:
    return value.to_bytes(3, "little")
