"""Still pictures as a source: one, or a folder of them in natural order, read with Pillow one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reel.errors import UserError
from reel.pictures import opened
from tasks.media import first_bytes, icc, whole
from tasks.media.source import PICTURES, Source

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

_QUARTER_TURNS = {5, 6, 7, 8}
_EXIF_ORIENTATION = 0x0112
_NEW_SUBFILE_TYPE, _MAKE, _SUB_PICTURES, _DNG_VERSION = 254, 271, 330, 50706
"""TIFF tags that tell a camera's raw file."""
_MAIN_FIRST = {"MPO", "HEIF", "AVIF"}
"""Formats that say which of their pictures is the one to show; the others are depth, gain maps, further views."""
_HDR_TRANSFERS = {16, 18}
"""PQ and HLG, as H.273 numbers them."""


def check(source: Source) -> tuple[int, int]:
    """The common size of all pictures, px, their EXIF orientation applied; only headers are read.

    Raises:
        UserError: one is no picture, holds several frames, or differs in size; it is named.
    """
    sizes: dict[tuple[int, int], Path] = {}
    for path in source.pictures:
        sizes.setdefault(_size(path), path)
    if len(sizes) > 1:
        (first, one), (second, other) = list(sizes.items())[:2]
        raise UserError(
            f"clip: the pictures in {source.name} differ in size: {one.name} is {first[0]}x{first[1]}, "
            f"{other.name} is {second[0]}x{second[1]}",
            fix="bring them to one size, or take the odd ones out of the folder",
        )
    return next(iter(sizes))


def is_animation(path: Path) -> bool:
    """Whether it is an animated WebP, which FFmpeg's program reads and PyAV does not."""
    with path.open("rb") as file:
        return first_bytes.is_animated_webp(file.read(first_bytes.ENOUGH))


def size_of_animation(path: Path) -> tuple[int, int]:
    """Width and height of its frames, px.

    Raises:
        UserError: it cannot be read.
    """
    with _readable(path), opened(path) as picture:
        return picture.size


def read_all(paths: Sequence[Path]) -> Iterator[np.ndarray]:
    """Pictures as ``(H, W, 4)`` uint8 sRGB with straight alpha, upright, one in memory at a time."""
    return (_read(path) for path in paths)


def _size(path: Path) -> tuple[int, int]:
    with _opened(path) as picture:
        turned = _may_be_turned(picture) and picture.getexif().get(_EXIF_ORIENTATION, 1) in _QUARTER_TURNS
        return (picture.height, picture.width) if turned else (picture.width, picture.height)


def _read(path: Path) -> np.ndarray:
    import numpy as np
    from PIL import ImageOps

    with _opened(path, "is damaged") as picture:
        upright = ImageOps.exif_transpose(picture) if _may_be_turned(picture) else picture
        return np.asarray(icc.to_srgb(_eight_bit(upright)).convert("RGBA"))


@contextlib.contextmanager
def _opened(path: Path, trouble: str = "is not a readable picture") -> Iterator[Image.Image]:
    """The picture, whatever its file is called; a HEIF, AVIF or MPO file's own main picture.

    Raises:
        UserError: it is none that is read, or something in the block could not be read.
    """
    with _readable(path, trouble), opened(path) as picture:
        _refuse(path, picture)
        yield picture


@contextlib.contextmanager
def _readable(path: Path, trouble: str = "is not a readable picture") -> Iterator[None]:
    """Turns what Pillow raises for broken files into one refusal."""
    try:
        yield
    except UserError as error:
        raise UserError(f"clip: {error.message.removeprefix('clip: ')}", fix=error.fix) from None
    except Exception as error:  # broken files end in errors of any class, and none of the block's work is our own
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"clip: {path.name} {trouble} ({reason})", fix="export it again") from None


def _refuse(path: Path, picture: Image.Image) -> None:
    """Raises: UserError for what would not be the picture that people see."""
    if picture.format not in PICTURES:
        known = ", ".join(sorted(PICTURES))
        raise UserError(f"clip: {path.name} is {picture.format}; pictures are read as {known}")
    if picture.format not in _MAIN_FIRST and getattr(picture, "n_frames", 1) > 1:
        raise UserError(f"clip: {path.name} holds several pictures", fix="export them as single files")
    if picture.format == "TIFF" and _is_preview(picture):
        raise UserError(
            f"clip: {path.name} is a camera's raw picture (DNG, NEF, ARW, CR2); only its small preview could be read",
            fix="develop it first, and export it as TIFF, PNG or JPEG",
        )
    if picture.mode == "F":
        raise UserError(
            f"clip: {path.name} holds floating-point numbers, which have no range of their own",
            fix="export it with 8 or 16 bits",
        )
    if picture.format in ("HEIF", "AVIF") and (there := whole.missing_of_boxes(path)):
        raise UserError(f"clip: {path.name} is cut short: {there} are there", fix="copy or download it again")
    if _transfer(path, picture) in _HDR_TRANSFERS:
        raise UserError(f"clip: {path.name} is an HDR picture (PQ or HLG)", fix="export it in standard range (SDR)")


def _transfer(path: Path, picture: Image.Image) -> int:
    """The transfer curve of a HEIF or AVIF picture, as H.273 numbers it; 2: not said."""
    if picture.format == "HEIF":
        return int((picture.info.get("nclx_profile") or {}).get("transfer_characteristics", 2))
    if picture.format != "AVIF":
        return 2
    with path.open("rb") as file:  # Pillow does not tell
        head = file.read(1 << 16)
    at = head.find(b"colrnclx")
    if at < 0 or b"tmap" in head:  # the curve of what a gain map makes of the picture is not the picture's
        return 2
    return int.from_bytes(head[at + 10 : at + 12], "big")


def _is_preview(picture: Image.Image) -> bool:
    """Whether a TIFF is a raw file, of which the first picture is a thumbnail."""
    tags = getattr(picture, "tag_v2", {})
    reduced = bool(tags.get(_NEW_SUBFILE_TYPE, 0) & 1)
    return _DNG_VERSION in tags or reduced or (_SUB_PICTURES in tags and _MAKE in tags)


def _may_be_turned(picture: Image.Image) -> bool:
    """Cameras write these; asking a PNG for its EXIF data would decode all of it. HEIF comes upright."""
    return picture.format in ("JPEG", "MPO", "TIFF", "WEBP", "AVIF")


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Pillow clips 16-bit grey instead of scaling it."""
    import numpy as np
    from PIL import Image

    if not picture.mode.startswith("I"):
        return picture
    values = np.asarray(picture).astype(np.float64) / 257.0
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
