"""Inputs: one local movie file, one picture, or a folder of pictures. Never a URL, a playlist or a script.

Files are opened by path only, through Python or FFmpeg's ``file:`` protocol, so that no name (``-i``, ``http:``,
``%d``, ``concat:``) is ever read as anything but a name.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from reel.errors import UserError
from reel.files import sha256_file
from tasks.media import first_bytes

CONTAINERS = (
    "mov", "matroska", "avi", "mpegts", "mpeg", "gif", "apng", "flv", "asf", "ogg", "mxf", "nut", "ivf", "dv",
    "yuv4mpegpipe", "webp_anim",
)  # fmt: skip
"""FFmpeg demuxers that hold their pictures themselves: no playlists and no scripts (hls, dash, concat, sdp)."""

PICTURES = {"PNG", "JPEG", "MPO", "WEBP", "BMP", "TIFF", "HEIF", "AVIF"}
"""Still-picture formats, by Pillow's names; MPO is a JPEG with more pictures behind it, as phones write."""

_SUFFIXES = {
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".hif", ".avif",
}  # fmt: skip
_NOT_READ_SUFFIXES = {
    ".exr", ".hdr", ".dpx", ".cin", ".psd", ".jxl", ".jp2", ".j2k", ".tga", ".sgi", ".dng", ".cr2", ".cr3", ".nef",
    ".arw", ".raf", ".orf", ".rw2", ".qoi", ".ppm",
}  # fmt: skip
"""Pictures that are not read: among ones that are, leaving them out would shorten the clip without a word."""


@dataclass(frozen=True)
class Source:
    """A checked input: a movie, or pictures in their order (``pictures`` is empty for a movie)."""

    path: Path
    pictures: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        return self.path.name


def open_source(path: Path | str) -> Source:
    """Look at what lies at a path without decoding it.

    Raises:
        UserError: nothing is there, it is not a regular file or a folder of pictures, or it is a playlist or script.
    """
    path = Path(path)
    if (address := re.match(r"([a-z][a-z0-9+.-]{1,20}):/(.*)", str(path), re.IGNORECASE)) and not path.exists():
        url = f"{address[1]}://{address[2]}"  # a path has lost one of its two slashes
        raise UserError(
            f"clip: {url} is an address; only local files are read",
            fix=f"download it first, by curl -fLO '{url}' or your browser, and give the file: clip={path.name}",
        )
    if path.is_dir():
        return Source(path, _folder(path))
    if path.is_symlink() and not path.exists():
        raise UserError(f"clip: {path} is a link that leads nowhere", fix="make the link anew, or name the file itself")
    if not path.exists():
        raise UserError(f"clip: there is no file {path}{_neighbours(path)}", fix=_missing(path))
    if not path.is_file():
        raise UserError(f"clip: {path} is neither a regular file nor a folder", fix="give a video file on this disk")
    try:
        with path.open("rb") as file:
            head = file.read(first_bytes.ENOUGH)
    except PermissionError:
        raise UserError(f"clip: {path} may not be read by this user", fix=f"chmod u+r '{path}'") from None
    except OSError as error:  # a disk that fails, a file of /proc
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"clip: {path} cannot be read ({reason})", fix="copy it to another disk") from None
    if not head:
        raise UserError(f"clip: {path} is empty (0 bytes)", fix="copy or download it again")
    first_bytes.refuse_unread(path, head)
    return Source(path, (path,)) if first_bytes.is_picture(head) else Source(path)


def source_digest(path: Path | str) -> str:
    """Content digest of an input: a file's sha256; for a folder, that of its pictures' digests in their order.

    File names are not part of it: the same bytes under another name are the same source.
    """
    source = open_source(path)
    if source.path.is_file():
        return _digest(source.path)
    lines = "".join(f"{_digest(picture)}\n" for picture in source.pictures)
    return hashlib.sha256(b"pictures\n" + lines.encode()).hexdigest()


def _digest(path: Path) -> str:
    """sha256 of a file, read once in this process as long as it stays as it is."""
    stat = path.stat()
    seen = (path.absolute(), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    if seen in _READ:
        return _READ[seen]
    digest = sha256_file(path)
    if time.time_ns() - stat.st_mtime_ns > 2_000_000_000:  # or it could change again without a new time
        _READ[seen] = digest
    return digest


_READ: dict[tuple[Path, int, int, int, int, int], str] = {}
"""Digests by how their files were seen."""


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sorts ``frame2`` before ``frame10``; ties (``01`` and ``1``) by the plain name at the end."""
    parts = re.split(r"(\d+)", path.name.casefold())
    key = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
    return [*key, (-1, 0, path.name)]


def _folder(path: Path) -> tuple[Path, ...]:
    files = [item for item in path.iterdir() if item.is_file() and not item.name.startswith(".")]
    pictures = sorted((item for item in files if item.suffix.lower() in _SUFFIXES), key=natural_key)
    if not pictures:
        raise UserError(
            f"clip: the folder {path} holds no pictures ({', '.join(sorted(_SUFFIXES))})",
            fix="give a video file, or a folder of numbered pictures",
        )
    twice = next(((one, other) for one, other in pairwise(pictures) if one.stem == other.stem), None)
    if twice is not None:
        raise UserError(
            f"clip: the folder {path} holds pictures twice, such as {twice[0].name} and {twice[1].name}",
            fix="keep one kind of them in the folder",
        )
    read = {item.stem for item in pictures}  # a camera's raw picture beside its JPEG is the same picture
    unread = sorted(item.name for item in files if item.suffix.lower() in _NOT_READ_SUFFIXES and item.stem not in read)
    if unread:
        raise UserError(
            f"clip: the folder {path} holds pictures that are not read ({len(unread)}, such as {unread[0]})",
            fix="export them as PNG, or take them out of the folder",
        )
    return tuple(pictures)


def _missing(path: Path) -> str:
    """What to do about a file that is not there."""
    plain = re.fullmatch(r"(['\"])(.+)\1", str(path))
    if plain is not None:  # the shell took off one pair, and these are part of the name
        return f"leave out the inner quotes: clip='{plain[2]}'"
    return "check the path and its spelling"


def _neighbours(path: Path) -> str:
    import difflib

    try:
        near = difflib.get_close_matches(path.name, [item.name for item in path.parent.iterdir()], n=2)
    except OSError:
        return ""
    return f"; nearby: {', '.join(near)}" if near else ""
