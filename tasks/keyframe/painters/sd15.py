"""Stable Diffusion 1.5 and its descendants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.keyframe.recipe import Recipe, through_adapter, with_negative

if TYPE_CHECKING:
    from PIL import Image

    from tasks.keyframe.settings import Draw


def arguments(cfg: Draw, references: Sequence[Image.Image]) -> dict[str, Any]:
    """Of `StableDiffusionPipeline.__call__`."""
    return {**with_negative(cfg), **through_adapter(references)}


RECIPE = Recipe(
    name="sd15",
    pipeline="diffusers:StableDiffusionPipeline",
    classes={
        "unet": "diffusers:UNet2DConditionModel",
        "vae": "diffusers:AutoencoderKL",
        "text_encoder": "transformers:CLIPTextModel",
        "tokenizer": "transformers:AutoTokenizer",
    },
    arguments=arguments,
    init={"requires_safety_checker": False},
    adapter=True,
)
