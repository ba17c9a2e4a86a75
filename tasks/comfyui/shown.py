"""What a person sees of a graph that runs: its place in the queue, a bar for each node that counts, live pictures."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from reel.comfy.node import Node
from reel.op import Context
from tasks.comfyui.messages import Message

SIDE = 512
"""px of a live picture's longer side at most; ComfyUI's own are as large."""
MOST_SIDE = 8192
"""px of one that is read at all."""


class Shown:
    """Told of messages about one graph; as a context manager.

    Args:
        nodes: of the graph, by id.
    """

    def __init__(self, nodes: Mapping[str, Node], ctx: Context) -> None:
        self._nodes = nodes
        self._ctx = ctx
        self._bar: Any = None
        self._of: tuple[str, int] = ("", 0)
        self._drawn: list[Path] = []
        self._place: int | None = None

    def __enter__(self) -> Shown:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def waits(self, place: int | None) -> None:
        """It waits for others, said whenever that changes."""
        if place and place != self._place and self._ctx.say is not None:
            self._ctx.say("queue", f"{place} graph{'s' * (place != 1)} before this one")
        self._place = place

    def tell(self, message: Message) -> None:
        match message.kind:
            case "executing":
                self._close()
            case "progress":
                self._progress(message.data)
            case "preview":
                self._picture(message.picture)

    def _progress(self, data: Mapping[str, Any]) -> None:
        done, total = data.get("value"), data.get("max")
        if not isinstance(done, int | float) or not isinstance(total, int | float) or not 1 < total < 1e9:
            return
        id = str(data.get("display_node") or data.get("node") or "")
        if self._bar is None or self._of != (id, int(total)):
            self._close()
            node = self._nodes.get(id)
            self._bar = self._ctx.progress(int(total), node.title or node.kind if node else f"node {id}", "step")
            self._of = (id, int(total))
        if (more := min(done, total) - self._bar.n) > 0:
            self._bar.update(int(more))

    def _picture(self, data: bytes) -> None:
        live = self._ctx.live
        if live is None or not live.picture_is_due():
            return
        from tasks.live.picture import show

        with contextlib.suppress(OSError, ValueError, SyntaxError):  # no picture, as Pillow says it
            frame = _read(data)
            show(live, lambda: [frame], 1.0, self._drawn)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _read(data: bytes) -> Any:
    """A preview ``(H, W, 3)`` uint8, at most `SIDE` px long.

    Raises:
        OSError, ValueError, SyntaxError: it is no JPEG or PNG, or an enormous one.
    """
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as picture:
        if max(picture.size) > MOST_SIDE:
            raise ValueError("too large")
        picture.thumbnail((SIDE, SIDE))
        return np.ascontiguousarray(np.asarray(picture.convert("RGB")))
