"""FramePack (arXiv:2504.12626): HunyuanVideo in sections that remember what they follow, for films of minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tasks.animate.recipe import READ, Grid, Recipe, Shown, pictures, usual

if TYPE_CHECKING:
    from tasks.animate.settings import Denoise

SECTION, ASKED = 36, 33
"""Frames that a section adds, and those for which the pipeline makes another one. It makes whole sections, and a frame
more."""


def arguments(cfg: Denoise, shown: Sequence[Shown]) -> dict[str, Any]:
    """Of `HunyuanVideoFramepackPipeline.__call__`, asked for the number that makes the film's length.

    Its ``guidance_scale`` is an input of the network, so `model.call` has it; what guides by a negative prompt it calls
    ``true_cfg_scale``.
    """
    first, *behind = pictures(shown)
    return {
        "image": first,
        **({"last_image": behind[-1]} if behind else {}),
        **usual(cfg),
        "num_frames": (cfg.frames - 1) // SECTION * ASKED,
        "true_cfg_scale": cfg.guidance_scale,
        **cfg.call,
    }


def sections(call: Mapping[str, Any], frames: int) -> list[int]:
    """First frame of each section; most kinds make the last one first."""
    return list(range(0, max(1, frames - 1), SECTION))


RECIPE = Recipe(
    name="framepack",
    pipeline="diffusers:HunyuanVideoFramepackPipeline",
    classes={
        "transformer": "diffusers:HunyuanVideoFramepackTransformer3DModel",
        "vae": "diffusers:AutoencoderKLHunyuanVideo",
        "image_encoder": "transformers:SiglipVisionModel",
        "feature_extractor": "transformers:SiglipImageProcessor",
        "text_encoder": "transformers:LlamaModel",
        "tokenizer": "transformers:AutoTokenizer",
        "text_encoder_2": "transformers:CLIPTextModel",
        "tokenizer_2": "transformers:AutoTokenizer",
    },
    arguments=arguments,
    text=("tokenizer", "text_encoder", "tokenizer_2", "text_encoder_2"),
    embeddings=3,
    encoders=("vae", "image_encoder"),
    processors=("feature_extractor",),
    codecs=(),
    grid=Grid(4, 8, (1, 2), "cfhw"),
    window=lambda call: 41,  # frames of a section, and what it remembers of the others
    guided_apart=True,
    tile=256,
    sections=sections,
    call=frozenset({"guidance_scale", "sampling_type"}),
    reads=READ & {"encode_tiling", "decode_tiling", "decode_framewise"},
)
