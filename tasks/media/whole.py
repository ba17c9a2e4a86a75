"""Whether all of a file is there, by the sizes that containers state about themselves in their first bytes.

Counts of frames and durations are no help in these: they are written by hand, estimated, or those of the sound.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FACTS = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_GROWING = 0xFFFFFFFF
"""A size that is written while nobody knows yet how long a recording becomes."""


def missing(path: Path) -> str | None:
    """What of the file is there, in words, where the file itself says that there is more; else None.

    AVI, ASF (wmv), Matroska (mkv, webm) and FLV state their size, unless they were recorded by a program that did not
    end; a GIF has a mark at its end.
    """
    there = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4096)
        if head[:4] == b"GIF8":
            file.seek(-min(there, 64), 2)
            return None if file.read().rstrip(b"\0\r\n ").endswith(b";") else "some frames, and not its end,"
        if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            said = _riff(file, there)
        elif head[:16] == _ASF:
            said = _asf(head)
        elif head[:4] == _EBML:
            said = _matroska(head)
        elif head[:3] == b"FLV":
            said = _flv(head)
        else:
            said = 0
    return f"{there} of {said} bytes" if said > there else None


def missing_of_boxes(path: Path) -> str | None:
    """The same for a HEIF or AVIF picture, whose boxes state their sizes: decoders fill lost tiles with a colour."""
    there, end, head = path.stat().st_size, 0, b""
    with path.open("rb") as file:
        while end < there:
            file.seek(end)
            head = file.read(16)
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(head[8:], "big") if size == 1 else size
            if size < 8:  # 0: to the end of the file; less is no box
                return None
            end += size
    cut = end > there and head[4:8] in (b"meta", b"mdat", b"moov")  # cameras append what is no box, and no picture
    return f"{there} of {end} bytes" if cut else None


def _riff(file: IO[bytes], there: int) -> int:
    """The end of the last RIFF chunk: long recordings have several in a row (OpenDML)."""
    end = 0
    while end < there:
        file.seek(end)
        head = file.read(8)
        size = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or size in (0, _GROWING):
            break
        end += 8 + size + size % 2
    return end - 1 if end == there + 1 else end  # the last padding byte is often left out


def _asf(head: bytes) -> int:
    at = head.find(_ASF_FACTS)
    if at < 0 or len(head) < at + 92:
        return 0
    broadcast = int.from_bytes(head[at + 88 : at + 92], "little") & 1
    return 0 if broadcast else int.from_bytes(head[at + 40 : at + 48], "little")


def _matroska(head: bytes) -> int:
    at = head.find(_SEGMENT)
    if at < 0 or len(head) < at + 12 or not head[at + 4]:
        return 0
    length = 9 - head[at + 4].bit_length()  # of the size field, bytes
    mark = 1 << (7 * length)
    size = int.from_bytes(head[at + 4 : at + 4 + length], "big") - mark
    return 0 if size == mark - 1 else at + 4 + length + size


def _flv(head: bytes) -> int:
    """From ``onMetaData``: a name with its length before it, then a number as a double of eight bytes."""
    at = head.find(b"\x00\x08filesize\x00")
    if at < 0 or len(head) < at + 19:
        return 0
    said: float = struct.unpack(">d", head[at + 11 : at + 19])[0]
    return int(said) if 0 < said < 1 << 50 else 0
