"""Settings that every flow that renders has (conf/_render.yaml)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from flows.paths import Paths
from reel.compute import Compute
from reel.config import FIGURES, OPERATIONAL, Config, LocalPath, Marker, Text
from tasks.stylize.settings.compute import decided
from tasks.tracking.settings import Tracking


class Rendering(Config):
    """What a render needs beside what it shows."""

    name: Annotated[Text, OPERATIONAL] = ""
    """A title for lists of renders: `first try with the red coat`; empty: they show what it is made of."""
    measure: Annotated[dict[str, dict[str, Any] | None], FIGURES] = {}
    """Metrics of the finished render, by name; none (`measure=none`) measures nothing. See docs/measure.md."""
    reference: Annotated[LocalPath | None, FIGURES] = None
    """A picture of the character, for measure.clip_image; empty: stylize.ip_adapter's, where there is one."""
    compute: Compute
    tracking: Annotated[Tracking, OPERATIONAL]
    paths: Annotated[Paths, OPERATIONAL]

    def result_part(self, without: Collection[Marker] = ()) -> dict[str, Any]:
        """With what this machine decides about ``compute``: `auto` is another result on another machine."""
        part = super().result_part(without)
        return {**part, "compute": {**part["compute"], **decided(self.compute)}}
