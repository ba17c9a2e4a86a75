"""Pictures for people: contact sheets and side-by-side frames, their labels drawn with Pillow, never by a filter."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from reel.clip import Clip

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image, ImageFont

_GROUND, _INK = (24, 24, 27), (228, 228, 231)
_GAP = 4
_MAX_WIDTH = 3840
"""px: the widest side-by-side movie; H.264 hardware decoders end at 4096."""
_MIN_HEIGHT = 288
"""px: small frames are enlarged towards it by a whole factor, so that the embedded family's can be looked at."""


def contact_sheet(rows: Mapping[str, Clip], columns: int, thumb: int = 160) -> bytes:
    """A PNG of evenly chosen frames: one row a clip, one column a frame, with labels.

    Args:
        rows: label -> clip, all with the same number of frames and the same size, from top to bottom.
        columns: how many frames at most.
        thumb: height of a thumbnail, px.
    """
    from PIL import Image, ImageDraw

    first = next(iter(rows.values()))
    chosen = spread(first.count, columns)
    size = (max(1, round(first.width * thumb / first.height)), thumb)
    face = font(13)
    margin = max(int(face.getlength(label)) for label in rows) + 3 * _GAP
    top = 24
    sheet = Image.new(
        "RGB", (margin + len(chosen) * (size[0] + _GAP), top + len(rows) * (size[1] + _GAP)), _GROUND
    )  # fmt: skip
    draw = ImageDraw.Draw(sheet)
    for column, index in enumerate(chosen):
        left = margin + column * (size[0] + _GAP)
        draw.text((left + 2, 5), _moment(first, index, face, size[0]), _INK, face)
    for row, (label, clip) in enumerate(rows.items()):
        above = top + row * (size[1] + _GAP)
        draw.text((_GAP, above + size[1] // 2 - 8), label, _INK, face)
        for column, index in enumerate(chosen):
            picture = Image.fromarray(clip.frame(index)).resize(size, Image.Resampling.LANCZOS)
            sheet.paste(picture, (margin + column * (size[0] + _GAP), above))
    return png_bytes(sheet)


def spread(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` indices out of ``count``, evenly, the first and the last among them."""
    if wanted >= count:
        return list(range(count))
    if wanted == 1:
        return [count // 2]
    return [round(i * (count - 1) / (wanted - 1)) for i in range(wanted)]


class SideBySide:
    """Frames of several clips beside each other under their labels.

    Attributes:
        size: width and height of the composed frames, px, both even.
    """

    def __init__(self, panels: Mapping[str, Clip]) -> None:
        self.panels = dict(panels)
        first = next(iter(self.panels.values()))
        grown = max(1, _MIN_HEIGHT // first.height)
        scale = min(Fraction(grown), Fraction(_MAX_WIDTH, len(self.panels) * first.width))
        self.panel = (_even(first.width * scale), _even(first.height * scale))
        self.band = _even(Fraction(max(18, self.panel[1] // 24)))
        self.size = (self.panel[0] * len(self.panels), self.panel[1] + self.band)
        self.count = first.count

    def frames(self) -> Iterator[np.ndarray]:
        """Composed frames ``(H, W, 3)`` uint8 RGB, one in memory at a time."""
        import numpy as np

        canvas = self._labels()
        for index in range(self.count):
            for column, clip in enumerate(self.panels.values()):
                left = column * self.panel[0]
                canvas[self.band :, left : left + self.panel[0]] = self._fitted(clip.frame(index))
            yield np.ascontiguousarray(canvas)

    def _fitted(self, frame: np.ndarray) -> np.ndarray:
        import numpy as np
        from PIL import Image

        if (frame.shape[1], frame.shape[0]) == self.panel:
            return frame
        return np.asarray(Image.fromarray(frame).resize(self.panel, Image.Resampling.LANCZOS))

    def _labels(self) -> np.ndarray:
        import numpy as np
        from PIL import Image, ImageDraw

        canvas = Image.new("RGB", self.size, _GROUND)
        draw = ImageDraw.Draw(canvas)
        face = font(max(10, round(self.band * 0.62)))
        for column, label in enumerate(self.panels):
            text = shortened(label, self.panel[0] - 8, face.getlength)
            draw.text((column * self.panel[0] + 4, round(self.band * 0.12)), text, _INK, face)
        return np.array(canvas)


def png_bytes(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _moment(clip: Clip, index: int, face: ImageFont.FreeTypeFont, width: int) -> str:
    seconds = float((clip.pts[index] - clip.pts[0]) * clip.time_base)
    return shortened(f"{index}  {seconds:.2f} s", width, face.getlength)


def shortened(text: str, width: int, measure: Callable[[str], float]) -> str:
    """A text cut until it is at most ``width`` px wide."""
    text = text[: max(1, width)]  # no letter is narrower than a pixel
    while len(text) > 1 and measure(text) > width:
        text = text[:-1]
    return text


def font(size: int) -> ImageFont.FreeTypeFont:
    """The typeface of all labels; ``size`` in px."""
    from PIL import ImageFont

    face = ImageFont.load_default(size)
    assert isinstance(face, ImageFont.FreeTypeFont)
    return face


def _even(side: Fraction) -> int:
    return max(2, int(side) // 2 * 2)


__all__: Sequence[str] = ["SideBySide", "contact_sheet", "font", "png_bytes", "shortened", "spread"]
