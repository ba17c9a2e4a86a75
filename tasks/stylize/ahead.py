"""Import the heavy libraries beside the work that comes before the renderer: their seconds then cost nothing."""

from __future__ import annotations

import contextlib
import threading


def import_ahead() -> None:
    """Begin to import what the renderer needs, in a thread. A failure is left to the renderer's own import."""
    threading.Thread(target=_import, name="import-ahead", daemon=True).start()


def _import() -> None:
    with contextlib.suppress(Exception):
        from diffusers import AnimateDiffVideoToVideoControlNetPipeline  # noqa: F401
        from transformers import CLIPTextModel  # noqa: F401
