"""Colour profiles of pictures (ICC): phones write Display P3, editors Adobe RGB; frames are sRGB."""

from __future__ import annotations

import contextlib
import functools
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image


def to_srgb(picture: Image.Image) -> Image.Image:
    """The picture with the colours that its profile gives its numbers, as ``RGB`` or ``RGBA``.

    One without a profile is taken to be sRGB, as browsers do; one whose profile is broken or for another kind of pixels
    likewise.
    """
    profile = picture.info.get("icc_profile")
    if not profile:
        return picture
    from PIL import ImageCms

    if picture.mode in ("P", "PA", "1"):
        picture = picture.convert("RGBA" if "transparency" in picture.info or picture.mode == "PA" else "RGB")
    if picture.mode == "LA":  # LittleCMS is not told about these here: a grey profile differs by its curve alone
        return picture
    with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError):
        change = _transform(profile, picture.mode)
        if change is not None:
            return ImageCms.applyTransform(picture, change) or picture
    return picture


@functools.lru_cache(8)
def _transform(profile: bytes, mode: str) -> Any:
    """The change from a profile to sRGB, or None where it is sRGB already."""
    from PIL import ImageCms

    own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if mode in ("RGB", "RGBA") and "sRGB" in ImageCms.getProfileDescription(own):
        return None
    srgb = ImageCms.createProfile("sRGB")
    to = "RGBA" if mode == "RGBA" else "RGB"
    return ImageCms.buildTransform(own, srgb, mode, to, renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC)
