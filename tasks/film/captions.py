"""Captions and titles: broken into lines and cues, drawn into frames, and written as .srt and .ass."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from reel.errors import UserError
from tasks.film import fonts
from tasks.film.conform import Size
from tasks.film.plan import Plan
from tasks.film.settings import Captions, Film, Shot, Title

if TYPE_CHECKING:
    import numpy as np

LINES = 2
"""Lines that are shown at a time; what is longer is shown one cue after the other."""
QUICK = Fraction(1, 3)
"""Seconds below which nobody reads a cue."""
_WIDTH = 0.88
"""Of the picture, that words may take."""
_MARGIN = 0.06
"""Of the picture's height, between words and edge."""
_OUTLINE = 0.07
"""Of a line's height."""


@dataclass(frozen=True)
class Cue:
    """Words on the film from frame ``first`` up to before ``last``."""

    first: int
    last: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def cues(plan: Plan, shots: Sequence[Shot], cfg: Captions, size: Size) -> list[Cue]:
    """The captions of a film in their order; none overlap: in a crossfade they change in its middle.

    Raises:
        UserError: a caption is too long for its shot to be read.
    """
    found: list[Cue] = []
    for placed in plan.placed:
        text = "" if placed.shot is None else shots[placed.shot].caption.strip()
        if not text:
            continue
        first, last = placed.first + placed.overlap_in // 2, placed.last - (placed.overlap_out + 1) // 2
        lines = wrapped(text, size, cfg)
        parts = [tuple(lines[at : at + LINES]) for at in range(0, len(lines), LINES)]
        if (last - first) / plan.fps < QUICK * len(parts):
            raise UserError(
                f"shot {(placed.shot or 0) + 1}: its caption fills {len(parts)} screens of {LINES} lines, and the shot "
                f"lasts {float((last - first) / plan.fps):.2f} s",
                fix="shorten the caption, set film.captions.size smaller, or lengthen the shot",
            )
        found += _timed(parts, first, last)
    return found


