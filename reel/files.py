"""Files that Rotoscope writes for itself: whole or not at all, told in words when the disk refuses, locked by flock.

Whatever stands in such a file's place is taken for what it is. A folder there is damage like any other: reading finds
nothing, and writing moves it aside, out of the way but not away. A pipe or a device is never read: whoever opens a pipe
waits for it, and a device has no end.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import stat
import uuid
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

from reel.errors import NoRoom, UserError

log = logging.getLogger(__name__)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_FOLDER = {errno.ENOENT, errno.ENOTDIR, errno.EEXIST}
_IN_THE_WAY = {errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENXIO}
_NO_LOCKS = {errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ESTALE}


def sha256_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading, if it is a regular one; nothing is waited for.

    Raises:
        OSError: it cannot be opened; ``IsADirectoryError`` and ``EINVAL`` are for what is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(number, os.strerror(number) if number == errno.EISDIR else "Not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path) -> bytes:
    """The bytes of a file; raises as `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def sha256_file(path: Path) -> str:
    """Raises as `open_regular`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """One spelling for one value: sorted keys, no spaces, UTF-8, NaN refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def write_atomic(path: Path, data: bytes) -> None:
    """Write a small file so that a reader sees the old bytes or the new ones, never a part.

    Raises:
        UserError: the disk is full or does not let us.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            try:
                temporary.replace(path)
            except IsADirectoryError:
                if not aside(path):
                    raise
                temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


def here() -> str:
    """The folder one stands in; empty where it was deleted."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def read_file(path: Path) -> bytes | None:
    """The bytes of a file; None where there is none, or something that no bytes can be read from, such as a folder.

    Raises:
        UserError: we are not allowed to read it.
    """
    try:
        return read_regular(path)
    except OSError as error:
        refuse_denied(path, error)
        return None


def refuse_denied(path: Path, error: OSError) -> None:
    """Tell apart what we may not read from what cannot be read.

    Raises:
        UserError: we are not allowed to read it.
    """
    if error.errno in _DENIED:
        raise UserError(
            f"cannot read {path}: {os.strerror(error.errno)}",
            fix="check the owner and mode of the file and its folders",
        ) from error


def aside(path: Path) -> bool:
    """Move a folder out of the way that stands where a file belongs; whether there was one.

    The slash has the system refuse to move anything but a folder. Of several processes that find one, those that come
    late cannot move the file that the first has put in its place.
    """
    place = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.aside")
    try:
        os.rename(f"{path}/", place)  # noqa: PTH104  # pathlib would drop the slash
    except OSError:
        return False
    log.warning("%s was a folder where a file belongs; it was moved to %s", path, place)
    return True


def write_checked(path: Path, data: bytes) -> None:
    """`write_atomic` with a digest before the data, for `read_checked`."""
    write_atomic(path, f"{sha256_bytes(data)}\n".encode() + data)


def read_checked(path: Path) -> bytes | None:
    """What `write_checked` wrote; None where it is missing or damaged."""
    try:
        digest, _, data = read_regular(path).partition(b"\n")
    except OSError:
        return None
    return data if digest == sha256_bytes(data).encode() else None


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the disk's refusals (full, quota, file-size limit, read-only) into one clear error."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoRoom(
                f"no room left while writing {path} ({os.strerror(error.errno)}); nothing half-written was kept",
                fix="free some space (`rotoscope gc` shows what can go) or point paths.store at another disk; "
                "what was finished before stays cached",
            ) from error
        if error.errno in _DENIED:
            raise UserError(
                f"cannot write {path}: {os.strerror(error.errno)}",
                fix="check the folder's owner and mode, or choose another with paths.store / paths.output",
            ) from error
        if error.errno in _IN_THE_WAY:
            raise UserError(
                f"cannot write {path}: something else stands there or on the way to it ({os.strerror(error.errno)})",
                fix=f"look at {error.filename or path} and move it away",
            ) from error
        raise


def make_folder(folder: Path, key: str) -> None:
    """Make a folder that a setting names, with its parents.

    Args:
        key: the setting, for the message.

    Raises:
        UserError: something that is no folder stands in the way, or it may not be made there.
    """
    with explained(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno not in _NO_FOLDER:
                raise
            raise UserError(
                f"{key}: {folder} is not a folder and cannot be made one ({os.strerror(error.errno)})",
                fix=f"choose another with {key}=",
            ) from error


@contextlib.contextmanager
def flocked(path: Path, *, wait: bool = True, shared: bool = False) -> Iterator[bool]:
    """Hold a flock; the kernel frees it when the process ends, however it ends.

    Args:
        shared: with others that share it; otherwise alone.

    Yields:
        whether the lock is held (always true with ``wait``).

    Raises:
        UserError: the file system knows no such locks, or does not let us make the file.
    """
    with contextlib.ExitStack() as held:
        while True:
            with explained(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                file = held.enter_context(_opened(path))
            if not _taken(file, path, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)):
                yield False
                return
            if _is_at(file, path):
                break
            held.close()  # whoever had it took the file away with it: others hold the one that is there now
        yield True


def _opened(path: Path) -> IO[str]:
    try:
        return open(path, "a", opener=_at_once)  # pathlib takes no opener
    except IsADirectoryError:
        if not aside(path):
            raise
        return open(path, "a", opener=_at_once)


def _at_once(path: str, flags: int) -> int:
    """A pipe in the lock's place is refused (``ENXIO``), and not waited for."""
    return os.open(path, flags | os.O_NONBLOCK, 0o666)


def _taken(file: IO[str], path: Path, operation: int) -> bool:
    try:
        fcntl.flock(file, operation)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise UserError(
            f"{path} cannot be locked: its file system does not support flock ({os.strerror(error.errno)})",
            fix="keep the store on a local disk (paths.store=...); `rotoscope mirror push` copies it to other places",
        ) from error
    return True


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether an open file is the one that its path names now."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
