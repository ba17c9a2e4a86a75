"""Settings that every flow that renders has (conf/_render.yaml)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from flows.paths import Paths
from reel.compute import Compute
from reel.config import FIGURES, FILES, OPERATIONAL, Config, Field, Finite, LocalPath, Marker, Text
from tasks.live.terminal import Terminal
from tasks.stylize.settings.compute import decided
from tasks.tracking.settings import Tracking


class Looking(Config):
    """What those see who look on while a render works."""

    every: Finite = Field(default=3.0, ge=0, le=3600)
    """Seconds between two live pictures of the clip, preview.webp in the render's folder; 0: none."""
    terminal: Terminal = "none"
    """Draw them in the terminal, too: `kitty`, `iterm` or `sixel`, whichever it takes; `auto`: if it says so itself."""


class Rendering(Config):
    """What a render needs beside what it shows."""

    name: Annotated[Text, OPERATIONAL] = ""
    """A title for lists of renders: `first try with the red coat`; empty: they show what it is made of."""
    measure: Annotated[dict[str, dict[str, Any] | None], FIGURES] = {}
    """Metrics of the finished render, by name; none (`measure=none`) measures nothing. See docs/measure.md."""
    reference: Annotated[LocalPath | None, FIGURES] = None
    """A picture of the character, for measure.clip_image; empty: stylize.ip_adapter's, where there is one."""
    live: Annotated[Looking, OPERATIONAL] = Looking()
    """Pictures of the clip while it is drawn; they change nothing of it."""
    finish: Annotated[dict[str, dict[str, Any] | None], FILES] = {}
    """What is done to the finished film's frames, in this order: `finish=[interpolate,upscale]`. See docs/film.md."""
    compute: Compute
    tracking: Annotated[Tracking, OPERATIONAL]
    paths: Annotated[Paths, OPERATIONAL]

    def result_part(self, without: Collection[Marker] = ()) -> dict[str, Any]:
        """With what this machine decides about ``compute``: `auto` is another result on another machine."""
        part = super().result_part(without)
        if "finish" in part:  # an order, and nothing where nothing is chosen
            steps = [[name, settings] for name, settings in part.pop("finish").items()]
            part |= {"finish": steps} if steps else {}
        return {**part, "compute": {**part["compute"], **decided(self.compute)}}
