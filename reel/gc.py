"""Garbage collection: what kept renders were made of stays, the rest of the cache can go.

Reachable is every output of a kept render and, through the remembered keys, all that those outputs were made from.
Records are never removed: they are small, and the history of what was rendered is worth more than the bytes.
"""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reel.errors import UserError
from reel.files import flocked, read_file
from reel.history.record import RenderRecord, list_records
from reel.history.recorder import alive
from reel.keys import entries
from reel.store import Store

DAY = 86400.0


@dataclass(frozen=True)
class Item:
    """Something that can go.

    Attributes:
        kind: `object rgb`, `frame results`, `key`, `draft`, ...; what sizes are summed under.
        name: the digest, or the file's name.
        size: bytes.
    """

    kind: str
    name: str
    path: Path
    size: int


@dataclass(frozen=True)
class Plan:
    """What would go and what would stay; nothing is touched before `apply`.

    Attributes:
        going, staying: bytes and number by kind.
        live: renders that were running when the plan was made.
    """

    store: Store
    items: tuple[Item, ...]
    going: Mapping[str, tuple[int, int]]
    staying: Mapping[str, tuple[int, int]]
    live: frozenset[str]

    @property
    def size(self) -> int:
        """Bytes that would be freed."""
        return sum(item.size for item in self.items)

    def apply(self) -> int:
        """Remove what was planned; returns the bytes freed.

        Raises:
            UserError: a render began since the plan was made, and may use what is about to go.
        """
        with self.store.lock("gc"):
            began = _live(list_records(self.store)[0], self.store) - self.live
            if began:
                raise UserError(
                    f"a render began meanwhile ({', '.join(sorted(began))}); nothing was removed",
                    fix="wait until it has ended, or plan again",
                )
            for item in self.items:
                _remove(self.store, item)
        return self.size


def collect(store: Store, keep_runs: Collection[str]) -> Plan:
    """Work out what can go if these renders are to be kept, beside those that run now.

    Raises:
        UserError: a record cannot be read (what it protects is unknown), or a run to keep has none.
    """
    records = _readable(store)
    missing = set(keep_runs) - {record.run for record in records}
    if missing:
        raise UserError(f"no record of run {', '.join(sorted(missing))}", fix="see what there is: rotoscope runs")
    live = _live(records, store)
    chosen = live | set(keep_runs)
    kept = [record for record in records if record.run in chosen or record.parent in chosen]
    since = min((record.started.timestamp() for record in records if record.run in live), default=float("inf"))
    known = list(entries(store))
    wanted = _ancestry((stage.digest for record in kept for stage in record.stages), known)
    young = {digest for digest in store.digests() if _manifest(store, digest).stat().st_mtime >= since}
    staying, going = _split(store, known, wanted | young)
    return Plan(store, tuple(going), _sums(going), _sums(staying), live)


def latest_runs(store: Store, count: int) -> list[str]:
    """Ids of the ``count`` newest renders that ended well, newest first; a search's trials belong to it."""
    done = [record.run for record in _readable(store) if record.status == "done" and record.parent is None]
    return sorted(done, reverse=True)[:count]


def usage(store: Store) -> dict[str, tuple[int, int]]:
    """Bytes and number of everything in the store, by kind."""
    staying, going = _split(store, [], set(store.digests()))
    return _sums([*staying, *going])


def _readable(store: Store) -> list[RenderRecord]:
    records, problems = list_records(store)
    if problems:
        raise problems[0]
    return records


def _live(records: Iterable[RenderRecord], store: Store) -> frozenset[str]:
    return frozenset(record.run for record in records if record.status == "running" and alive(store, record.run))


def _ancestry(roots: Iterable[str], known: Iterable[tuple[str, dict[str, Any]]]) -> set[str]:
    """The digests and all that they were made from; an object made in several ways keeps all of them."""
    made_from: dict[str, set[str]] = defaultdict(set)
    for _, entry in known:
        made_from[entry["output"]].update(entry["fields"]["inputs"].values())
    found: set[str] = set()
    todo = list(roots)
    while todo:
        digest = todo.pop()
        if digest not in found:
            found.add(digest)
            todo.extend(made_from.get(digest, ()))
    return found


