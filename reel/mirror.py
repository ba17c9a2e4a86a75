"""A mirror of the store in a bucket, on another host or disk: pushed to and pulled from, never worked in.

Any address that fsspec understands will do (``s3://bucket/folder``, ``sftp://host/folder``, ``file:///mnt/nas/x``;
some need their own package). The mirror has the store's layout. An object's manifest goes last, so that an object that
was cut off half-way is no object; what arrives is checked against its digest before it enters the store. Per-frame
results are not mirrored: they are made again from the frames.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from reel.errors import DamagedObject, MissingObject, UserError
from reel.history.record import RenderRecord, find_record, list_records, parse_record, record_path
from reel.store import SCHEMA, Store, canonical_json, sha256_bytes, write_atomic

_DIGEST = re.compile(r"[0-9a-f]{64}")
T = TypeVar("T")


@dataclass(frozen=True)
class Moved:
    """What a push or pull did.

    Attributes:
        objects: how many were copied.
        skipped: how many were there already.
        size: bytes of the copied objects.
    """

    objects: int
    skipped: int
    size: int
    runs: tuple[str, ...]


def push(store: Store, url: str, runs: Collection[str] | None = None) -> Moved:
    """Copy renders to a mirror: their objects, keys and records. Damaged objects are refused, not spread.

    Args:
        runs: ids of renders; None: everything in the store.

    Raises:
        UserError: the mirror cannot be reached or written, or no such run.
        MissingObject, DamagedObject: an object of a named run is not whole (run it again first).
    """
    mirror = _Mirror(url)
    records = _closed(list_records(store)[0] if runs is None else [find_record(store, run) for run in runs])
    digests = store.digests() if runs is None else _digests(records)
    copied = skipped = size = 0
    for digest in digests:
        store.verify(digest)
        manifest = (store.folder(digest) / "manifest.json").read_bytes()
        place = f"objects/{digest[:2]}/{digest}"
        if mirror.read(f"{place}/manifest.json") == manifest:
            skipped += 1
            continue
        stored = store.get(digest)
        for name in stored.files:
            mirror.put(stored.path(name), f"{place}/{name}")
            size += stored.path(name).stat().st_size
        mirror.write(f"{place}/manifest.json", manifest)
        copied += 1
    for key in _all_keys(store) if runs is None else _keys(records):
        for name in (f"keys/{key}.json", f"results/{key}"):
            if (store.root / name).exists():
                mirror.write(name, (store.root / name).read_bytes())
    for record in records:
        mirror.write(f"records/{record.run}.json", record_path(store, record.run).read_bytes())
    return Moved(copied, skipped, size, tuple(record.run for record in records))


def pull(store: Store, url: str, runs: Collection[str] | None = None) -> Moved:
    """Copy renders from a mirror; a render pulled whole is then taken from the cache, not computed.

    Args:
        runs: ids of renders; None: everything there is.

    Raises:
        UserError: the mirror cannot be reached, or has no such run.
        DamagedObject: what arrived is not what its digest says; it did not enter the store.
    """
    mirror = _Mirror(url)
    names = mirror.names("records") if runs is None else [f"{run}.json" for run in runs]
    texts = {name: mirror.needed(f"records/{name}") for name in names}
    records = _closed(parse_record(text, f"{url}/records/{name}") for name, text in texts.items())
    digests = [Path(name).name for name in mirror.folders("objects")] if runs is None else _digests(records)
    moved = pull_objects(store, url, digests, mirror=mirror)
    keys = [name.removesuffix(".json") for name in mirror.names("keys")] if runs is None else _keys(records)
    for key in keys:
        _pull_key(store, mirror, key)
    for record in records:
        write_atomic(record_path(store, record.run), texts[f"{record.run}.json"])
    return Moved(moved.objects, moved.skipped, moved.size, tuple(record.run for record in records))


def pull_objects(store: Store, url: str, digests: Iterable[str], *, mirror: _Mirror | None = None) -> Moved:
    """Copy single objects from a mirror; those that are here and whole are left alone.

    Raises:
        MissingObject: the mirror has no such object.
        DamagedObject: what arrived is not what its digest says.
    """
    mirror = mirror or _Mirror(url)
    copied = skipped = size = 0
    for digest in digests:
        try:
            store.verify(digest)
            skipped += 1
        except (MissingObject, DamagedObject):
            size += _pull_object(store, mirror, digest)
            copied += 1
    return Moved(copied, skipped, size, ())


def _pull_object(store: Store, mirror: _Mirror, digest: str) -> int:
    place = f"objects/{digest[:2]}/{digest}"
    data = mirror.read(f"{place}/manifest.json")
    if data is None:
        raise MissingObject(f"object {digest[:12]} is not in the mirror {mirror.url}", fix="push it again")
    if sha256_bytes(data) != digest:
        raise _damaged(mirror, place)
    manifest = json.loads(data)
    if manifest["schema"] != SCHEMA:
        raise UserError(f"{mirror.url}/{place}: written with store schema {manifest['schema']}, this reads {SCHEMA}")
    size = 0
    with store.draft(manifest["kind"]) as draft:
        for name, sha256 in manifest["files"].items():
            arrived = draft.dir / name
            if not arrived.resolve().is_relative_to(draft.dir.resolve()):
                raise _damaged(mirror, f"{place}/{name}")
            arrived.parent.mkdir(parents=True, exist_ok=True)
            mirror.fetch(f"{place}/{name}", arrived)
            if draft.add(name, arrived) != sha256:
                raise _damaged(mirror, f"{place}/{name}")
            size += arrived.stat().st_size
        if draft.commit(**manifest["meta"]) != digest:
            raise _damaged(mirror, place)
    return size


def _pull_key(store: Store, mirror: _Mirror, key: str) -> None:
    """A key that is truly the hash of its fields, and Prefect's pointer to an output that is here."""
    entry, pointer = mirror.read(f"keys/{key}.json"), mirror.read(f"results/{key}")
    if entry is None or pointer is None or not _DIGEST.fullmatch(key):
        return
    try:
        known, result = json.loads(entry), json.loads(pointer)
        whole = sha256_bytes(canonical_json(known["fields"])) == key
        output = known["output"]
        whole = whole and json.loads(result["result"]) == output
        result["metadata"]["storage_key"] = str(store.root / "results" / key)
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise DamagedObject(f"{mirror.url}/keys/{key}.json: damaged key", fix="push it again")
    if store.folder(output).exists():
        write_atomic(store.root / "keys" / f"{key}.json", entry)
        write_atomic(store.root / "results" / key, json.dumps(result).encode())


