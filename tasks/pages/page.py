"""What the pages share that open from disk and load nothing: style, the making of nodes, data that stays data.

What renders say (prompts, names, reasons of failures) is hostile text. It goes into a page as JSON in which nothing can
end the script element that it stands in, and the page's script makes text nodes of it, never markup.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_OWN = Path(__file__).parent


def filled(template: Path, parts: Mapping[str, str]) -> bytes:
    """A page: the template with each ``{{NAME}}`` replaced by that part."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template.read_text("utf-8")).encode()


def style(*files: Path) -> str:
    """What all pages look like, and then these files."""
    return _joined(_OWN / "base.css", *files)


def script(*files: Path) -> str:
    """What all pages make their nodes with, and then these files, in the order in which they need one another."""
    return _joined(_OWN / "dom.js", *files)


def embedded(value: Any) -> str:
    """JSON that can stand inside a script element whatever its texts hold: ASCII, without ``<``, ``>`` and ``&``."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _joined(*files: Path) -> str:
    return "\n".join(file.read_text("utf-8") for file in files)
