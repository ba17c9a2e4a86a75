"""What one family draws: the side of its frame and its attributes, and which drawing it was trained on.

It stands as `family.json` beside the weights, and whoever reads a family (metrics, benchmarks, tests) takes it from
there: the probe's outputs and captions of another family may differ from those that are trained today.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reel.errors import UserError
from tasks.sprite.attributes import CHOICES, Choices

FILE = "family.json"
STYLE = 3
"""Which drawing a family was trained on: raise it when `figure.py` draws otherwise, so that no probe reads pictures of
another kind than it knows."""
STRIDE = 8  # px a latent cell, of every VAE of the family


@dataclass(frozen=True)
class Spec:
    """A family's own world; the default is what is trained today."""

    frame: int = 192
    """Side of a picture, px."""
    choices: Choices = field(default_factory=lambda: dict(CHOICES))
    """Attribute -> values, in the order of the probe's outputs."""

    def __post_init__(self) -> None:
        if self.frame < 64 or self.frame % (4 * STRIDE):  # the UNet halves its latents twice
            raise ValueError(f"frame: {self.frame} px is not a multiple of {4 * STRIDE} from 64")
        if not self.choices:
            raise ValueError("choices: a family has at least one attribute")
        for name, values in self.choices.items():
            unknown = [v for v in values if v not in CHOICES.get(name, ())]
            if name not in CHOICES or unknown:
                raise ValueError(f"choices: {name} {', '.join(unknown)} cannot be drawn")

    @property
    def cells(self) -> int:
        """Latent cells along a side."""
        return self.frame // STRIDE

    def content(self) -> dict[str, Any]:
        """The spec as plain data."""
        return {"frame": self.frame, "style": STYLE, "choices": {k: list(v) for k, v in self.choices.items()}}

    def save(self, folder: Path) -> None:
        """Write `family.json`, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{FILE}.new"
        draft.write_text(json.dumps(self.content(), indent=1) + "\n")
        draft.replace(folder / FILE)


def load(folder: Path) -> Spec:
    """The spec of an exported family.

    Raises:
        UserError: the folder has none, or one that this version cannot draw.
    """
    path = folder / FILE
    if not path.is_file():
        raise UserError(
            f"{folder} has no {FILE}: it is not a family of Rotoscope's training, or not a whole one",
            fix="name a folder that train_sprite has written, such as data/models/sprite",
        )
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        choices = {name: tuple(values) for name, values in content["choices"].items()}
        if content["style"] != STYLE:
            raise ValueError(f"style: {content['style']!r} is the drawing of another version, this one draws {STYLE}")
        return Spec(content["frame"], choices)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{path}: {error}; it is not a family that this version knows", fix="git checkout it") from None
