"""Chosen frames of a clip or of its maps as a clip of its own."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

from pydantic import field_validator

from reel.clip import Clip, ClipWriter, frame_name
from reel.config import Config, Field
from reel.errors import UserError
from reel.op import Context, op
from reel.work import Extent, Work, of_clip

SHAPE = {"width", "height", "count", "time_base", "pts", "color"}


class Pick(Config):
    """Which frames."""

    frames: list[int] = Field(min_length=1)
    """Their numbers, ascending, from 0. They keep their times."""

    @field_validator("frames")
    @classmethod
    def _ascending(cls, frames: list[int]) -> list[int]:
        if frames[0] < 0 or any(b <= a for a, b in itertools.pairwise(frames)):
            raise ValueError(f"frame numbers must ascend from 0 on, got {frames}")
        return frames


def _picked(cfg: Pick, given: Mapping[str, Extent], ctx: Context) -> Work:
    return of_clip(replace(given["frames"], frames=len(cfg.frames))) if given else Work()


@op("pick", "pick", version=1, config=Pick, inputs=("frames",), gives="frames", work=_picked)
def pick(cfg: Pick, inputs: Mapping[str, str], ctx: Context) -> str:
    """These frames alone, byte for byte those of the whole, so that what is known of a frame stays known.

    Maps are made of the whole clip and picked then: what was smoothed or followed over time stays as it was.

    Raises:
        UserError: a frame beyond the end.
    """
    clip = Clip.open(ctx.store, inputs["frames"])
    if cfg.frames[-1] >= clip.count:
        raise UserError(f"pick: there is no frame {cfg.frames[-1]}; the clip has {clip.count}")
    further = {name: value for name, value in clip.meta.items() if name not in SHAPE}
    with ClipWriter(
        ctx.store,
        "map" if clip.kind == "map" else "rgb",
        width=clip.width,
        height=clip.height,
        time_base=clip.time_base,
        color=clip.color,
        meta=further,
    ) as writer:
        for index in cfg.frames:
            (file := writer.dir / f"new-{index}.png").write_bytes(clip.stored.read(frame_name(index)))
            writer.add_file(file, clip.pts[index])
    return writer.digest
