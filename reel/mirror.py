"""A mirror of the store in a bucket, on another host or disk: pushed to and pulled from, never worked in.

Any address that fsspec understands will do (``s3://bucket/folder``, ``sftp://host/folder``, ``file:///mnt/nas/x``;
some need their own package). The mirror has the store's layout. An object's manifest goes last, so that an object that
was cut off half-way is no object; what arrives is checked against its digest before it enters the store. Per-frame
results are not mirrored: they are made again from the frames.

A mirror is trusted for one thing: that a key's output is what the op gives. All else is checked or made anew here:
objects are held against their digests, keys against the hash of their fields, records against their checksums; names
are digests and ids, never paths; Prefect's pointers are neither pushed nor pulled but written from key and digest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from reel.digest import is_digest
from reel.errors import DamagedObject, MissingObject, UserError
from reel.files import canonical_json, read_file, read_regular, sha256_bytes, write_atomic
from reel.history.record import RUN_ID, RenderRecord, dump, find_record, list_records, parse_record, save
from reel.keys import parse_entry
from reel.masking import masked
from reel.pointer import write_pointer
from reel.store import SCHEMA, Store, parse_manifest

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
        manifest = read_regular(store.folder(digest) / "manifest.json")
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
        if (entry := read_file(store.root / "keys" / f"{key}.json")) is not None:
            mirror.write(f"keys/{key}.json", entry)
    for record in records:
        mirror.write(f"records/{record.run}.json", dump(record))
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
    wanted = _named(mirror.names("records"), RUN_ID.fullmatch) if runs is None else [_run(run) for run in runs]
    records = _closed([_arrived(mirror, run, mirror.needed(f"records/{run}.json")) for run in wanted])
    digests = [name for name in mirror.folders("objects") if is_digest(name)] if runs is None else _digests(records)
    moved = pull_objects(store, url, digests, mirror=mirror)
    for key in _named(mirror.names("keys"), is_digest) if runs is None else _keys(records):
        _pull_key(store, mirror, key)
    for record in records:
        save(store, record)
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


def _named(files: Iterable[str], fits: Callable[[str], object]) -> list[str]:
    """What JSON files of a mirror's folder are called, but for those that are none of ours."""
    stems = (name.removesuffix(".json") for name in files if name.endswith(".json"))
    return [stem for stem in stems if fits(stem)]


def _run(name: str) -> str:
    if not RUN_ID.fullmatch(name):
        raise UserError(f"{name!r} is not a run's id", fix="give it whole, as `rotoscope runs` shows it")
    return name


def _arrived(mirror: _Mirror, run: str, text: bytes) -> RenderRecord:
    """A pulled record, which must be the one it is filed as."""
    record = parse_record(text, f"{mirror.url}/records/{run}.json")
    if record.run != run:
        raise DamagedObject(f"{mirror.url}/records/{run}.json: is the record of {record.run}", fix="push it again")
    return record


def _pull_object(store: Store, mirror: _Mirror, digest: str) -> int:
    place = f"objects/{digest[:2]}/{digest}"
    data = mirror.read(f"{place}/manifest.json")
    if data is None:
        raise MissingObject(f"object {digest[:12]} is not in the mirror {mirror.url}", fix="push it again")
    if sha256_bytes(data) != digest:
        raise _damaged(mirror, place)
    try:
        manifest = parse_manifest(data)
    except ValueError:
        raise _damaged(mirror, place) from None
    if (schema := manifest["schema"]) != SCHEMA:
        raise UserError(f"{mirror.url}/{place}: written with store schema {schema!r:.40}, this reads {SCHEMA}")
    kind, meta, files = manifest["kind"], manifest["meta"], manifest["files"]
    size = 0
    with store.draft(kind) as draft:
        for name, sha256 in files.items():
            arrived = draft.dir / name
            if not arrived.resolve().is_relative_to(draft.dir.resolve()):
                raise _damaged(mirror, f"{place}/{name}")
            arrived.parent.mkdir(parents=True, exist_ok=True)
            mirror.fetch(f"{place}/{name}", arrived)
            if draft.add(name, arrived) != sha256:
                raise _damaged(mirror, f"{place}/{name}")
            size += arrived.stat().st_size
        if draft.commit(**meta) != digest:
            raise _damaged(mirror, place)
    return size


def _pull_key(store: Store, mirror: _Mirror, key: str) -> None:
    """A key that is truly the hash of its fields, and a pointer of our own to its output, if that is here."""
    data = mirror.read(f"keys/{key}.json")
    if data is None:
        return
    try:
        entry = parse_entry(data)
        whole = sha256_bytes(canonical_json(entry["fields"])) == key
    except ValueError:
        whole = False
    if not whole:
        raise DamagedObject(f"{mirror.url}/keys/{key}.json: damaged key", fix="push it again")
    if store.folder(entry["output"]).exists():
        write_atomic(store.root / "keys" / f"{key}.json", data)
        write_pointer(store, key, entry["output"])


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
    return sorted(path.stem for path in (store.root / "keys").glob("*.json") if is_digest(path.stem))


class _Mirror:
    """A folder somewhere that fsspec reaches; its troubles become one clear error."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        self.url = masked(url.rstrip("/"))  # for messages
        self.fs, root = self._tried(lambda: url_to_fs(url.rstrip("/")))
        self.root: str = root.rstrip("/")
        kinds = self.fs.protocol
        self._protocols = (kinds,) if isinstance(kinds, str) else tuple(kinds)

    def read(self, name: str) -> bytes | None:
        """A small file's bytes, or None when there is no such file."""

        def once() -> bytes | None:
            try:
                return self.fs.cat_file(self._file(name))
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
        def once() -> None:
            try:
                self.fs.get_file(self._file(name), str(path))
            except FileNotFoundError:
                raise _damaged(self, name) from None

        self._tried(once)

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, sorted."""
        return sorted(Path(name).name for name in self._tried(lambda: self.fs.find(f"{self.root}/{folder}")))

    def folders(self, folder: str) -> list[str]:
        """Names of the folders that hold a manifest, sorted."""
        found = self._tried(lambda: self.fs.find(f"{self.root}/{folder}"))
        return sorted(name.split("/")[-2] for name in found if name.endswith("/manifest.json"))

    def _file(self, name: str) -> str:
        """Where a file of the mirror is, if nothing else stands there: on a disk that may be a pipe, and never end."""
        path = f"{self.root}/{name}"
        if "file" in self._protocols and self.fs.info(path)["type"] != "file":
            raise UserError(
                f"{self.url}/{name} is not a regular file", fix="look at what stands there, and push the render again"
            )
        return path

    def _parent(self, name: str) -> None:
        self._tried(lambda: self.fs.makedirs(f"{self.root}/{name}".rpartition("/")[0], exist_ok=True))

    def _tried(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except UserError:
            raise
        except ImportError as error:
            raise UserError(f"mirror {self.url}: {error}", fix="install the package it names") from None
        except Exception as error:  # every file system brings errors of its own
            first = next(iter(str(error).splitlines()), "")
            raise UserError(
                f"mirror {self.url}: {type(error).__name__}: {first}", fix="check the address, the network and access"
            ) from error


__all__ = ["Moved", "pull", "pull_objects", "push"]
