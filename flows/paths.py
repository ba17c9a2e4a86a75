"""Settings that every flow shares: where things lie (conf/paths/)."""

from __future__ import annotations

from pathlib import Path

from reel.config import Config


class Paths(Config):
    """Folders of the checkout. None of them is part of a cache key."""

    root: Path
    """The checkout: the folder that holds conf/."""
    store: Path
    """Cache of every stage's output, records and locks; one local file system."""
    models: Path
    """The embedded model family, and files fetched from wheels."""
    renders: Path
    """Parent of the folders of finished renders."""
    output: Path | None = None
    """Folder of this render; empty: a new one under `renders`, named after the run."""
