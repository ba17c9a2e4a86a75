"""Damage to files of a store: a bit, a cut, another kind of thing in its place, something else's content."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

KINDS: dict[str, tuple[str, ...]] = {
    "object": ("objects/*/*/frames/*", "objects/*/*/[!mf]*", "objects/*/*/movie.mp4"),
    "manifest": ("objects/*/*/manifest.json",),
    "key": ("keys/*.json",),
    "pointer": ("results/*",),
    "record": ("records/*.json",),
    "frame result": ("frames/*/*/*",),
    "lock": ("locks/*.lock", "sweeps/*/locks/*.lock"),
    "sweep": ("sweeps/*/manifest.json", "sweeps/*/points/*.json"),
    "search": ("searches/*/search.json", "searches/*/study.log", "searches/*/study.log.seal"),
}
"""Where each kind of thing lies in a store."""


def flip(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        _write(path, bytes(data))


def cut(path: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    _write(path, data[: rng.randrange(len(data))] if data else b"")


def odd_byte(path: Path, rng: random.Random) -> None:
    """A byte that no UTF-8 text has."""
    data = path.read_bytes()
    place = rng.randrange(len(data) + 1)
    _write(path, data[:place] + b"\xff" + data[place:])


def other_json(path: Path, rng: random.Random) -> None:
    """Sound JSON of another form."""
    _write(path, rng.choice([b"[]", b"{}", b"null", b"3", b'"text"', b'{"schema": 99}']))


def folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path, rng: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def gone(path: Path, rng: random.Random) -> None:
    path.unlink()


def neighbour(path: Path, rng: random.Random) -> None:
    """The content of another file of its kind."""
    others = sorted(other for other in path.parent.iterdir() if other.is_file() and other != path)
    if others:
        _write(path, rng.choice(others).read_bytes())


WAYS: Sequence[Callable[[Path, random.Random], None]] = (
    flip,
    flip,
    flip,
    cut,
    odd_byte,
    other_json,
    folder,
    pipe,
    gone,
    neighbour,
)


def damaged(store: Path, rng: random.Random, count: int) -> list[str]:
    """Damage so many files, of a kind drawn first, so that the few records count as much as the many frames.

    Returns:
        what was done, in words.
    """
    done: list[str] = []
    for _ in range(count):
        kind = rng.choice(list(KINDS))
        files = sorted({path for pattern in KINDS[kind] for path in store.glob(pattern) if path.is_file()})
        if files:
            path, way = rng.choice(files), rng.choice(WAYS)
            way(path, rng)
            done.append(f"{kind}: {way.__name__} {path.relative_to(store)}")
    return done


def shifted(store: Path, seconds: float) -> None:
    """Move the times of change of all files, as a copy from a machine with another clock has them."""
    for path in store.rglob("*"):
        if not path.is_symlink():
            stat = path.stat()
            os.utime(path, (stat.st_atime + seconds, stat.st_mtime + seconds))


def _write(path: Path, data: bytes) -> None:
    """In place and without a sync, as decay does it."""
    path.chmod(0o644)
    path.write_bytes(data)


__all__ = ["KINDS", "WAYS", "damaged", "shifted"]
