"""HunyuanVideo 1.5 image-to-video (arXiv:2511.18870): a first picture, at a size that follows from its shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.animate.recipe import READ, Grid, Recipe, Shown, pictures

if TYPE_CHECKING:
    from tasks.animate.settings import Denoise


def arguments(cfg: Denoise, shown: Sequence[Shown]) -> dict[str, Any]:
    """Of `HunyuanVideo15ImageToVideoPipeline.__call__`, which takes no size: the picture has one of its own already."""
    return {
        "image": pictures(shown)[0],
        "num_frames": cfg.frames,
        "num_inference_steps": cfg.num_inference_steps,
    }


def further(cfg: Denoise) -> dict[str, Any]:
    """What weighs the runs with and without the prompt against each other, a part of this pipeline."""
    from diffusers.guiders import ClassifierFreeGuidance

    return {"guider": ClassifierFreeGuidance(guidance_scale=cfg.guidance_scale)}


RECIPE = Recipe(
    name="hunyuan15",
    pipeline="diffusers:HunyuanVideo15ImageToVideoPipeline",
    classes={
        "transformer": "diffusers:HunyuanVideo15Transformer3DModel",
        "vae": "diffusers:AutoencoderKLHunyuanVideo15",
        "image_encoder": "transformers:SiglipVisionModel",
        "feature_extractor": "transformers:SiglipImageProcessor",
        "text_encoder": "transformers:Qwen2_5_VLTextModel",
        "tokenizer": "transformers:Qwen2Tokenizer",
        "text_encoder_2": "transformers:T5EncoderModel",
        "tokenizer_2": "transformers:ByT5Tokenizer",
    },
    arguments=arguments,
    further=further,
    text=("tokenizer", "text_encoder", "tokenizer_2", "text_encoder_2"),
    beside_text=("vae",),
    encoders=("vae", "image_encoder"),
    processors=("feature_extractor",),
    codecs=(),
    grid=Grid(4, 16, layout="cfhw"),
    guided_apart=True,
    tile=256,
    reads=READ & {"encode_tiling", "decode_tiling"},
)
