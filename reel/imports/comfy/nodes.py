"""The nodes of ComfyUI that are read, a row each.

A new node is a row in the table of its pack: `core`, `animatediff`, `control`, `films` or `vace`. What an input is: a
fact (`Is`), a link that is followed (`Go`), a value without effect while it is its neutral one (`Plain`), something
without a counterpart (`No`). An input that a row does not name is not mapped, and told.
"""

from __future__ import annotations

from reel.imports.comfy.animatediff import ANIMATEDIFF
from reel.imports.comfy.control import CONTROLS, MAKERS
from reel.imports.comfy.core import MODELS, SAMPLERS, TEXTS
from reel.imports.comfy.films import ADAPTERS, ENDS, FILMS, SOURCES
from reel.imports.comfy.rows import Go, No, Row
from reel.imports.comfy.vace import VACE

NODES: dict[str, Row] = {
    **SAMPLERS, **TEXTS, **MODELS, **ANIMATEDIFF, **CONTROLS, **MAKERS, **SOURCES, **FILMS, **VACE, **ENDS,
    **ADAPTERS,
    "Reroute": Row({"": Go()}),
    "Note": Row({"text": No("a note")}),
    "MarkdownNote": Row({"text": No("a note")}),
}  # fmt: skip
"""All nodes by class."""