def _damaged(mirror: _Mirror, name: str) -> DamagedObject:
    return DamagedObject(
        f"{mirror.url}/{name}: damaged in the mirror, or cut off on the way; it did not enter the store",
        fix="delete it in the mirror and push it again from a store where it is intact",
    )


def _closed(records: Iterable[RenderRecord]) -> list[RenderRecord]:
    return [record for record in records if record.status != "running"]


def _digests(records: Iterable[RenderRecord]) -> list[str]:
    return list(dict.fromkeys(stage.digest for record in records for stage in record.stages))


def _keys(records: Iterable[RenderRecord]) -> list[str]:
    return list(dict.fromkeys(stage.key for record in records for stage in record.stages))


def _all_keys(store: Store) -> list[str]:
    return sorted(path.stem for path in (store.root / "keys").glob("*.json"))


class _Mirror:
    """A folder somewhere that fsspec reaches; its troubles become one clear error."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        self.url = url.rstrip("/")
        self.fs, root = self._tried(lambda: url_to_fs(self.url))
        self.root: str = root.rstrip("/")

    def read(self, name: str) -> bytes | None:
        """A small file's bytes, or None when there is no such file."""

        def once() -> bytes | None:
            try:
                return self.fs.cat_file(f"{self.root}/{name}")
            except FileNotFoundError:
                return None

        return self._tried(once)

    def needed(self, name: str) -> bytes:
        data = self.read(name)
        if data is None:
            raise UserError(f"the mirror {self.url} has no {name}", fix="look at the address and the run's id")
        return data

    def write(self, name: str, data: bytes) -> None:
        self._parent(name)
        self._tried(lambda: self.fs.pipe_file(f"{self.root}/{name}", data))

    def put(self, path: Path, name: str) -> None:
        self._parent(name)
        self._tried(lambda: self.fs.put_file(str(path), f"{self.root}/{name}"))

    def fetch(self, name: str, path: Path) -> None:
        try:
            self._tried(lambda: self.fs.get_file(f"{self.root}/{name}", str(path)))
        except FileNotFoundError:
            raise _damaged(self, name) from None

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, sorted."""
        return sorted(Path(name).name for name in self._tried(lambda: self.fs.find(f"{self.root}/{folder}")))

    def folders(self, folder: str) -> list[str]:
        """Folders that hold a manifest, sorted."""
        found = self._tried(lambda: self.fs.find(f"{self.root}/{folder}"))
        return sorted(name.removesuffix("/manifest.json") for name in found if name.endswith("/manifest.json"))

    def _parent(self, name: str) -> None:
        self._tried(lambda: self.fs.makedirs(f"{self.root}/{name}".rpartition("/")[0], exist_ok=True))

    def _tried(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except (FileNotFoundError, UserError):
            raise
        except ImportError as error:
            raise UserError(f"mirror {self.url}: {error}", fix="install the package it names") from None
        except Exception as error:  # every file system brings errors of its own
            first = next(iter(str(error).splitlines()), "")
            raise UserError(
                f"mirror {self.url}: {type(error).__name__}: {first}", fix="check the address, the network and access"
            ) from error


__all__ = ["Moved", "pull", "pull_objects", "push"]
