"""The content-addressed store: whole objects or nothing, checked whenever they are read.

Layout under the root, which must be one local file system (atomic rename and flock need that)::

    objects/ab/<digest>/manifest.json + files    an object; its manifest is written last, so that it means "whole"
    frames/<namespace>/ab/<digest>               raw results of one op for one frame, each with its own checksum
    keys/<key>.json                              what went into a cache key and what came out (reel.keys)
    results/                                     Prefect's pointers from cache key to digest
    records/<run>.json                           one record a render (reel.history.record)
    locks/ tmp/                                  flocks; drafts that are being written
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from reel.digest import is_digest
from reel.errors import DamagedObject, MissingObject, UserError

SCHEMA = 1
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_FOLDER = {errno.ENOENT, errno.ENOTDIR, errno.EEXIST}


def sha256_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """One spelling for one value: sorted keys, no spaces, UTF-8, NaN refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def write_atomic(path: Path, data: bytes) -> None:
    """Write a small file so that a reader sees the old bytes or the new ones, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    with explained(path):
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_checked(path: Path, data: bytes) -> None:
    """`write_atomic` with a digest before the data, for `read_checked`."""
    write_atomic(path, f"{sha256_bytes(data)}\n".encode() + data)


def read_checked(path: Path) -> bytes | None:
    """What `write_checked` wrote; None where it is missing or damaged."""
    try:
        digest, _, data = path.read_bytes().partition(b"\n")
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
            raise UserError(
                f"no room left while writing {path} ({os.strerror(error.errno)}); nothing half-written was kept",
                fix="free some space (`rotoscope gc` shows what can go) or point paths.store at another disk; "
                "what was finished before stays cached",
            ) from error
        if error.errno in _DENIED:
            raise UserError(
                f"cannot write {path}: {os.strerror(error.errno)}",
                fix="check the folder's owner and mode, or choose another with paths.store / paths.output",
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
def flocked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold an exclusive flock; the kernel frees it when the process ends, however it ends.

    Yields:
        whether the lock is held (always true with ``wait``).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


class Store:
    """A local content-addressed store. Opening one creates its folders and nothing else."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()
        for name in ("objects", "frames", "keys", "results", "records", "locks", "tmp"):
            make_folder(self.root / name, "paths.store")

    def folder(self, digest: str) -> Path:
        """Where an object lies, or would.

        Raises:
            MissingObject: there can be none of that name; one that were a path would lead out of the store.
        """
        if not is_digest(digest):
            raise MissingObject(
                f"{digest!r:.80} is not a digest, which has 64 hexadecimal digits, so no object has that name",
                fix="run the render again: what is missing is made again",
            )
        return self.root / "objects" / digest[:2] / digest

    def draft(self, kind: str) -> Draft:
        """Begin a new object; see `Draft`."""
        return Draft(self, kind)

    def get(self, digest: str) -> Stored:
        """Open an object by its digest; the manifest is checked now, each file when it is read.

        Raises:
            MissingObject: there is none of that digest.
            DamagedObject: its manifest is not the one that was stored.
            UserError: it was written by a newer Rotoscope.
        """
        path = self.folder(digest) / "manifest.json"
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise MissingObject(
                f"object {digest[:12]} is not in the store {self.root}",
                fix="run the render again: what is missing is made again",
            ) from None
        if sha256_bytes(data) != digest:
            raise DamagedObject(
                f"{path}: damaged manifest (its bytes do not give the digest it is filed under)",
                fix="run the render again: damaged objects are detected and made again",
            )
        manifest = json.loads(data)
        if manifest["schema"] != SCHEMA:
            raise UserError(
                f"{path}: written with store schema {manifest['schema']}, this version reads {SCHEMA}",
                fix="use the version of Rotoscope that wrote it, or another paths.store",
            )
        return Stored(self, digest, manifest)

    def verify(self, digest: str) -> None:
        """Read every byte of an object.

        Raises:
            MissingObject, DamagedObject: as `get`, or a file is gone or changed.
        """
        stored = self.get(digest)
        for name in stored.files:
            stored.check(name)

    def discard(self, digest: str) -> None:
        """Take an object out of the store (moved aside first, so that nobody sees half of it)."""
        folder = self.folder(digest)
        grave = self.root / "tmp" / f"gone-{uuid.uuid4().hex}"
        with contextlib.suppress(FileNotFoundError):
            folder.rename(grave)
            shutil.rmtree(grave, ignore_errors=True)

    def digests(self) -> list[str]:
        """Digests of all whole objects, sorted."""
        found = (path.parent.name for path in (self.root / "objects").glob("*/*/manifest.json"))
        return sorted(name for name in found if is_digest(name))

    def per_frame(self, namespace: str) -> FrameCache:
        """Raw results of one op and its settings, one entry a frame digest."""
        return FrameCache(self.root / "frames" / namespace)

    def lock(self, name: str, *, wait: bool = True) -> contextlib.AbstractContextManager[bool]:
        """A named flock, held across processes."""
        return flocked(self.root / "locks" / f"{name}.lock", wait=wait)