def _split(
    store: Store, known: Iterable[tuple[str, dict[str, Any]]], wanted: set[str]
) -> tuple[list[Item], list[Item]]:
    """All of the store as (staying, going)."""
    staying: list[Item] = []
    going: list[Item] = []
    frames: set[str] = set()
    for digest in store.digests():
        item, files = _object(store, digest)
        (staying if digest in wanted else going).append(item)
        if digest in wanted:
            frames.update(files)
    for path in _files(store.root / "frames"):
        (staying if path.name in frames else going).append(_item("frame results", path))
    stay = {key for key, entry in known if entry["output"] in wanted}
    for folder, kind in (("keys", "key"), ("results", "pointer")):
        for path in _files(store.root / folder):
            (staying if path.name.removesuffix(".json") in stay else going).append(_item(kind, path))
    for path in _files(store.root / "comfyui"):  # keys by what a server was asked for
        key = (read_file(path) or b"").decode("ascii", "replace")
        (staying if key in stay else going).append(_item("request", path))
    staying.extend(_item("record", path) for path in _files(store.root / "records"))
    for path in sorted((store.root / "journals").glob("*")):  # of renders that were broken off
        (going if time.time() - path.stat().st_mtime > 30 * DAY else staying).append(_item("checkpoint", path))
    for path in sorted((store.root / "verify").glob("*")):  # of verifications that were broken off
        with store.lock(f"verify-{path.name}", wait=False) as free:
            left = free and time.time() - path.stat().st_mtime > DAY
            (going if left else staying).append(_item("verification", path))
    for path in sorted((store.root / "tmp").iterdir()):
        (going if _abandoned(store, path) else staying).append(_item("draft", path))
    return staying, going


def _object(store: Store, digest: str) -> tuple[Item, Collection[str]]:
    folder = store.folder(digest)
    try:
        stored = store.get(digest)
        kind, files = f"object {stored.kind}", list(stored.files.values())
    except UserError:  # damaged: remade when it is needed
        kind, files = "object damaged", []
    return Item(kind, digest, folder, sum(path.stat().st_size for path in _files(folder))), files


def _abandoned(store: Store, path: Path) -> bool:
    """Whether an entry of tmp/ has no living owner: a draft's lock is held for as long as it is written."""
    if path.name.startswith("draft-"):
        lock = path if path.suffix == ".lock" else path.with_name(f"{path.name}.lock")
        if not lock.exists():
            return True
        with flocked(lock, wait=False) as free:
            return free
    return path.name.startswith("gone-") or time.time() - path.stat().st_mtime > DAY


def _remove(store: Store, item: Item) -> None:
    if item.kind.startswith("object "):
        store.discard(item.name)
    elif item.path.is_dir():
        shutil.rmtree(item.path, ignore_errors=True)
    else:
        item.path.unlink(missing_ok=True)
    if item.kind == "key":
        lock = store.root / "locks" / f"op-{item.path.stem}.lock"
        if lock.exists():
            with flocked(lock, wait=False) as free:
                if free:
                    lock.unlink(missing_ok=True)


def _manifest(store: Store, digest: str) -> Path:
    return store.folder(digest) / "manifest.json"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _item(kind: str, path: Path) -> Item:
    size = sum(part.stat().st_size for part in _files(path)) if path.is_dir() else path.stat().st_size
    return Item(kind, path.name, path, size)


def _sums(items: Iterable[Item]) -> dict[str, tuple[int, int]]:
    sums: dict[str, tuple[int, int]] = {}
    for item in items:
        size, count = sums.get(item.kind, (0, 0))
        sums[item.kind] = (size + item.size, count + 1)
    return dict(sorted(sums.items()))


__all__ = ["Item", "Plan", "collect", "latest_runs", "usage"]
