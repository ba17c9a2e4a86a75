"""FLUX.1: dev, whose guidance is an input of the network, and schnell, which knows none; no negative prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.keyframe.recipe import Recipe, usual

if TYPE_CHECKING:
    from PIL import Image

    from tasks.keyframe.settings import Draw


def arguments(cfg: Draw, references: Sequence[Image.Image]) -> dict[str, Any]:
    """Of `FluxPipeline.__call__`."""
    return {**usual(cfg), "max_sequence_length": cfg.max_tokens}


RECIPE = Recipe(
    name="flux",
    pipeline="diffusers:FluxPipeline",
    classes={
        "transformer": "diffusers:FluxTransformer2DModel",
        "vae": "diffusers:AutoencoderKL",
        "text_encoder": "transformers:CLIPTextModel",
        "text_encoder_2": "transformers:T5EncoderModel",
        "tokenizer": "transformers:AutoTokenizer",
        "tokenizer_2": "transformers:AutoTokenizer",
    },
    arguments=arguments,
    tokenizers=("tokenizer_2",),  # the other one sees the first 77 tokens alone, and only for the picture's gist
)
