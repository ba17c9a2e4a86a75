"""Still pictures as a source: one, or a folder of them in natural order, read with Pillow one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from reel.errors import UserError
from reel.pictures import opened
from tasks.media.source import PICTURES, Source

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

_QUARTER_TURNS = {5, 6, 7, 8}
_EXIF_ORIENTATION = 0x0112


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


def times(source: Source, fps: Fraction | None) -> tuple[list[int], Fraction]:
    """Times of the pictures in ticks, and the seconds of a tick.

    Raises:
        UserError: there are several and nobody said how fast they follow each other.
    """
    count = len(source.pictures)
    if fps is None and count > 1:
        raise UserError(
            f"extract.fps: {source.name} is a folder of {count} pictures, which have no rate of their own",
            fix="say how many a second, such as extract.fps=24",
        )
    return list(range(count)), 1 / (fps or Fraction(25))


def read_all(paths: Sequence[Path]) -> Iterator[np.ndarray]:
    """Pictures as ``(H, W, 4)`` uint8 RGBA with straight alpha, upright, one in memory at a time."""
    return (_read(path) for path in paths)


def _size(path: Path) -> tuple[int, int]:
    from PIL import UnidentifiedImageError

    try:
        with opened(path) as picture:
            if picture.format not in PICTURES:
                known = ", ".join(sorted(PICTURES))
                raise UserError(f"clip: {path.name} is {picture.format}; pictures are read as {known}")
            if getattr(picture, "n_frames", 1) > 1:
                raise UserError(f"clip: {path.name} holds several pictures", fix="export them as single files")
            turned = _may_be_turned(picture) and picture.getexif().get(_EXIF_ORIENTATION, 1) in _QUARTER_TURNS
            return (picture.height, picture.width) if turned else (picture.width, picture.height)
    except UserError as error:
        raise UserError(f"clip: {error.message.removeprefix('clip: ')}", fix=error.fix) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(f"clip: {path.name} is not a readable picture ({error})", fix="export it again") from None


def _read(path: Path) -> np.ndarray:
    import numpy as np
    from PIL import ImageOps

    try:
        with opened(path) as picture:
            upright = ImageOps.exif_transpose(picture) if _may_be_turned(picture) else picture
            return np.asarray(_eight_bit(upright).convert("RGBA"))
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"clip: {path.name} is damaged ({error})", fix="export it again") from None


def _may_be_turned(picture: Image.Image) -> bool:
    """Cameras write these; asking a PNG for its EXIF data would decode all of it."""
    return picture.format in ("JPEG", "TIFF", "WEBP")


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Pillow clips 16-bit grey instead of scaling it."""
    import numpy as np
    from PIL import Image

    if not picture.mode.startswith("I"):
        return picture
    values = np.asarray(picture).astype(np.float64) / 257.0
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
