"""From frames to a stored object of kind "poses": what the pose detectors share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reel import pose
from reel.clip import Clip
from reel.config import Config
from reel.op import Context
from tasks.preprocess.frames import Worker, cached_results, frame_cache

if TYPE_CHECKING:
    import numpy as np

Find = Callable[["np.ndarray"], "Found"]


@dataclass(frozen=True)
class Found:
    """What a detector saw in one frame.

    Attributes:
        everybody: people `(18, 4)`, those of whom it was not sure among them.
        confidences: 0..1, how sure it was of each.
        outlines: of each, `(H, W)` bool.
        sure: confidence from which a frame alone tells that somebody is there.
    """

    everybody: Sequence[np.ndarray]
    confidences: Sequence[float]
    outlines: Sequence[np.ndarray]
    shape: tuple[int, int]
    sure: float = 0.0

    @classmethod
    def certain(cls, people: Sequence[np.ndarray], outlines: Sequence[np.ndarray], shape: tuple[int, int]) -> Found:
        """Of a detector that is sure of all that it tells."""
        return cls(people, [1.0] * len(people), outlines, shape)

    @property
    def people(self) -> list[np.ndarray]:
        """Those of whom it was sure, the largest first."""
        pairs = zip(self.everybody, self.confidences, strict=True)
        return pose.largest_first([person for person, confidence in pairs if confidence >= self.sure])

    @property
    def mask(self) -> np.ndarray:
        """Outline of all of them `(H, W)` uint8, 255 inside."""
        import numpy as np

        mask = np.zeros(self.shape, np.uint8)
        for outline, confidence in zip(self.outlines, self.confidences, strict=True):
            if confidence >= self.sure:
                mask[outline] = 255
        return mask


def detect_poses(
    name: str,
    cfg: Config,
    frames: str,
    ctx: Context,
    make: Callable[[], Find],
    workers: int | None = None,
    sure: float = 0.0,
) -> str:
    """Runs a detector over the frames it has not seen yet and stores the poses of the clip.

    Frames without anybody are noted by number; what to do about them, and who is a person among those of whom the
    detector was not sure, is decided by the tracking.

    Args:
        name: of the detector's op; its settings, code, libraries and weights make the cache of single frames.
        frames: digest of a clip.
        make: loads the networks and returns the function that looks at one frame; called once a worker.
        workers: see `cached_results`.
        sure: confidence from which a frame alone tells that somebody is there.

    Returns:
        the digest of an object of kind "poses".
    """
    clip = Clip.open(ctx.store, frames)
    rows: list[bytes] = []
    nobody: list[int] = []

    def worker() -> Worker:
        find = make()
        return lambda frame: pack(find(frame))

    with ctx.store.draft("poses") as draft:
        for index, data in enumerate(cached_results(clip, frame_cache(name, cfg, ctx), worker, ctx, name, workers)):
            row, _, mask = data.partition(b"\n")
            rows.append(row)
            if not any(confidence >= sure for confidence in json.loads(row)["confidence"]):
                nobody.append(index)
            draft.add(pose.mask_name(index), mask)
        ctx.note(detector=name, frames_without_people=pose.ranges(nobody), found=clip.count - len(nobody))
        draft.add("poses.json", pose.join_rows(rows, clip.width, clip.height, name, sure))
        return draft.commit(
            width=clip.width,
            height=clip.height,
            count=clip.count,
            detector=name,
            time_base=str(clip.time_base),
            pts=clip.pts,
            color=clip.color,
        )


def pack(found: Found) -> bytes:
    """One frame's result as bytes: a line of JSON with the people, the largest first, then their outlines as PNG."""
    order = pose.order_by_size(found.everybody)
    row = pose.to_row([found.everybody[i] for i in order], [found.confidences[i] for i in order])
    height, width = found.shape
    return row + b"\n" + pose.pack_outlines([found.outlines[i] for i in order], width, height)
