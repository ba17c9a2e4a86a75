"""Storyboard files out of a watched folder, with the pictures and sounds that they name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flows.flow import Drop
from reel.errors import UserError
from reel.files import sha256_bytes, sha256_file
from reel.story.file import read


def named(path: Path) -> Iterator[tuple[str, Path]]:
    """Every file that a storyboard names, with its place: ``shots.2.picture``.

    Raises:
        UserError: it is no storyboard.
    """
    board = read(path).board
    for one in board.characters:
        yield from ((f"characters: {one.name}", picture) for picture in one.pictures)
    for number, shot in enumerate(board.shots, 1):
        for key in ("picture", "last", "sound"):
            if (file := getattr(shot, key)) is not None:
                yield f"shots.{number}.{key}", file


def digest(path: Path) -> str:
    """Digest of a storyboard and of all files that it names.

    Raises:
        UserError: it is no storyboard, or names a file that is not there.
    """
    digests = [sha256_file(path)]
    for place, file in named(path):
        if not file.is_file():
            raise UserError(f"{place}: {file} does not exist", fix="drop what a story names before the story itself")
        digests.append(sha256_file(file))
    return sha256_bytes("\n".join(digests).encode())


DROP = Drop("file", ("*.yaml", "*.yml"), digest, named)
