"""Settings that every flow that renders has (conf/_render.yaml)."""

from __future__ import annotations

from typing import Any

from flows.paths import Paths
from reel.compute import Compute
from reel.config import Config, LocalPath
from tasks.tracking.settings import Tracking


class Rendering(Config):
    """What a render needs beside what it shows."""

    measure: dict[str, dict[str, Any] | None] = {}
    """Metrics of the finished render, by name; none (`measure=none`) measures nothing. See docs/measure.md."""
    reference: LocalPath | None = None
    """A picture of the character, for measure.clip_image; empty: stylize.ip_adapter's, where there is one."""
    compute: Compute
    tracking: Tracking
    paths: Paths
