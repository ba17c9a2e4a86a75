"""Z-Image and Z-Image-Turbo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.keyframe.recipe import Recipe, with_negative

if TYPE_CHECKING:
    from PIL import Image

    from tasks.keyframe.settings import Draw


def arguments(cfg: Draw, references: Sequence[Image.Image]) -> dict[str, Any]:
    """Of `ZImagePipeline.__call__`."""
    return {**with_negative(cfg), "max_sequence_length": cfg.max_tokens}


RECIPE = Recipe(
    name="z_image",
    pipeline="diffusers:ZImagePipeline",
    classes={
        "transformer": "diffusers:ZImageTransformer2DModel",
        "vae": "diffusers:AutoencoderKL",
        "text_encoder": "transformers:Qwen3Model",
        "tokenizer": "transformers:AutoTokenizer",
    },
    arguments=arguments,
)
