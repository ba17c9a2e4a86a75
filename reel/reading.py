"""Small files that people name: read when they are regular files of a size that makes sense.

Whoever opens a pipe waits for it, and a device has no end: both are told before a byte is read.
"""

from __future__ import annotations

import stat
from pathlib import Path


class Unreadable(ValueError):
    """A file that is not read; the message says what is wrong with it, without its name."""


def read_small(path: Path, most: int) -> bytes:
    """The bytes of a regular file.

    Args:
        most: bytes that it may have.

    Raises:
        FileNotFoundError: there is none.
        Unreadable: a folder, a pipe, a device, a file that is too large or may not be read.
    """
    try:
        known = path.stat()
        if stat.S_ISDIR(known.st_mode):
            raise Unreadable("is a folder")
        if not stat.S_ISREG(known.st_mode):
            raise Unreadable("is not a regular file")
        if known.st_size > most:
            raise Unreadable(f"has {known.st_size} bytes, at most {most} are read")
        with path.open("rb") as file:
            data = file.read(most + 1)  # some files of /proc and ones that grow have more than they say
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unreadable(f"cannot be read ({(error.strerror or str(error)).lower()})") from None
    if len(data) > most:
        raise Unreadable(f"has more than {most} bytes")
    return data
