"""CLIP, image to image: does the figure look like a reference picture of the character?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from reel.clip import Clip
from reel.errors import UserError
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from reel.pictures import opened
from tasks.measure.vision import ClipNetwork, ClipReader, clip_source

if TYPE_CHECKING:
    import numpy as np

MEASURE = declare(
    Measure(
        name="clip_image",
        about="Cosine of a reference picture's and each frame's CLIP vectors.",
        aspect="character",
        values=(Value("mean", "CLIP, reference to frames", "higher", -1, 1),),
        reference="CLIP-I of Ruiz et al., DreamBooth, arXiv 2208.12242",
        validated=False,
        torch=True,
    )
)


class ClipImage(ClipNetwork):
    """Settings of CLIP between a reference picture and frames."""


@op(
    "measure",
    "clip_image",
    version=1,
    config=ClipImage,
    inputs=("frames", "reference"),
    distributions=("transformers", "torch", "numpy", "pillow"),
    models=lambda cfg: [clip_source(cfg)],
    gives="measure",
)
def clip_image(cfg: ClipImage, inputs: Mapping[str, str], ctx: Context) -> str:
    """Mean over the frames.

    Args:
        inputs: ``frames`` the render, ``reference`` the content digest of the picture at ``ctx.files["reference"]``.

    Raises:
        UserError: the reference is no picture.
        ModelAbsent: the weights are not on this machine and cannot be fetched.
    """
    clip, reference = Clip.open(ctx.store, inputs["frames"]), read_picture(ctx.files["reference"])
    reader = ClipReader(cfg, ctx)
    wanted = next(reader.pictures([reference]))
    series = []
    with ctx.progress(total=clip.count, desc="clip_image") as bar:
        for found in reader.pictures(clip.frames()):
            series.append(float(found @ wanted))
            bar.update()
    values, notes = {"mean": sum(series) / len(series)}, {"model": cfg.model}
    return save(ctx.store, Result("clip_image", values, {"mean": series}, notes=notes))


def read_picture(path: Path) -> np.ndarray:
    """A picture file as `(H, W, 3)` uint8 RGB, turned as its camera says.

    Raises:
        UserError: it is not there, or no picture.
    """
    import numpy as np
    from PIL import ImageOps, UnidentifiedImageError

    try:
        with opened(path) as picture:
            return np.array(ImageOps.exif_transpose(picture).convert("RGB"))
    except UserError as error:
        raise UserError(f"reference: {error.message}", fix=error.fix) from None
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(f"reference: {path} cannot be read as a picture ({error})", fix="name a PNG or JPEG") from None
