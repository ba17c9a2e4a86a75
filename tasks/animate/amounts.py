"""What a denoising has to do: runs of its network, and how much it looks at in each. Needs no model."""

from __future__ import annotations

from collections.abc import Mapping

from reel.op import Context
from reel.work import Extent, Work
from tasks.animate.catalogue import RECIPES
from tasks.animate.settings import Denoise

RUN = 0.1
"""Megapixels that take about as long as what a run of the network takes however little it looks at."""
ATTENTION = 1 / 50
"""Attention looks at every token from every other: a part of the work that grows with the square of the pixels. At 50
megapixels it is about as much as all the rest."""


def denoising(cfg: Denoise, given: Mapping[str, Extent], ctx: Context) -> Work:
    """Runs, megapixels, and megapixels squared, over all steps; guidance doubles them."""
    clip = Extent(cfg.frames, cfg.width, cfg.height)
    recipe = RECIPES[cfg.architecture]
    sections = recipe.sections
    runs = cfg.steps * (2 if cfg.guided else 1) * (len(sections(cfg.call, cfg.frames)) if sections else 1)
    size = Extent(recipe.seen(cfg.call, cfg.frames), cfg.width, cfg.height).megapixels
    amounts = {"runs": RUN * runs, "megapixels": runs * size, "attention": ATTENTION * runs * size**2}
    pace = {name: getattr(cfg, name) for name in ("architecture", "dtype", "storage", "attention", "compile")}
    return Work(amounts, pace, clip)
