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
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from reel.digest import is_digest
from reel.errors import DamagedObject, MissingObject, UserError
from reel.files import (
    canonical_json,
    explained,
    flocked,
    make_folder,
    read_file,
    read_regular,
    refuse_denied,
    sha256_bytes,
    sha256_file,
    write_atomic,
)

SCHEMA = 1
FOLDERS = ("objects", "frames", "keys", "results", "records", "locks", "tmp")
_REMAKE = "run the render again: damaged objects are detected and made again"


_FRAME = re.compile(r"[0-9a-f]{8,64}")


class Store:
    """A local content-addressed store. Opening one creates its folders and nothing else."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()
        for name in FOLDERS:
            make_folder(self.root / name, "paths.store")
            if not os.access(self.root / name, os.R_OK | os.X_OK):  # it would look like an empty one
                raise UserError(
                    f"paths.store: {self.root / name} may not be read by this user",
                    fix="check the folder's owner and mode, or choose another with paths.store=",
                )

    @property
    def writable(self) -> bool:
        """Whether anything new can be kept: not on a disk that is mounted read-only, nor in another user's folders."""
        return all(os.access(self.root / name, os.W_OK | os.X_OK) for name in FOLDERS)

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
        data = read_file(path)
        if data is None and not path.exists():
            raise MissingObject(
                f"object {digest[:12]} is not in the store {self.root}",
                fix="run the render again: what is missing is made again",
            )
        if data is None or sha256_bytes(data) != digest:
            raise DamagedObject(
                f"{path}: damaged manifest (its bytes do not give the digest it is filed under)", fix=_REMAKE
            )
        try:
            manifest = parse_manifest(data)
        except ValueError as error:
            raise DamagedObject(f"{path}: {error}", fix=_REMAKE) from None
        if manifest["schema"] != SCHEMA:
            raise UserError(
                f"{path}: written with store schema {manifest['schema']!r:.40}, this version reads {SCHEMA}",
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
        self._bury(self.folder(digest))

    def _bury(self, path: Path) -> None:
        grave = self.root / "tmp" / f"gone-{uuid.uuid4().hex}"
        with contextlib.suppress(FileNotFoundError), explained(path):
            path.rename(grave)
            shutil.rmtree(grave, ignore_errors=True)
            grave.unlink(missing_ok=True)  # a file that stood in an object's place

    def digests(self) -> list[str]:
        """Digests of all whole objects, sorted."""
        manifests = (self.root / "objects").glob("*/*/manifest.json")
        return sorted(path.parent.name for path in manifests if path.is_file() and is_digest(path.parent.name))

    def per_frame(self, namespace: str) -> FrameCache:
        """Raw results of one op and its settings, one entry a frame digest."""
        return FrameCache(self.root / "frames" / namespace)

    def lock(self, name: str, *, wait: bool = True) -> contextlib.AbstractContextManager[bool]:
        """A named flock, held across processes."""
        return flocked(self.root / "locks" / f"{name}.lock", wait=wait)


def parse_manifest(data: bytes) -> dict[str, Any]:
    """An object's manifest as plain data; of another schema than ours, whatever it holds.

    Raises:
        ValueError: it is none. Its digest does not say so: anybody can file anything under its own digest.
    """
    try:
        manifest = json.loads(data)
        if manifest["schema"] == SCHEMA:
            kind, meta, files = (manifest[name] for name in ("kind", "meta", "files"))
            whole = isinstance(kind, str) and isinstance(meta, dict) and all(map(is_digest, files.values()))
        else:
            whole = isinstance(manifest, dict)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise ValueError("not the manifest of an object")
    found: dict[str, Any] = manifest
    return found


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
        with _readable(path):
            data = read_regular(path)
        self._compare(path, sha256_bytes(data), self.files[name])
        return data

    def check(self, name: str) -> None:
        """As `read`, in constant memory and without returning the bytes."""
        path = self.path(name)
        with _readable(path):
            digest = sha256_file(path)
        self._compare(path, digest, self.files[name])

    def _compare(self, path: Path, found: str, expected: str) -> None:
        if found != expected:
            raise DamagedObject(f"{path} is damaged: sha256 {found[:12]}, stored as {expected[:12]}", fix=_REMAKE)


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
            if not target.parent.is_dir():
                self.store._bury(target.parent)  # a file that stood in its place
                target.parent.mkdir()
            self.dir.rename(target)
            _fsync(target.parent)


class FrameCache:
    """Bytes by frame digest. A damaged or cut entry reads as absent, so that it is simply made again."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, frame: str) -> bytes | None:
        data = read_file(self._path(frame))
        if data is None:
            return None
        checksum, payload = data[:32], data[32:]
        return payload if hashlib.sha256(payload).digest() == checksum else None

    def put(self, frame: str, data: bytes) -> None:
        write_atomic(self._path(frame), hashlib.sha256(data).digest() + data)

    def _path(self, frame: str) -> Path:
        """
        Raises:
            DamagedObject: no digest, nor a number in its place, as only a damaged object says of a frame.
        """
        if not _FRAME.fullmatch(frame):
            raise DamagedObject(f"{frame!r:.80} is not the digest of a frame", fix="run the render again")
        return self.root / frame[:2] / frame


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """A file of an object that cannot be read is damaged, unless it is only we who may not read it."""
    try:
        yield
    except OSError as error:
        refuse_denied(path, error)
        what = "is missing" if isinstance(error, FileNotFoundError) else f"is damaged: {error.strerror}"
        raise DamagedObject(f"{path} {what}", fix=_REMAKE) from None


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
