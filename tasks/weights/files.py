"""Files of the weight cache: one lock per thing fetched, whole files only, digests remembered by size and time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from reel.errors import UserError
from reel.files import flocked, open_regular
from tasks.weights.header import read_header

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: data/models and models.lock.json stand here."""

T = TypeVar("T")


class ModelAbsent(UserError):
    """A model's files are not on this machine and could not be fetched."""


class ModelChanged(UserError):
    """A model's files are not the ones that were recorded."""


class NetworkTrouble(Exception):
    """A fetch failed in a way that may pass: worth another try."""


def cache_dir() -> Path:
    """Where fetched files live: $ROTOSCOPE_CACHE, else $XDG_CACHE_HOME/rotoscope, else ~/.cache/rotoscope."""
    if set_by_user := os.environ.get("ROTOSCOPE_CACHE"):
        return Path(set_by_user).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "rotoscope"


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock ``name`` against other threads and processes. The kernel frees it when a process dies."""
    folder = cache_dir() / "locks"
    with flocked(folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.lock"):
        yield


def write_whole(target: Path, data: bytes) -> None:
    """Write ``data`` so that ``target`` is either the old file or all of the new one, also after a crash."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(target: Path, value: Any) -> None:
    """`write_whole` of indented JSON with sorted keys."""
    write_whole(target, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def sha256_of(path: Path) -> str:
    """Digest of a file's bytes. A file that has not changed since it was last read is not read again.

    "Not changed" means device, inode, size, modification and change time are those noted beside the digest.
    """
    path = path.resolve()
    stat = path.stat()
    seen = [stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    if (read := _READ.get(path)) and read[0] == seen:
        return read[1]
    note = cache_dir() / "digests" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:32]}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(note.read_text())
        if known["seen"] == seen:
            _READ[path] = seen, str(known["sha256"])
            return _READ[path][1]
    with open_regular(path) as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    # a file written within the clock's tick could change again without a new time: not noted
    if time.time_ns() - stat.st_mtime_ns > 2_000_000_000:
        _READ[path] = seen, digest
        with contextlib.suppress(OSError):
            write_json(note, {"path": str(path), "seen": seen, "sha256": digest})
    return digest


_READ: dict[Path, tuple[list[int], str]] = {}
"""What this process knows of the notes: how a file was seen, and its digest."""


def with_retries(fetch: Callable[[], T], *, tries: int = 4, first_wait: float = 1.0) -> T:
    """Call ``fetch``, again after 1, 2, 4 ... seconds when it raises `NetworkTrouble`; other errors pass at once."""
    for attempt in range(1, tries + 1):
        try:
            return fetch()
        except NetworkTrouble:
            if attempt == tries:
                raise
            time.sleep(first_wait * 2 ** (attempt - 1))
    raise AssertionError("unreachable")


def parameter_count(file: Path) -> int:
    """Numbers in a safetensors file, read from its header alone.

    Raises:
        NotSafetensors: it is none, or not a whole one.
    """
    return read_header(file).count


def parameter_bytes(path: Path, each: int) -> int:
    """Memory that a model's weights take at ``each`` bytes a number: all safetensors files in ``path``.

    Raises:
        NotSafetensors: one of them is none, or not a whole one.
    """
    files = [path] if path.is_file() else sorted(path.rglob("*.safetensors"))
    return sum(parameter_count(file) * each for file in files if file.suffix == ".safetensors")
