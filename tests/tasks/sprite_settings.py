"""The settings of the embedded family's second half as conf/train_sprite.yaml has them, without Hydra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

CONF = Path(__file__).parents[2] / "conf" / "train_sprite.yaml"


def shipped_ltx() -> dict[str, Any]:
    """The block `ltx`, with plain names in place of paths."""
    return {**yaml.safe_load(CONF.read_text("utf-8"))["ltx"], "output": "out", "first_half": "sprite"}
