"""The op `stylize.ordered`: pictures laid on a clip's frames, as a control's map that changes from range to range."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from pydantic import field_validator

from reel.clip import Clip, ClipWriter, frame_name
from reel.config import Config, Field, Finite
from reel.errors import UserError
from reel.op import Context, op
from reel.work import Extent, of_clip


class Ordered(Config):
    """Which picture each frame shows."""

    which: list[int] = Field(min_length=1)
    """Its number, from 0, for each frame of the clip."""
    fps: Finite = Field(gt=0)
    """Frames a second."""

    @field_validator("which")
    @classmethod
    def _numbers(cls, which: list[int]) -> list[int]:
        if min(which) < 0:
            raise ValueError(f"pictures count from 0, got {min(which)}")
        return which


@op("stylize", "ordered", version=1, config=Ordered, inputs=("frames",), distributions=("numpy",),
    work=lambda cfg, given, ctx: of_clip(Extent(len(cfg.which), 64, 64)))  # fmt: skip
def ordered(cfg: Ordered, inputs: Mapping[str, str], ctx: Context) -> str:
    """A clip as long as ``which``, of the very bytes of the pictures.

    Inputs: ``frames``, a clip with the pictures as its frames.

    Returns:
        digest of a clip of kind ``map``.

    Raises:
        UserError: a picture beyond the last.
    """
    clip = Clip.open(ctx.store, inputs["frames"])
    if max(cfg.which) >= clip.count:
        raise UserError(f"ordered: there is no picture {max(cfg.which)}; there are {clip.count}")
    base = 1 / Fraction(cfg.fps).limit_denominator(1001)
    with ClipWriter(ctx.store, "map", width=clip.width, height=clip.height, time_base=base) as writer:
        for number, index in enumerate(cfg.which):
            (file := writer.dir / f"new-{number}.png").write_bytes(clip.stored.read(frame_name(index)))
            writer.add_file(file, number)
    return writer.digest