class Stored:
    """A whole object: its kind, its meta data and its files by name."""

    def __init__(self, store: Store, digest: str, manifest: Mapping[str, Any]) -> None:
        self.store = store
        self.digest = digest
        self.kind: str = manifest["kind"]
        self.meta: dict[str, Any] = manifest["meta"]
        self.files: dict[str, str] = manifest["files"]

    def path(self, name: str) -> Path:
        """Path of a file, for programs that want one. Unchecked: use `read` or `check` where bytes matter."""
        if name not in self.files:
            raise MissingObject(
                f"object {self.digest[:12]} ({self.kind}) has no file {name!r}; it has "
                f"{', '.join(list(self.files)[:5])}..."
            )
        return self.store.folder(self.digest) / name

    def read(self, name: str) -> bytes:
        """The bytes of a file, checked against the manifest."""
        path = self.path(name)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise DamagedObject(f"{path} is missing", fix="run the render again: it is made again") from None
        self._compare(path, sha256_bytes(data), self.files[name])
        return data

    def check(self, name: str) -> None:
        """As `read`, in constant memory and without returning the bytes."""
        path = self.path(name)
        try:
            digest = sha256_file(path)
        except FileNotFoundError:
            raise DamagedObject(f"{path} is missing", fix="run the render again: it is made again") from None
        self._compare(path, digest, self.files[name])

    def _compare(self, path: Path, found: str, expected: str) -> None:
        if found != expected:
            raise DamagedObject(
                f"{path} is damaged: sha256 {found[:12]}, stored as {expected[:12]}",
                fix="run the render again: damaged objects are detected and made again",
            )


class Draft:
    """An object while it is written: a temporary directory that becomes visible in one rename.

    Use as a context manager; leaving it without `commit` (an exception, a kill) leaves nothing in ``objects/``.
    """

    def __init__(self, store: Store, kind: str) -> None:
        self.store = store
        self.kind = kind
        self.files: dict[str, str] = {}
        self.digest: str | None = None
        self._held = contextlib.ExitStack()
        name = f"draft-{uuid.uuid4().hex}"
        self.dir = store.root / "tmp" / name
        with explained(self.dir):
            self._held.enter_context(flocked(store.root / "tmp" / f"{name}.lock"))  # gc leaves held drafts alone
            self.dir.mkdir()

    def __enter__(self) -> Draft:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.with_name(f"{self.dir.name}.lock").unlink(missing_ok=True)
        self._held.close()

    def add(self, name: str, data: bytes | Path) -> str:
        """Add a file; a path is moved in and must be on the store's file system (best inside ``self.dir``).

        Returns:
            the sha256 of its bytes.
        """
        target = self.dir / name
        if name in self.files or not target.resolve().is_relative_to(self.dir.resolve()):
            raise ValueError(f"bad or repeated file name {name!r}")
        with explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(data, Path):
                if data != target:
                    data.replace(target)
                digest = sha256_file(target)
            else:
                target.write_bytes(data)
                digest = sha256_bytes(data)
            _fsync(target)
        self.files[name] = digest
        return digest

    def commit(self, **meta: Any) -> str:
        """Write the manifest, then rename the whole into place.

        Args:
            meta: JSON values that describe the object; they are part of its digest.

        Returns:
            the object's digest.
        """
        manifest = canonical_json({"schema": SCHEMA, "kind": self.kind, "meta": meta, "files": self.files})
        digest = sha256_bytes(manifest)
        for stray in [p for p in self.dir.rglob("*") if p.is_file() and str(p.relative_to(self.dir)) not in self.files]:
            stray.unlink()
        with explained(self.dir):
            (self.dir / "manifest.json").write_bytes(manifest)
            _fsync(self.dir / "manifest.json")
            for folder in {path.parent for path in self.dir.rglob("*")} | {self.dir}:
                _fsync(folder)
            self._publish(digest)
        self.digest = digest
        return digest

    def _publish(self, digest: str) -> None:
        target = self.store.folder(digest)
        with self.store.lock("publish"):
            if target.exists():
                try:
                    self.store.verify(digest)
                    return
                except (DamagedObject, MissingObject):
                    self.store.discard(digest)
            target.parent.mkdir(exist_ok=True)
            self.dir.rename(target)
            _fsync(target.parent)


class FrameCache:
    """Bytes by frame digest. A damaged or cut entry reads as absent, so that it is simply made again."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, frame: str) -> bytes | None:
        try:
            data = (self.root / frame[:2] / frame).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        checksum, payload = data[:32], data[32:]
        return payload if hashlib.sha256(payload).digest() == checksum else None

    def put(self, frame: str, data: bytes) -> None:
        write_atomic(self.root / frame[:2] / frame, hashlib.sha256(data).digest() + data)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
