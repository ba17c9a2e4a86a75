"""Preview: a render's frames, made small and even in time; once per render, whatever it is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pydantic import Field

from reel.clip import Clip
from reel.config import Config
from reel.op import Context, op
from reel.store import Stored
from tasks.media import timeline
from tasks.media.encode import FORMATS, Movie, Timing, encode

if TYPE_CHECKING:
    import numpy as np

NAME = "preview.mp4"
_CRF = 10
"""Near enough to lossless that the film made of it shows no second loss."""


class Preview(Config):
    """How small a preview is."""

    short_side: int = Field(ge=16, le=2160)
    """Shorter side at most (px); smaller clips keep their size."""
    max_fps: int = Field(default=30, ge=1, le=60)
    """Frames per second at most; faster clips lose frames."""


@op("compare", "preview", version=1, config=Preview, inputs=("frames",), gives="preview",
    distributions=("imageio-ffmpeg", "ffmpeg-python", "av", "numpy", "opencv-python-headless"))  # fmt: skip
def preview(cfg: Preview, inputs: Mapping[str, str], ctx: Context) -> str:
    """Write a clip as a small H.264 film of constant rate.

    Args:
        inputs: ``frames`` the clip.

    Returns:
        digest of an object of kind ``preview``: ``preview.mp4``, and in its meta ``width``, ``height`` (px, even),
        ``count`` (frames) and ``fps`` (a fraction).
    """
    clip = Clip.open(ctx.store, inputs["frames"])
    width, height = fitted((clip.width, clip.height), cfg.short_side)
    fps = min(clip.fps, Fraction(cfg.max_fps))
    shown = at_rate(clip, fps)
    timing = Timing(list(range(len(shown))), 1 / fps, len(shown) / fps, fps)
    movie = Movie(FORMATS["mp4"], (width, height), timing, crf=_CRF, preset="veryfast")
    with ctx.store.draft("preview") as draft:
        draft.add(NAME, encode(movie, _frames(clip, shown, (width, height)), draft.dir, NAME))
        return draft.commit(width=width, height=height, count=len(shown), fps=str(fps))


def fitted(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """A size scaled down until its shorter side is no longer than asked for; both sides even."""
    scale = min(Fraction(1), Fraction(short_side, min(size)))
    width, height = (max(2, round(side * scale / 2) * 2) for side in size)
    return width, height


def at_rate(clip: Clip, fps: Fraction) -> list[int]:
    """Which frame is shown at each tick of a constant rate: the latest one, times rounded by half a step forgiven."""
    step = timeline.frame_step(clip.pts)
    first, length = clip.pts[0], clip.pts[-1] - clip.pts[0] + step
    count = max(1, round(length * clip.time_base * fps))
    shown, index = [], 0
    for tick in range(count):
        moment = first + tick / fps / clip.time_base + min(step, 1 / fps / clip.time_base) / 2
        while index + 1 < clip.count and clip.pts[index + 1] <= moment:
            index += 1
        shown.append(index)
    return shown


def _frames(clip: Clip, shown: list[int], size: tuple[int, int]) -> Iterator[np.ndarray]:
    import cv2

    last, picture = -1, None
    for index in shown:
        if index != last:
            last, picture = index, clip.frame(index)
            if (picture.shape[1], picture.shape[0]) != size:
                picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        assert picture is not None
        yield picture


class Player:
    """Frames of a stored preview at another rate, one after the other; past its end the last one stays."""

    def __init__(self, stored: Stored) -> None:
        self.size: tuple[int, int] = (stored.meta["width"], stored.meta["height"])
        self.count: int = stored.meta["count"]
        self.fps = Fraction(stored.meta["fps"])
        stored.check(NAME)
        self._path = stored.path(NAME)

    def frames(self, fps: Fraction, count: int) -> Iterator[np.ndarray]:
        """``count`` frames ``(H, W, 3)`` uint8 RGB, ``1 / fps`` seconds apart."""
        import av

        with av.open(str(self._path)) as container:
            decoded = _rgb(container)
            index, picture = 0, next(decoded)
            for tick in range(count):
                wanted = min(self.count - 1, int(tick * self.fps / fps))
                while index < wanted:
                    index, picture = index + 1, next(decoded)
                yield picture


def _rgb(container: Any) -> Iterator[np.ndarray]:
    container.streams.video[0].thread_type = "NONE"  # many are read at once: one thread each
    for frame in container.decode(video=0):
        yield frame.reformat(format="rgb24", src_colorspace="ITU709", dst_colorspace="ITU709").to_ndarray()


__all__ = ["Player", "Preview", "fitted", "preview"]
