"""A small file system of its own, to run full: an ext4 image on a loop device, where this user may mount one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path, mebibytes: int = 48) -> Iterator[Path | None]:
    """Where it is mounted; None: it may not be."""
    image, place = folder / "disk.img", folder / "disk"
    place.mkdir(exist_ok=True)
    with image.open("wb") as file:
        file.truncate(mebibytes << 20)
    tried = [["mkfs.ext4", "-q", "-m", "0", str(image)], ["mount", "-o", "loop", str(image), str(place)]]
    try:
        for command in tried:
            subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


def emptied(place: Path) -> None:
    for path in place.iterdir():
        if path.name != "lost+found":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def filled(place: Path, room: int) -> Path:
    """Fill a disk until so many bytes are left; returns the file that does it."""
    filler = place / "filler"
    free = shutil.disk_usage(place).free
    with filler.open("wb") as file:
        if free > room:
            os.posix_fallocate(file.fileno(), 0, free - room)
    return filler


__all__ = ["emptied", "filled", "small_disk"]
