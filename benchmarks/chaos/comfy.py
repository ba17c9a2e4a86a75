"""The ComfyUI that `comfyui` is disturbed on: the tests' small server, which nobody kills."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.comfyui.record import graph
from tests.comfyui.server import Scripted, serving

ADDRESS = "COMFYUI_URL"
"""Environment variable that says where the server is."""
PACE = 0.1
"""Seconds between two of its messages, of which a graph has two dozen."""


@dataclass
class Comfy:
    """A server, and what commands have it do."""

    script: Scripted

    def begin(self) -> None:
        """Be one that nobody has asked for anything."""
        self.script.forget()
        self.script.prompts.clear()
        self.script.cancelled.clear()

    def twice(self) -> list[str]:
        """Ids that were queued more than once, as no command may, however often it was killed."""
        return [prompt for prompt, count in Counter(self.script.prompts).items() if count > 1]


@contextmanager
def comfy() -> Iterator[Comfy]:
    """A server, its address in the environment."""
    before = os.environ.get(ADDRESS)
    with serving(Scripted(pace=PACE)) as script:
        os.environ[ADDRESS] = script.url
        try:
            yield Comfy(script)
        finally:
            del os.environ[ADDRESS]
            os.environ |= {ADDRESS: before} if before is not None else {}


def write_graph(path: Path) -> None:
    path.write_text(json.dumps(graph()), "utf-8")
