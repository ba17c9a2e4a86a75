"""Settings of the ops that run a graph."""

from __future__ import annotations

from typing import Any

from reel.config import Config, Field, Finite


class Version(Config):
    """What is known of a server that can change what it makes."""

    comfyui: str
    pytorch: str
    device: str
    """``cuda``, ``cpu``, ``mps``."""


class Run(Config):
    """A graph, and where it runs."""

    graph: dict[str, Any]
    """As ComfyUI takes it, without titles; inputs that are uploads hold their names on the server."""
    uploads: dict[str, str] = {}
    """Names on the server of the files that are uploaded first, by the input that holds them (``file_0``, ...)."""
    output: str
    """Id of the node whose files are taken."""
    packs: dict[str, str] = {}
    """Modules that the server has the graph's custom nodes from, by their class."""
    server: Version


class Frames(Config):
    """How files become frames."""

    fps: Finite = Field(default=8.0, gt=0, le=240)
    """Frames a second of pictures; a film keeps its own times."""