def _timed(parts: Sequence[tuple[str, ...]], first: int, last: int) -> Iterator[Cue]:
    """Each part for as long as its share of the letters."""
    whole, letters = sum(len(" ".join(part)) for part in parts), 0
    for part in parts:
        begins = first + (last - first) * letters // whole
        letters += len(" ".join(part))
        yield Cue(begins, first + (last - first) * letters // whole, part)


def line_height(size: Size, cfg: Captions) -> int:
    """px."""
    return max(8, round(min(size) * cfg.size))


def wrapped(text: str, size: Size, cfg: Captions) -> list[str]:
    """A text in lines that fit the picture's width; its own line breaks stay."""
    measure = fonts.face(fonts.path_of(cfg.font), line_height(size, cfg)).getlength
    return _lines(text, round(size[0] * _WIDTH), measure)


def _lines(text: str, width: int, measure: Callable[[str], float]) -> list[str]:
    found: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            joined = f"{line} {word}".strip()
            if measure(joined) <= width:
                line = joined
                continue
            if line:
                found.append(line)
            line = word
            while measure(line) > width and len(line) > 1:  # of scripts without spaces, and of very long words
                fits = next((n for n in range(len(line) - 1, 1, -1) if measure(line[:n]) <= width), 1)
                found.append(line[:fits])
                line = line[fits:]
        if line:
            found.append(line)
    return found


class Burner:
    """Draws the cues of a film into its frames."""

    def __init__(self, cues: Sequence[Cue], size: Size, cfg: Captions) -> None:
        self._size = size
        self._cfg = cfg
        self._at = {frame: cue for cue in cues for frame in range(cue.first, cue.last)}
        self._drawn = functools.lru_cache(2)(self._draw)

    def __call__(self, frame: np.ndarray, number: int) -> np.ndarray:
        """The film's frame of that number ``(H, W, 3)`` uint8, with its words."""
        import numpy as np

        cue = self._at.get(number)
        if cue is None:
            return frame
        top, colour, alpha = self._drawn(cue)
        found = frame.copy()
        under = found[top : top + len(colour)]
        under[:] = np.rint(under * (1 - alpha) + colour * alpha)
        return found

    def _draw(self, cue: Cue) -> tuple[int, np.ndarray, np.ndarray]:
        """The row at which the words begin, their colours ``(h, W, 3)`` and how much they cover ``(h, W, 1)``."""
        import numpy as np
        from PIL import Image, ImageDraw

        width, height = self._size
        line = line_height(self._size, self._cfg)
        face = fonts.face(fonts.path_of(self._cfg.font), line)
        step, edge = round(line * 1.25), max(1, round(line * _OUTLINE))
        high = min(step * len(cue.lines) + 2 * edge, height)
        canvas = Image.new("RGBA", (width, high), (*_rgb(self._cfg.outline), 0))
        draw = ImageDraw.Draw(canvas)
        for number, text in enumerate(cue.lines):
            at = (width / 2, edge + step * (number + 0.5))
            draw.text(
                at, text, _rgb(self._cfg.colour), face, "mm", stroke_width=edge, stroke_fill=_rgb(self._cfg.outline)
            )
        margin = min(round(height * _MARGIN), height - high)
        top = margin if self._cfg.place == "top" else height - high - margin
        pixels = np.asarray(canvas)
        return top, pixels[..., :3].astype(np.float32), pixels[..., 3:].astype(np.float32) / 255


def card(title: Title, size: Size, font: Path | None) -> np.ndarray:
    """A title as a frame ``(H, W, 3)`` uint8: its words in the middle, set smaller where they would not fit."""
    import numpy as np
    from PIL import Image, ImageDraw

    width, height = size
    canvas = Image.new("RGB", size, _rgb(title.background))
    line, path = max(8, round(height * title.size)), fonts.path_of(font)
    while True:
        face = fonts.face(path, line)
        lines = _lines(title.text, round(width * 0.84), face.getlength)
        longest = max((face.getlength(text) for word in lines for text in word.split()), default=0)
        whole = " ".join(lines).split() == title.text.split()  # no word was broken
        if line <= 8 or (whole and longest <= width * 0.84 and len(lines) * line * 1.3 <= height * 0.8):
            break
        line = max(8, round(line * 0.9))
    draw, step = ImageDraw.Draw(canvas), line * 1.3
    for number, text in enumerate(lines):
        at = (width / 2, height / 2 + step * (number - (len(lines) - 1) / 2))
        draw.text(at, text, _rgb(title.colour), face, "mm")
    return np.array(canvas)


def check(shots: Sequence[Shot], film: Film) -> None:
    """Raises: UserError for words that the font cannot show."""
    texts = {}
    if film.captions.show != "none":
        texts = {f"shot {number + 1}: caption": shot.caption for number, shot in enumerate(shots)}
    cards = {"opening": film.opening, "closing": film.closing}
    texts |= {f"film.{name}.text": one.text for name, one in cards.items() if one is not None}
    fonts.check(texts, film.captions.font)


def written(cues: Sequence[Cue], fps: Fraction, size: Size, cfg: Captions) -> dict[str, bytes]:
    """The same cues as files: ``captions.srt`` for every player, ``captions.ass`` with size, colours and place."""
    import pysubs2

    line = line_height(size, cfg)
    style = pysubs2.SSAStyle(
        fontname=fonts.NAME if cfg.font is None else fonts.face(cfg.font, 16).getname()[0] or cfg.font.stem,
        fontsize=line, primarycolor=pysubs2.Color(*_rgb(cfg.colour)), outlinecolor=pysubs2.Color(*_rgb(cfg.outline)),
        outline=max(1, round(line * _OUTLINE)), shadow=0, marginv=round(size[1] * _MARGIN),
        alignment=pysubs2.Alignment.TOP_CENTER if cfg.place == "top" else pysubs2.Alignment.BOTTOM_CENTER,
    )  # fmt: skip
    file = pysubs2.SSAFile()
    file.info |= {"PlayResX": str(size[0]), "PlayResY": str(size[1]), "WrapStyle": "2", "ScaledBorderAndShadow": "yes"}
    file.styles["Default"] = style
    times = [(round(cue.first * 1000 / fps), round(cue.last * 1000 / fps)) for cue in cues]
    file.events = [
        pysubs2.SSAEvent(start, end, "\\N".join(map(_literal, cue.lines)))
        for cue, (start, end) in zip(cues, times, strict=True)
    ]
    srt = "".join(
        f"{number}\n{_clock(start)} --> {_clock(end)}\n{cue.text}\n\n"
        for number, (cue, (start, end)) in enumerate(zip(cues, times, strict=True), 1)
    )
    return {"captions.srt": srt.encode(), "captions.ass": file.to_string("ass").encode()}


def _literal(text: str) -> str:
    """Braces and backslashes are commands in .ass: an invisible sign between keeps them what they are."""
    return text.replace("\\", "\\\u2060").replace("{", "\\{").replace("}", "\\}")


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},{rest:03}"


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue
