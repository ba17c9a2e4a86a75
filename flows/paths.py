"""Settings that every flow shares: where things lie (conf/paths/)."""

from __future__ import annotations

from reel.config import Config, LocalPath


class Paths(Config):
    """Folders of the checkout. None of them is part of a cache key."""

    root: LocalPath
    """The checkout: the folder that holds conf/."""
    store: LocalPath
    """Cache of every stage's output, records and locks; one local file system."""
    models: LocalPath
    """The embedded model family, and files fetched from wheels."""
    renders: LocalPath
    """Parent of the folders of finished renders."""
    output: LocalPath | None = None
    """Folder of this render; empty: a new one under `renders`, named after the run."""
