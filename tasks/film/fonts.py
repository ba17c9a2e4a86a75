"""Typefaces: the one that comes with the project's packages, or the user's own, and what they can show.

DejaVu Sans comes with Matplotlib; its licence (Bitstream Vera's) allows that, and films with it are nobody else's. It
holds Latin, Greek, Cyrillic, Armenian, Georgian, Arabic and Hebrew letters, none of Chinese, Japanese or Korean.
"""

from __future__ import annotations

import functools
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from reel.errors import UserError

if TYPE_CHECKING:
    from PIL import ImageFont

NAME = "DejaVu Sans"
_INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}


def path_of(own: Path | None) -> Path:
    """The font's file. ``own``: the user's; None: the one that comes along."""
    if own is not None:
        return own
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@functools.lru_cache(64)
def face(path: Path, size: int) -> ImageFont.FreeTypeFont:
    """The typeface at a height of its lines, px.

    Raises:
        UserError: no such file, or it is no font.
    """
    from PIL import ImageFont

    try:
        return ImageFont.truetype(str(path), size)
    except FileNotFoundError:
        raise UserError(
            f"film.captions.font: there is no file {path}", fix="check the path, or leave it empty"
        ) from None
    except OSError as error:
        raise UserError(f"film.captions.font: {path.name} is not a font ({error})", fix="a .ttf or .otf file") from None


def check(texts: dict[str, str], own: Path | None) -> None:
    """Refuse texts that the font cannot show: empty boxes in a finished film help nobody.

    Args:
        texts: by the setting that holds them.

    Raises:
        UserError: it has no glyph for a character.
    """
    if not any(texts.values()):
        return
    path = path_of(own)
    face(path, 16)
    known = _characters(path)
    for setting, text in texts.items():
        lost = sorted({c for c in text if ord(c) not in known and unicodedata.category(c) not in _INVISIBLE})
        if lost:
            name = NAME if own is None else path.name
            raise UserError(
                f"{setting}: the font {name} has no sign for {' '.join(lost[:8])}",
                fix="film.captions.font=/path/of/a/font.ttf that has (Noto Sans has fonts of all scripts)",
            )


@functools.lru_cache(8)
def _characters(path: Path) -> frozenset[int]:
    from fontTools.ttLib import TTFont

    return frozenset(TTFont(path, lazy=True, fontNumber=0).getBestCmap())
