"""What files hold, in the place of their paths: settings that name the same bytes are the same settings."""

from __future__ import annotations

import functools
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reel.config import Config, Place, arms, leaves
from reel.errors import UserError
from reel.files import canonical_json, sha256_bytes, sha256_file
from reel.nested import mapped


def with_content(cls: type[Config], part: Mapping[str, Any]) -> dict[str, Any]:
    """Plain settings of a class with each file or folder that a path names replaced by the digest of what it holds."""
    paths = _path_places(cls)

    def held(path: tuple[str, ...], value: Any) -> Any:
        named = isinstance(value, str) and value and any(place.matches(path) for place in paths)
        return content(Path(value)) if named else value

    found: dict[str, Any] = mapped(part, held)
    return found


@functools.cache
def _path_places(cls: type[Config]) -> tuple[Place, ...]:
    return tuple(
        place
        for place in leaves(cls)
        if any(isinstance(arm, type) and issubclass(arm, Path) for arm in arms(place.annotation))
    )


MOST_FILES = 200_000
"""In a folder that a setting names: two hours of pictures."""


def _files(folder: Path) -> Iterator[Path]:
    found = (item for item in folder.rglob("*") if item.is_file())
    for number, item in enumerate(found):
        if number == MOST_FILES:
            raise UserError(
                f"{folder}: has more than {MOST_FILES} files in it and its folders", fix="name the folder meant"
            )
        yield item


_KNOWN: dict[tuple[Path, int, int], str] = {}
"""Digests of files by path, size and time of change: a sweep names the same clip at every point."""


def content(path: Path) -> str:
    """Digest of a file, or of a folder's files with their names; the path itself where there is no such thing.

    Raises:
        UserError: a folder with more files than a clip or a model has.
    """
    try:
        if path.is_dir():
            files = [[item.relative_to(path).as_posix(), content(item)] for item in sorted(_files(path))]
            return sha256_bytes(canonical_json(files))
        return _of_file(path)
    except OSError:  # not there, or another user's: whoever opens it says so
        return str(path)


def _of_file(path: Path) -> str:
    known = path.stat()
    if not stat.S_ISREG(known.st_mode):  # a pipe or a device has no content; whoever takes it as a file is told so
        return str(path)
    key = (path.absolute(), known.st_size, known.st_mtime_ns)
    if key not in _KNOWN:
        _KNOWN[key] = sha256_file(path)
    return _KNOWN[key]
