"""What a file is by its first bytes: a still picture, a movie, or something that has to be refused by name."""

from __future__ import annotations

import re
from pathlib import Path

from reel.errors import UserError

ENOUGH = 4096
"""Bytes to read from the beginning of a file for the questions below."""

_SCRIPTS = {
    b"#EXTM3U": "an HLS playlist (m3u8)",
    b"ffconcat": "an FFmpeg concat script",
    b"<?xml": "an XML file (a DASH manifest or a project file?)",
    b"v=0\r\n": "an SDP session description",
    b"v=0\n": "an SDP session description",
    b"[playlist]": "a PLS playlist",
}
_STILL_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"avif"}
"""Major brands of ISO 23008-12 still pictures. Their sequences (hevc, msf1, avis) have tracks, as any movie has."""

_PNG = "export it as PNG, JPEG, WebP, TIFF, HEIC or AVIF"
_NOT_READ: tuple[tuple[bytes, str, str], ...] = (
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL picture", _PNG),
    (rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  ", "a JPEG 2000 picture", _PNG),
    (rb"8BPS", "a Photoshop document", _PNG),
    (rb"v/1\x01", "an OpenEXR picture, whose linear light must be graded first", _PNG),
    (rb"#\?RADIANCE|#\?RGBE", "a Radiance HDR picture, whose linear light must be graded first", _PNG),
    (rb"SDPX|XPDS", "a DPX picture", _PNG),
    (rb"qoif", "a QOI picture", _PNG),
    (rb"%PDF", "a PDF document", _PNG),
    (rb"FUJIFILMCCD-RAW|....ftypcrx |II\x1a\0\0\0HEAPCCDR|IIU\0|IIR[OS]|MMOR", "a camera's raw picture",
     "develop it first, and export it as TIFF, PNG or JPEG"),
    (rb"PK\x03\x04|7z\xbc\xaf|Rar!|\x1f\x8b", "an archive", "unpack it, and give the folder of pictures or the video"),
    (rb"....RED[12]", "a cinema camera's raw video (R3D)", "develop it first, and export it as ProRes or mp4"),
    # Annex B start codes: an access unit delimiter, or a parameter set, of H.264, H.265 or H.266
    (rb"\0\0\0?\x01[\x09\x67\x27]", "a raw H.264 stream, which has no clock of its own",
     "give it a container and its rate: ffmpeg -framerate 25 -i IN -c copy OUT.mp4"),
    (rb"\0\0\0?\x01[\x46\x40\x42]\x01", "a raw H.265 stream, which has no clock of its own",
     "give it a container and its rate: ffmpeg -framerate 25 -i IN -c copy OUT.mp4"),
)  # fmt: skip
"""Beginnings, as patterns, of files that people bring and that are not read: what they are, and what to do."""


def refuse_unread(path: Path, head: bytes) -> None:
    """Raises: UserError when a file is of a kind that is known and not read; it says which and what to do."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for mark, what in _SCRIPTS.items():
        if text.lower().startswith(mark.lower()):
            raise UserError(f"clip: {path} is {what}; only files that hold their own pictures are read",
                            fix="give the video file itself")  # fmt: skip
    for pattern, what, fix in _NOT_READ:
        if re.match(pattern, head, re.DOTALL):
            raise UserError(f"clip: {path.name} is {what}; that is not read", fix=fix)


def is_picture(head: bytes) -> bool:
    """Whether it is a still picture. GIF, APNG, animated WebP and sequences of HEIF and AVIF are movies."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"acTL" not in head[:2048]
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return not is_animated_webp(head)
    if head[4:8] == b"ftyp":
        return head[8:12] in _STILL_BRANDS
    return head.startswith((b"\xff\xd8\xff", b"BM", b"II*\x00", b"MM\x00*"))


def is_animated_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) > 20 and bool(head[20] & 0x02)


def looks_like_mp4(head: bytes) -> bool:
    """Whether it begins as the ISO and QuickTime family does."""
    return head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
