"""FLUX.2 klein: words and reference pictures in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.keyframe.recipe import Recipe, usual

if TYPE_CHECKING:
    from PIL import Image

    from tasks.keyframe.settings import Draw


def arguments(cfg: Draw, references: Sequence[Image.Image]) -> dict[str, Any]:
    """Of `Flux2KleinPipeline.__call__`."""
    pictures = {"image": list(references)} if references else {}
    return {**usual(cfg), **pictures, "max_sequence_length": cfg.max_tokens}


RECIPE = Recipe(
    name="flux2_klein",
    pipeline="diffusers:Flux2KleinPipeline",
    classes={
        "transformer": "diffusers:Flux2Transformer2DModel",
        "vae": "diffusers:AutoencoderKLFlux2",
        "text_encoder": "transformers:Qwen3ForCausalLM",
        "tokenizer": "transformers:AutoTokenizer",
    },
    arguments=arguments,
    init={"is_distilled": True},
)
