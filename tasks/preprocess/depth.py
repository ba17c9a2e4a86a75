"""Depth networks: raw inverse depth kept per frame, brought to 8 bits over the whole clip."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from reel.clip import Clip, ClipWriter
from reel.config import Config
from reel.op import Context
from reel.store import FrameCache
from tasks.preprocess.frames import Worker, cached_results

if TYPE_CHECKING:
    import numpy as np

_RANGE = struct.Struct("<ff")  # lowest and highest raw value of a frame, before its 16-bit PNG


class Depth(Config):
    """Settings that the depth networks share."""

    normalise: Literal["clip", "frame"] = "clip"
    """What black and white mean: the farthest and nearest of the whole clip (steady brightness), or of each frame."""


def depth_maps(
    cfg: Depth,
    frames: str,
    ctx: Context,
    cache: FrameCache,
    make: Callable[[], Callable[[np.ndarray], np.ndarray]],
    desc: str,
) -> str:
    """A depth map clip, near = bright, in two passes: the range over the clip, then the maps from the cache.

    Args:
        frames: digest of a clip.
        make: loads the network and returns the function from a frame `(H, W, 3)` uint8 to raw inverse depth (h, w).

    Returns:
        the digest of the map clip.
    """
    import cv2
    import numpy as np

    clip = Clip.open(ctx.store, frames)

    def worker() -> Worker:
        look = make()
        return lambda frame: pack(look(frame))

    ranges = [_RANGE.unpack_from(data) for data in cached_results(clip, cache, worker, ctx, desc, workers=1)]
    facts = dict(ctx.facts)
    low, high = min(a for a, _ in ranges), max(b for _, b in ranges)
    with ClipWriter(ctx.store, kind="map", like=clip) as writer:
        again = cached_results(clip, cache, worker, ctx, f"{desc}: maps", workers=1)
        for own, data in zip(ranges, again, strict=True):
            a, b = (low, high) if cfg.normalise == "clip" else own
            shade = (unpack(data) - a) * (255 / max(b - a, 1e-12))
            shade = cv2.resize(shade, (clip.width, clip.height), interpolation=cv2.INTER_LINEAR)
            grey = np.rint(shade.clip(0, 255)).astype(np.uint8)
            writer.add(cv2.merge([grey, grey, grey]))
    ctx.note(**facts, depth_range=[low, high])  # the second pass computes nothing: keep what the first has noted
    return writer.digest


def pack(raw: np.ndarray) -> bytes:
    """Raw depth (h, w) float as its range and a 16-bit PNG: an error of 1/131070 of the range."""
    import cv2
    import numpy as np

    low, high = _RANGE.unpack(_RANGE.pack(float(raw.min()), float(raw.max())))
    scaled = np.rint((raw - low) * (65535 / max(high - low, 1e-12))).clip(0, 65535).astype(np.uint16)
    ok, png = cv2.imencode(".png", scaled, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not ok:
        raise ValueError("the depth could not be encoded as PNG")
    return _RANGE.pack(low, high) + png.tobytes()


def unpack(data: bytes) -> np.ndarray:
    """The inverse of `pack`: float32 (h, w)."""
    import cv2
    import numpy as np

    low, high = _RANGE.unpack_from(data)
    scaled = np.asarray(cv2.imdecode(np.frombuffer(data[_RANGE.size :], np.uint8), cv2.IMREAD_UNCHANGED))
    return scaled.astype(np.float32) * np.float32((high - low) / 65535) + np.float32(low)
