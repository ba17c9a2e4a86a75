"""Qwen-Image. Its ``guidance_scale`` is without effect: what counts is ``true_cfg_scale``, with a negative prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.keyframe.recipe import Recipe, usual

if TYPE_CHECKING:
    from PIL import Image

    from tasks.keyframe.settings import Draw


def arguments(cfg: Draw, references: Sequence[Image.Image]) -> dict[str, Any]:
    """Of `QwenImagePipeline.__call__`."""
    found = usual(cfg)
    scale = found.pop("guidance_scale")
    negative = {"negative_prompt": cfg.negative_prompt or " "} if scale > 1 else {}  # without one nothing is guided
    return {**found, **negative, "true_cfg_scale": scale, "max_sequence_length": cfg.max_tokens}


RECIPE = Recipe(
    name="qwen_image",
    pipeline="diffusers:QwenImagePipeline",
    classes={
        "transformer": "diffusers:QwenImageTransformer2DModel",
        "vae": "diffusers:AutoencoderKLQwenImage",
        "text_encoder": "transformers:Qwen2_5_VLForConditionalGeneration",
        "tokenizer": "transformers:AutoTokenizer",
    },
    arguments=arguments,
)
