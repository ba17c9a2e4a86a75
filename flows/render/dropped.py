"""Files that watched folders take: movies and still pictures."""

from __future__ import annotations

from pathlib import Path

from flows.flow import Drop
from reel.errors import UserError

MOVIES = ("*.mp4", "*.mov", "*.mkv", "*.webm", "*.avi", "*.m4v", "*.gif")
PICTURES = ("*.png", "*.jpg", "*.jpeg", "*.webp", "*.heic", "*.avif", "*.tif", "*.tiff")


def movie(key: str) -> Drop:
    """A movie whose every frame can be found.

    Args:
        key: the setting that names it.
    """

    def digest(path: Path) -> str:
        from tasks.media.known_facts import facts
        from tasks.media.source import open_source, source_digest

        source = open_source(path)
        if source.pictures:
            raise UserError("is a still picture")
        facts(source)
        return source_digest(path)

    return Drop(key, MOVIES, digest)


def picture(key: str) -> Drop:
    """A still picture that can be read; one that is transparent is for the render to refuse, or to put on a ground.

    Args:
        key: the setting that names it.
    """

    def digest(path: Path) -> str:
        from tasks.animate.pictures import look
        from tasks.media.source import source_digest

        look(path, key, background=True)
        return source_digest(path)

    return Drop(key, PICTURES, digest)
