"""Draws a chibi figure on any BODY18 skeleton: a person `(18, 4)` px + attributes -> picture and part map.

The head is drawn larger than the skeleton says, long hair falls to the hips and a skirt is wide, because at a VAE
stride of 8 px anything thinner is less than one latent cell and a small model learns it as chance.
"""

from __future__ import annotations

import numpy as np

from tasks.sprite import figure
from tasks.sprite.attributes import Attributes
from tasks.sprite.parts import (
    BACKGROUND,
    BOTTOM,
    EYES,
    HAIR,
    MOUTH,
    PARTS,
    SHOES,
    SKIN,
    TOP,
    Drawing,
    standing_height,
)
from tasks.sprite.skeleton import FRAME

__all__ = ["BACKGROUND", "BOTTOM", "EYES", "HAIR", "MOUTH", "PARTS", "SHOES", "SKIN", "TOP", "Drawing", "draw_figure",
           "standing_height"]  # fmt: skip


def draw_figure(person: np.ndarray, attributes: Attributes, size: int = FRAME) -> Drawing:
    """Draw one figure on its flat background.

    Args:
        person: `(18, 4)` x, y, z px and score; every joint is used, whatever its score (a drawn figure is never
            partial).
        size: side of the picture, px.
    """
    return figure.draw(np.asarray(person, dtype=np.float64), attributes, size)
