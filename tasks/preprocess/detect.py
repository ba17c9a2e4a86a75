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
    """What a detector saw in one frame: people `(18, 4)`, and their outline `(H, W)` uint8, 255 inside."""

    people: Sequence[np.ndarray]
    mask: np.ndarray


def detect_poses(
    name: str, cfg: Config, frames: str, ctx: Context, make: Callable[[], Find], workers: int | None = None
) -> str:
    """Runs a detector over the frames it has not seen yet and stores the poses of the clip.

    Frames without anybody are noted by number; what to do about them is decided by `pose_map`.

    Args:
        name: of the detector's op; its settings, code, libraries and weights make the cache of single frames.
        frames: digest of a clip.
        make: loads the networks and returns the function that looks at one frame; called once a worker.
        workers: see `cached_results`.

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
            people, _, mask = data.partition(b"\n")
            rows.append(people)
            if people == b"[]":
                nobody.append(index)
            draft.add(pose.mask_name(index), mask)
        ctx.note(detector=name, frames_without_people=pose.ranges(nobody), found=clip.count - len(nobody))
        draft.add("poses.json", pose.join_rows(rows, clip.width, clip.height, name))
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
    """One frame's result as bytes: a line of JSON with the people, then the mask as PNG."""
    import cv2

    people = json.dumps(pose.to_rows(pose.largest_first(found.people)), separators=(",", ":"))
    ok, png = cv2.imencode(".png", found.mask, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not ok:
        raise ValueError("the mask could not be encoded as PNG")
    return people.encode() + b"\n" + png.tobytes()
