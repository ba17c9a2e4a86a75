"""Picture files that people name: opened with their head read alone, and refused where their pixels fit no memory."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from reel.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

MOST_SIDE, MOST_AREA = 32_768, 178_956_970
"""px that a picture may have: beyond them it does not fit into memory, however small its file is."""
_ALLOWED = f"at most {MOST_SIDE} a side and {MOST_AREA // 1_000_000} million in all are read"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """A picture's file, of which only the head was read: a regular file of a size that fits into memory.

    Raises:
        UserError: a pipe, a folder, or too many pixels; the message begins with the file's name.
        OSError, SyntaxError, ValueError: Pillow's, of what is no picture.
    """
    from PIL import Image

    _know_heif()
    if not path.is_file():
        raise UserError(f"{path.name} is not a regular file", fix="give the path of a picture: PNG, JPEG, WebP or HEIC")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            picture = Image.open(path)
        except Image.DecompressionBombError:
            raise UserError(f"{path.name} has too many px; {_ALLOWED}", fix="make it smaller") from None
    with picture:
        if max(picture.size) > MOST_SIDE or picture.width * picture.height > MOST_AREA:
            raise UserError(f"{path.name} has {picture.width}x{picture.height} px; {_ALLOWED}", fix="make it smaller")
        yield picture


@functools.cache
def _know_heif() -> None:
    """Tell Pillow how the pictures of phones are read (HEIC, all tiles of it); AVIF it reads itself."""
    import pi_heif

    pi_heif.register_heif_opener(thumbnails=False)
