"""Chosen frames of a clip, of its maps or of its poses, as one of its own."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import field_validator

from reel.clip import Clip, ClipWriter, frame_name
from reel.config import Config, Field
from reel.errors import UserError
from reel.op import Context, op
from reel.pose import Poses, join_rows, mask_name, to_rows


class Pick(Config):
    """Which frames."""

    frames: list[int] = Field(min_length=1)
    """Their numbers, ascending, from 0. They keep their times."""

    @field_validator("frames")
    @classmethod
    def _ascending(cls, frames: list[int]) -> list[int]:
        if frames[0] < 0 or any(b <= a for a, b in zip(frames, frames[1:], strict=False)):
            raise ValueError(f"frame numbers must ascend from 0 on, got {frames}")
        return frames


@op("pick", "pick", version=1, config=Pick, inputs=("frames",))
def pick(cfg: Pick, inputs: Mapping[str, str], ctx: Context) -> str:
    """A clip, map or poses of these frames alone; pixels and key points are those of the whole, to the bit.

    Maps and poses are made of the whole clip and picked then: what was smoothed or followed over time stays so.

    Raises:
        UserError: a frame beyond the end.
    """
    stored = ctx.store.get(inputs["frames"])
    if cfg.frames[-1] >= stored.meta["count"]:
        raise UserError(f"pick: there is no frame {cfg.frames[-1]}; the clip has {stored.meta['count']}")
    return _poses(cfg, Poses(stored), ctx) if stored.kind == "poses" else _clip(cfg, Clip(stored), ctx)


def _clip(cfg: Pick, clip: Clip, ctx: Context) -> str:
    with ClipWriter(ctx.store, clip.kind, width=clip.width, height=clip.height, time_base=clip.time_base,
                    color=clip.color, meta=dict(_further(clip))) as writer:  # fmt: skip
        for index in cfg.frames:
            (file := writer.dir / f"new-{index}.png").write_bytes(clip.stored.read(frame_name(index)))
            writer.add_file(file, clip.pts[index])
    return writer.digest


def _further(clip: Clip) -> Mapping[str, object]:
    """What a clip's own record says beyond its shape: the source, say."""
    shape = {"width", "height", "count", "time_base", "pts", "color"}
    return {name: value for name, value in clip.meta.items() if name not in shape}


def _poses(cfg: Pick, poses: Poses, ctx: Context) -> str:
    import json

    with ctx.store.draft("poses") as draft:
        for place, index in enumerate(cfg.frames):
            draft.add(mask_name(place), poses.stored.read(mask_name(index)))
        rows = [json.dumps(to_rows(poses.frames[i]), separators=(",", ":")).encode() for i in cfg.frames]
        draft.add("poses.json", join_rows(rows, poses.width, poses.height, poses.detector))
        return draft.commit(**{**poses.stored.meta, "count": len(rows), "pts": [poses.pts[i] for i in cfg.frames]})
