"""Handing out a finished render: files copied from the store into a folder, each one whole or not there."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from reel.errors import DamagedObject
from reel.files import explained, make_folder
from reel.store import Store


def export(store: Store, digest: str, folder: Path | str) -> dict[str, Path]:
    """Copy every file of a stored object into a folder, checking bytes on the way.

    A file appears under its name only when it is whole and on disk; one of the same name is replaced.

    Returns:
        name -> path, in the object's order.

    Raises:
        UserError: the folder cannot be written to, or the disk is full.
        MissingObject, DamagedObject: the object is not whole in the store.
    """
    stored = store.get(digest)
    folder = Path(folder).absolute()
    check_writable(folder)
    return {name: _copy(stored.path(name), folder / name, stored.files[name]) for name in stored.files}


def check_writable(folder: Path) -> None:
    """Try the folder before hours are spent on what should go there.

    Raises:
        UserError: it is a file, or may not be written to.
    """
    made = not folder.exists()
    make_folder(folder, "paths.output")
    probe = folder / f".writable-{uuid.uuid4().hex[:8]}"
    with explained(folder):
        try:
            probe.write_bytes(b"")
        finally:
            probe.unlink(missing_ok=True)
            if made:
                folder.rmdir()  # a render that fails leaves no empty folder


def _copy(source: Path, target: Path, digest: str) -> Path:
    import hashlib

    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    checksum = hashlib.sha256()
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with source.open("rb") as read, temporary.open("wb") as write:
                while block := read.read(1 << 20):
                    checksum.update(block)
                    write.write(block)
                write.flush()
                os.fsync(write.fileno())
            if checksum.hexdigest() != digest:
                raise DamagedObject(f"{source} is damaged", fix="run the render again: it is made again")
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    return target
