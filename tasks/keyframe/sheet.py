"""The op `keyframe.sheet`: the key pictures of a film, in order, as one clip; and the contact sheet that shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from reel.clip import Clip, ClipWriter
from reel.config import Config, Field
from reel.op import Context, op
from reel.work import Extent, of_clip
from tasks.media.panels import font, png_bytes


class Sheet(Config):
    """What is shown."""

    labels: list[str] = Field(min_length=1)
    """Of the pictures ``picture_0``, ``picture_1``, ..."""


@op("keyframe", "sheet", version=1, config=Sheet, inputs=("picture_*",), distributions=("numpy",), gives="frames",
    work=lambda cfg, given, ctx: of_clip(Extent(len(cfg.labels), 64, 64)))  # fmt: skip
def sheet(cfg: Sheet, inputs: Mapping[str, str], ctx: Context) -> str:
    """The pictures, a frame each, all of one size.

    Returns:
        digest of a clip of kind ``rgb``.
    """
    clips = [Clip.open(ctx.store, inputs[f"picture_{number}"]) for number in range(len(cfg.labels))]
    base = Fraction(1, 2)  # two a second, where somebody plays them
    with ClipWriter(ctx.store, "rgb", width=clips[0].width, height=clips[0].height, time_base=base) as writer:
        for number, clip in enumerate(clips):
            writer.add(clip.frame(0), number)
    return writer.digest


def drawn(stills: Clip, labels: Sequence[str], side: int = 256) -> bytes:
    """A PNG of all the stills, each with its label: as many columns as make it about as wide as a screen.

    Args:
        side: px of a still's longer side.
    """
    from PIL import Image, ImageDraw

    scale = side / max(stills.width, stills.height)
    width, height = round(stills.width * scale), round(stills.height * scale)
    columns = min(stills.count, max(1, math.ceil(math.sqrt(stills.count * 16 / 9 * height / width))))
    rows = math.ceil(stills.count / columns)
    gap, line, face = 8, 22, font(14)
    page = Image.new("RGB", (columns * (width + gap) + gap, rows * (height + line + gap) + gap), (24, 24, 27))
    pen = ImageDraw.Draw(page)
    for number, label in enumerate(labels):
        left = gap + number % columns * (width + gap)
        top = gap + number // columns * (height + line + gap)
        text = label
        while text and face.getlength(text) > width:
            text = text[:-2].rstrip() + "…" if len(text) > 2 else ""
        pen.text((left, top + 2), text, (228, 228, 231), face)
        picture = Image.fromarray(stills.frame(number)).resize((width, height), Image.Resampling.LANCZOS)
        page.paste(picture, (left, top + line))
    return png_bytes(page)
