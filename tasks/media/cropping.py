"""Pictures that their container crops: a clean aperture (mov, mp4), or PixelCrop (Matroska).

FFmpeg's program crops them, as players do, PyAV does not: the size before would squeeze the picture.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from reel.errors import UserError
from tasks.media import ffmpeg

if TYPE_CHECKING:
    from tasks.media.probe import Probe

_MATROSKA_CROPS = re.compile(rb"\x54[\xaa\xbb\xcc\xdd][\x81-\x88]")
_LONG = 1
"""A box whose size is too large for 32 bits: it follows after the name."""


def possible(path: Path, container: str) -> bool:
    """Whether a file may say so, by its index alone: seldom wrong, and asking FFmpeg costs as much as the rest."""
    with path.open("rb") as file:
        if container == "matroska":
            return bool(_MATROSKA_CROPS.search(file.read(1 << 16)))
        return container == "mov" and b"clap" in _index(file)


def shown_size(path: Path, facts: Probe) -> tuple[int, int]:
    """Width and height of the frames that FFmpeg's program decodes, px, before they are turned.

    Raises:
        UserError: it decodes none.
    """
    stream = ffmpeg.movie(path, facts, strict=False, upright=False)
    first = stream.output(
        "first.y4m", format="yuv4mpegpipe", pix_fmt="yuv444p", strict=-1, **{"frames:v": 1}
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        with ffmpeg.start(first, Path(folder)) as run:
            run.process.wait(timeout=60)
        said = Path(folder, "first.y4m")
        size = re.match(rb"YUV4MPEG2 W(\d+) H(\d+)", said.read_bytes()[:64] if said.exists() else b"")
    if size is None:
        raise UserError(f"clip: {path.name} is damaged: its first frame cannot be decoded",
                        fix="copy or download it again")  # fmt: skip
    return int(size[1]), int(size[2])


def _index(file: IO[bytes]) -> bytes:
    """The ``moov`` box; empty where there is none."""
    while head := file.read(8):
        size, kind = int.from_bytes(head[:4], "big"), head[4:]
        if size == _LONG:
            size = int.from_bytes(file.read(8), "big") - 8
        if kind == b"moov":
            return file.read(max(0, size - 8))
        if size < 8:
            break
        file.seek(size - 8, 1)
    return b""
