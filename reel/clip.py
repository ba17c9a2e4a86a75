"""A clip: numbered frames of one size with their times, stored as one content-addressed object."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from reel.errors import DamagedObject, UserError
from reel.store import Draft, Store, Stored

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["rgb", "map"]
"""``rgb``: pictures; ``map``: control maps. Both are 8-bit RGB PNG files."""


class Clip:
    """Frames ``(H, W, 3)`` uint8 RGB, read one by one and checked as they are read.

    Attributes:
        width, height: px.
        time_base: seconds per tick, a fraction.
        pts: time of each frame in ticks, ascending, one per frame.
        color: the colour space that the RGB values stand in, such as ``bt709``.
    """

    def __init__(self, stored: Stored) -> None:
        if stored.kind not in ("rgb", "map"):
            raise UserError(f"object {stored.digest[:12]} is of kind {stored.kind!r}, not a clip of frames")
        self.stored = stored
        self.digest = stored.digest
        self.kind = stored.kind
        self.meta: dict[str, Any] = stored.meta
        try:
            self.width, self.height, self.count = (int(stored.meta[name]) for name in ("width", "height", "count"))
            self.time_base = Fraction(stored.meta["time_base"])
            self.pts: list[int] = list(stored.meta["pts"])
            self.color: str = stored.meta["color"]
        except (LookupError, TypeError, ValueError, ZeroDivisionError):
            raise DamagedObject(
                f"object {stored.digest[:12]} is of kind {stored.kind!r} and does not say what a clip has to",
                fix="run the render again: damaged objects are detected and made again",
            ) from None

    @classmethod
    def open(cls, store: Store, digest: str) -> Clip:
        """Raises: MissingObject, DamagedObject; UserError when the object is not a clip."""
        return cls(store.get(digest))

    def __len__(self) -> int:
        return self.count

    @property
    def fps(self) -> Fraction:
        """Nominal frames per second: one over the median step between frames; 1 for a single frame."""
        steps = [b - a for a, b in zip(self.pts, self.pts[1:], strict=False)]
        return 1 / (Fraction(median(steps)) * self.time_base) if steps else Fraction(1)

    @property
    def frame_digests(self) -> list[str]:
        return [self.stored.files[frame_name(i)] for i in range(self.count)]

    def frame_path(self, index: int) -> Path:
        return self.stored.path(frame_name(index))

    def frame(self, index: int) -> np.ndarray:
        """One frame ``(H, W, 3)`` uint8 RGB.

        Raises:
            DamagedObject: its bytes are not those that were stored.
        """
        return decode_png(self.stored.read(frame_name(index)))

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Frames in order, one in memory at a time."""
        return (self.frame(i) for i in range(start, self.count if stop is None else min(stop, self.count)))

    def array(self) -> np.ndarray:
        """All frames ``(F, H, W, 3)`` uint8: for short clips, the memory grows with the length."""
        import numpy as np

        return np.stack(list(self.frames()))


class ClipWriter:
    """Writes a clip frame by frame in constant memory; it appears in the store when the block ends well.

    Args:
        like: take size, times and colour from this clip; frames then follow its times.
        time_base: seconds per tick.
        meta: further JSON values, part of the digest.
    """

    def __init__(
        self,
        store: Store,
        kind: Kind,
        *,
        like: Clip | None = None,
        width: int | None = None,
        height: int | None = None,
        time_base: Fraction | None = None,
        color: str = "bt709",
        meta: dict[str, Any] | None = None,
    ) -> None:
        if like is None and (width is None or height is None or time_base is None):
            raise ValueError("give either like= or width=, height= and time_base=")
        self.like = like
        self.width = like.width if like else int(width or 0)
        self.height = like.height if like else int(height or 0)
        self.time_base = like.time_base if like else Fraction(time_base or 1)
        self.color = like.color if like else color
        self.meta = dict(meta or {})
        self.pts: list[int] = []
        self.digest = ""
        self._draft = Draft(store, kind)

    @property
    def dir(self) -> Path:
        """A temporary directory on the store's file system, for programs that write frames themselves."""
        return self._draft.dir

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._draft:
            if kind is None:
                self.digest = self._finish()

    def add(self, frame: np.ndarray, pts: int | None = None) -> None:
        """Append a frame ``(H, W, 3)`` uint8 RGB; ``pts`` in ticks, taken from ``like`` when absent."""
        if frame.shape != (self.height, self.width, 3) or frame.dtype.name != "uint8":
            raise ValueError(
                f"frame {len(self.pts)} is {frame.shape} {frame.dtype}, expected ({self.height}, {self.width}, 3) uint8"
            )
        self._append(encode_png(frame), pts)

    def add_file(self, path: Path, pts: int | None = None) -> None:
        """Append a PNG file as it is; it is moved, not copied, and its size is the caller's promise."""
        self._append(path, pts)

    def attach(self, name: str, data: bytes) -> None:
        """Keep a further file beside the frames, part of the digest."""
        self._draft.add(name, data)

    def _append(self, data: bytes | Path, pts: int | None) -> None:
        index = len(self.pts)
        if pts is None:
            if self.like is None or index >= self.like.count:
                raise ValueError(f"no time known for frame {index}: pass pts=")
            pts = self.like.pts[index]
        if self.pts and pts <= self.pts[-1]:
            raise ValueError(f"frame {index}: times must ascend, {pts} after {self.pts[-1]}")
        self._draft.add(frame_name(index), data)
        self.pts.append(pts)

    def _finish(self) -> str:
        if not self.pts:
            raise UserError("a clip needs at least one frame; none was written")
        return self._draft.commit(
            **{
                **self.meta,
                "width": self.width,
                "height": self.height,
                "count": len(self.pts),
                "time_base": str(self.time_base),
                "pts": self.pts,
                "color": self.color,
            }
        )


def frame_name(index: int) -> str:
    return f"frames/{index:06d}.png"


def encode_png(frame: np.ndarray) -> bytes:
    """PNG bytes of ``(H, W, 3)`` uint8 RGB; the same pixels give the same bytes for one OpenCV version."""
    import cv2

    ok, data = cv2.imencode(".png", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not ok:
        raise ValueError("the frame could not be encoded as PNG")
    return data.tobytes()


def decode_png(data: bytes) -> np.ndarray:
    """``(H, W, 3)`` uint8 RGB from PNG bytes."""
    import cv2
    import numpy as np

    frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


__all__ = ["Clip", "ClipWriter", "Kind", "decode_png", "encode_png", "frame_name"]
