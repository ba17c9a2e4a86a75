"""The reference picture: a picture as part of the prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import model_validator

from reel.config import Config, Field, Finite, LocalPath
from reel.errors import UserError
from reel.models.source import ModelSource
from reel.pictures import opened
from reel.units import Factor

if TYPE_CHECKING:
    from PIL import Image


class IpAdapter(Config):
    """A picture as part of the prompt (arXiv:2308.06721)."""

    picture: LocalPath
    """Path of the picture."""
    weight: Factor = Field(default=0.6, ge=0.0, le=2.0)
    """How much the picture decides beside the text."""


class PicturePrompts(Config):
    """Reference pictures over the frames: frame f reads picture a[f] mixed with b[f], the latter by blend[f].

    The pictures are the op's input `ip_pictures`."""

    a: list[int]
    b: list[int]
    blend: list[Finite]
    weight: list[Finite]
    """How much the picture decides beside the text, for each frame; 0: nothing."""

    @model_validator(mode="after")
    def _fitting(self) -> PicturePrompts:
        lengths = [len(one) for one in (self.a, self.b, self.blend, self.weight)]
        if len(set(lengths)) != 1:
            raise ValueError(f"a, b, blend and weight must be equally long, got {lengths}")
        if any(not 0 <= value <= 1 for value in self.blend) or any(not 0 <= value <= 2 for value in self.weight):
            raise ValueError("blend must lie in 0..1, weight in 0..2")
        if any(index < 0 for index in [*self.a, *self.b]):
            raise ValueError("pictures count from 0")
        return self


def picture_source(ip_adapter: IpAdapter) -> ModelSource:
    """The reference picture as a source, so that its bytes are in the key."""
    return ModelSource(kind="file", id=str(ip_adapter.picture))


def read_picture(ip_adapter: IpAdapter) -> Image.Image:
    """The reference picture in RGB.

    Raises:
        UserError: there is no such file, or it is no whole picture.
    """
    path = ip_adapter.picture
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not a regular file" if path.exists() else "does not exist"
        raise UserError(f"stylize.ip_adapter.picture: {path} {what}", fix="the path of a picture: PNG, JPEG or WebP")
    try:
        with opened(path) as picture:
            return picture.convert("RGB")
    except UserError as error:
        raise UserError(f"stylize.ip_adapter.picture: {error.message}", fix=error.fix) from None
    except (OSError, SyntaxError, ValueError) as error:  # UnidentifiedImageError is an OSError
        raise UserError(
            f"stylize.ip_adapter.picture: {path} is not a picture that can be read ({error})",
            fix="a PNG, JPEG or WebP file; export it again if it is one",
        ) from None
