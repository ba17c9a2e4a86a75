"""What one process worked out of conf/ and the settings classes, kept for the next: a composed config, a flow's help.

It lies beside Python's own cache of these modules and is as dispensable: missing, damaged or not to be written, it
makes a command slower and nothing else. It is never stale, since it is found by a fingerprint of everything that it can
depend on (`fingerprint`), and each item names the environment variables that were read for it, with their values.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from flows.config.root import project_root
from reel.errors import UserError
from reel.files import read_checked, sha256_bytes, write_checked
from reel.masking import masked

PLACE = Path(__file__).parent / "__pycache__" / "kept"
MOST = 200
"""Items at most; the ones not used for longest go first."""
FIRST_PARTY = ("reel", "tasks", "flows")
OURS = "ROTOSCOPE_"
"""What the names of the project's own environment variables begin with."""

_LARGEST = 1_000_000
"""Bytes of a file that is read for a fingerprint: no file of settings and no source has more."""
_CODE = Path(__file__).parents[2]
_BEGAN = time.time_ns()
_PURE = {"oc.env", "oc.select", "oc.decode", "oc.create", "oc.dict.keys", "oc.dict.values", "oc.deprecated"}
"""Resolvers whose result follows from the config and from environment variables, which are noted when they are read."""
_OF_HYDRA = {"now", "hydra"}
"""Further ones that stand in Hydra's own part, which is not kept."""
_RESOLVER = re.compile(rb"\$\{\s*([^\s{}:$]*)\s*:")
_UNCLEAR = re.compile(rb"\$\{[^{}:]*\$\{|\$\{[\s.]*hydra\b")
"""A name that is itself worked out, and a value of Hydra's own part."""

variables: dict[str, str | None] = {}
"""Environment variables that interpolations of this process have read, with their values (`flows.config.engine`)."""


class Kept:
    """Items kept for one folder of config files, as it is now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._now = fingerprint(folder)

    def get(self, *key: str) -> Any:
        """The item of that key; None: there is none, or it was made of something else."""
        if self._now is None:
            return None
        path = self._path(key)
        if (data := read_checked(path)) is None:
            return None
        item = json.loads(data)
        if any(os.environ.get(name) != value for name, value in item["variables"].items()):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # for _make_room
        return item["data"]

    def put(self, data: Any, *key: str) -> None:
        """Keep plain data, where it comes back from JSON as it was and nothing has been written to meanwhile.

        What follows from a variable of the user's own is not kept, as it may be a password. A disk that does not allow
        it is no error.
        """
        if self._now is None or not all(name.startswith(OURS) for name in variables):
            return
        if fingerprint(self._folder) != self._now:
            return
        try:
            body = json.dumps({"variables": variables, "data": data})
        except (TypeError, ValueError):
            return
        if masked(body) != body:  # a password was typed where a setting takes none
            return
        if repr(json.loads(body)["data"]) != repr(data):
            return
        with contextlib.suppress(OSError, UserError):
            PLACE.mkdir(mode=0o700, parents=True, exist_ok=True)  # overrides may hold passwords, too
            write_checked(self._path(key), body.encode())
            _make_room()

    def _path(self, key: tuple[str, ...]) -> Path:
        assert self._now is not None
        name = sha256_bytes(json.dumps([self._now.digest, *key]).encode())
        return PLACE / f"{name[:32]}.json"


def is_ours(cls: type) -> bool:
    """Whether a class is written in a source that the fingerprint covers, or comes with Python or a distribution."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    places = [sys.prefix, sys.base_prefix, *(str(_CODE / package) for package in FIRST_PARTY)]
    return file is None or any(file.startswith(f"{place}{os.sep}") for place in places)


def plain(overrides: Iterable[str]) -> bool:
    """Whether what overrides give depends on nothing that a fingerprint does not see."""
    return all(_is_plain(text.encode("utf-8", "surrogateescape")) for text in overrides)


class Fingerprint(NamedTuple):
    """What `fingerprint` gives: a digest, and when the newest of the files was written (ns, by the inode)."""

    digest: str
    newest: int


def fingerprint(folder: Path) -> Fingerprint | None:
    """A digest of all that settings can depend on beside overrides and environment variables.

    That is every file of the folder, the source of every module of this project, the installed distributions, Python
    and where all of them lie. None where that does not hold: a config file takes in the time, Hydra's own part or files
    from elsewhere, or a source is newer than this process, which then runs other code than it says.
    """
    total = hashlib.sha256(repr((sys.version, sys.path, str(folder), str(project_root()))).encode())
    for path in filter(os.path.isdir, dict.fromkeys(sys.path)):
        total.update(repr(_distributions(path)).encode())
    sources = (found for package in FIRST_PARTY for found in _files(str(_CODE / package), ".py"))
    newest = 0
    for path, data, written in [*_files(str(folder)), *sources]:
        if data is None:
            return None
        if path.endswith(".py") and written > _BEGAN:
            return None
        if path.startswith(f"{folder}/") and not _is_plain(data, hydras=_is_hydras(path[len(str(folder)) :], data)):
            return None
        total.update(f"{path} {sha256_bytes(data)}\n".encode())
        newest = max(newest, written)
    return Fingerprint(total.hexdigest(), newest)


def _files(folder: str, suffix: str = "") -> Iterator[tuple[str, bytes | None, int]]:
    """Files below a folder with that ending, sorted: their bytes and when they were last written or moved (ns).

    None for the bytes of a pipe, a device and a file that is larger than a setting's or a source is.
    """
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _files(entry.path, suffix)
        elif not entry.name.endswith(suffix):
            continue
        elif not entry.is_file():
            yield entry.path, None, 0
        else:
            with open(entry.path, "rb") as file:  # noqa: PTH123  (a Path for each would cost as much as the reading)
                known = os.fstat(file.fileno())
                yield entry.path, file.read() if known.st_size <= _LARGEST else None, known.st_ctime_ns


def _distributions(folder: str) -> list[str]:
    """Names of what is installed in a folder of ``sys.path``, versions included, and of its plugins for Hydra."""
    names = [entry.name for entry in os.scandir(folder)]
    found = [name for name in names if name.endswith((".dist-info", ".egg-info", ".egg-link", ".pth"))]
    if "hydra_plugins" in names:
        found += [entry.name for entry in os.scandir(f"{folder}/hydra_plugins")]
    return sorted(found)


def _is_plain(text: bytes, *, hydras: bool = False) -> bool:
    """Whether a config's text takes in nothing that the fingerprint does not see.

    Args:
        hydras: it is of Hydra's own part, of which nothing is kept but what names no other value.
    """
    if b"searchpath" in text:
        return False
    used = {name.decode("utf-8", "replace") for name in _RESOLVER.findall(text)}
    return used <= _PURE | _OF_HYDRA if hydras else used <= _PURE and not _UNCLEAR.search(text)


def _is_hydras(path: str, text: bytes) -> bool:
    return path.startswith("/hydra/") and b"@package" not in text


def _make_room() -> None:
    items = sorted(PLACE.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in items[MOST:]:
        path.unlink(missing_ok=True)
