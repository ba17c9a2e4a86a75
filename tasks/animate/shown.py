"""The op `animate.shown`: the pictures that a film is held to, frame by frame, to be seen and measured beside it."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from reel.clip import Clip, ClipWriter
from reel.config import Config, Field, Finite
from reel.op import Context, op
from reel.work import Extent, of_clip
from tasks.animate.settings import Key


class ShownKeys(Config):
    """Where the pictures stand in the film."""

    frames: int = Field(ge=1)
    fps: Finite = Field(gt=0)
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    keys: list[Key] = Field(min_length=1)


@op(
    "animate",
    "shown",
    version=1,
    config=ShownKeys,
    inputs=("frames_*",),
    distributions=("opencv-python-headless", "numpy"),
    work=lambda cfg, given, ctx: of_clip(Extent(cfg.frames, cfg.width, cfg.height)),
)
def shown(cfg: ShownKeys, inputs: Mapping[str, str], ctx: Context) -> str:
    """A clip as long as the film; each frame is the picture that was given last, the first one before any was.

    Returns:
        digest of a clip of kind ``map``.
    """
    clips = [Clip.open(ctx.store, inputs[f"frames_{index}"]) for index in range(len(cfg.keys))]
    starts = [key.at for key in cfg.keys]
    base = 1 / Fraction(cfg.fps).limit_denominator(1001)
    with ClipWriter(
        ctx.store, "map", width=cfg.width, height=cfg.height, time_base=base, meta={"keys": starts}
    ) as writer:
        for number in range(cfg.frames):
            which = max((index for index, at in enumerate(starts) if at <= number), default=0)
            within = min(max(number - starts[which], 0), len(clips[which]) - 1)
            writer.add(clips[which].frame(within), number)
    return writer.digest
