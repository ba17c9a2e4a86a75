"""Wan VACE (arXiv:2503.07598): a clip repainted by its maps, with pictures of the character beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.animate.animators.wan21 import CLASSES, READS, SCHEDULERS
from tasks.animate.recipe import Grid, Recipe, Shown, usual

if TYPE_CHECKING:
    from tasks.animate.settings import Denoise


def arguments(cfg: Denoise, shown: Sequence[Shown]) -> dict[str, Any]:
    """Of `WanVACEPipeline.__call__`.

    Maps, masks and pictures have the film's size already: maps that are smaller it would leave at their size, beside
    latents of the film's. Without maps it is given none, and takes the film for grey.
    """
    from PIL import Image

    def pictures(role: str) -> list[Image.Image]:
        return [Image.fromarray(frame) for one in shown if one.role == role for frame in one.frames]

    return {
        "video": pictures("control") or None,
        "mask": pictures("mask") or None,
        "reference_images": pictures("picture") or None,
        **usual(cfg),
        **cfg.call,
    }


RECIPE = Recipe(
    name="vace",
    pipeline="diffusers:WanVACEPipeline",
    classes={**CLASSES, "transformer": "diffusers:WanVACETransformer3DModel"},
    arguments=arguments,
    embeddings=2,
    codecs=(),  # it keeps the mean and deviation of its latents in its settings
    precise=("vae",),
    schedulers={"UniPCMultistepScheduler": SCHEDULERS["UniPCMultistepScheduler"]},  # flow_shift is its setting alone
    grid=Grid(4, 8, (1, 2), "cfhw"),
    guided_apart=True,
    frames_decoded=4,
    tile=256,
    picture_tokens=True,
    driven=True,
    least=1,
    reads=READS,
)
