"""Pictures inside a terminal, by the three ways in which terminals take them."""

from __future__ import annotations

import base64
import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

Terminal = Literal["none", "auto", "kitty", "iterm", "sixel"]
ROWS = 8
"""Lines of text that a picture takes."""
_HEIGHT = 160
"""px that a picture is drawn at, about what eight lines are high."""
_FRAMES = 4
_KITTY_CHUNK = 4096


def known(wanted: Terminal, environment: Mapping[str, str] = os.environ) -> str:
    """The way that a terminal takes pictures: as wanted, or for ``auto`` what it says of itself; ``none``: it does not.

    A terminal that takes sixels alone does not say so in its environment: name it.
    """
    if wanted != "auto":
        return wanted
    program, term = environment.get("TERM_PROGRAM", ""), environment.get("TERM", "")
    if "KITTY_WINDOW_ID" in environment or "kitty" in term or "ghostty" in (program.lower(), term):
        return "kitty"
    return "iterm" if program in ("iTerm.app", "WezTerm") else "none"


def show(frames: Sequence[np.ndarray], terminal: str, *, again: bool) -> None:
    """Draw a few frames ``(H, W, 3)`` uint8 side by side above the line of the progress.

    Args:
        again: over those that were drawn there before; else lines are kept free for them first.
    """
    out = sys.stderr
    if not out.isatty():
        return
    room = "" if again else "\n" * (ROWS + 1)
    out.write(f"\r{room}\x1b7\x1b[{ROWS + 1}A\r{sequence(strip(frames), terminal)}\x1b8")
    out.flush()


def strip(frames: Sequence[np.ndarray]) -> Any:
    """A few frames, evenly chosen, as one PIL picture."""
    from PIL import Image

    count = min(_FRAMES, len(frames))
    chosen = [frames[round(number * (len(frames) - 1) / max(1, count - 1))] for number in range(count)]
    height, width = chosen[0].shape[:2]
    wide = max(1, round(width * _HEIGHT / height))
    whole = Image.new("RGB", (count * wide + 4 * (count - 1), _HEIGHT))
    for number, frame in enumerate(chosen):
        whole.paste(Image.fromarray(frame).resize((wide, _HEIGHT), Image.Resampling.BICUBIC), (number * (wide + 4), 0))
    return whole


def sequence(picture: Any, terminal: str) -> str:
    """The characters that draw a PIL picture, `ROWS` lines high."""
    if terminal == "kitty":
        return "".join(_kitty(_png(picture)))
    if terminal == "iterm":  # iterm2.com/documentation-images.html
        data = base64.b64encode(_png(picture)).decode()
        return f"\x1b]1337;File=inline=1;height={ROWS};preserveAspectRatio=1:{data}\a"
    return _sixel(picture)


def _png(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _kitty(png: bytes) -> Iterator[str]:
    """Of kitty's graphics protocol (sw.kovidgoyal.net/kitty/graphics-protocol): one picture, replaced by the next."""
    data = base64.b64encode(png).decode()
    pieces = [data[start : start + _KITTY_CHUNK] for start in range(0, len(data), _KITTY_CHUNK)]
    for number, piece in enumerate(pieces):
        first = f"a=T,f=100,i=7,p=1,r={ROWS},C=1,q=2," if number == 0 else ""
        yield f"\x1b_G{first}m={int(number < len(pieces) - 1)};{piece}\x1b\\"


def _sixel(picture: Any) -> str:
    """DEC's sixels (vt100.net/docs/vt3xx-gp/chapter14.html): bands of six lines, for every colour its dots."""
    import numpy as np

    reduced = picture.quantize(64)
    colours = reduced.getpalette()
    dots = np.asarray(reduced)
    out = [f'\x1bPq"1;1;{picture.width};{picture.height}']
    for index in np.unique(dots):
        red, green, blue = (round(value * 100 / 255) for value in colours[3 * index : 3 * index + 3])
        out.append(f"#{index};2;{red};{green};{blue}")
    for top in range(0, picture.height, 6):
        band = dots[top : top + 6]
        bits = 1 << np.arange(len(band))
        for index in np.unique(band):
            columns = ((band == index) * bits[:, None]).sum(axis=0)
            out.append(f"#{index}{''.join(chr(63 + value) for value in columns)}$")
        out.append("-")
    return "".join([*out, "\x1b\\"])
