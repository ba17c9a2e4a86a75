"""Stable Video Diffusion (arXiv:2311.15127): a picture and no words; how much moves is a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.animate.recipe import READ, Grid, Recipe, Shown, pictures

if TYPE_CHECKING:
    from tasks.animate.settings import Decode, Denoise

AT_A_TIME = 4
"""Frames that are decoded together under ``decode_framewise``; its decoder looks at neighbours."""


def arguments(cfg: Denoise, shown: Sequence[Shown]) -> dict[str, Any]:
    """Of `StableVideoDiffusionPipeline.__call__`.

    Its guidance rises from the first frame to the last. It draws noise over the picture before encoding it, by the
    seed, and reads the rate as a whole number.
    """
    return {
        "image": pictures(shown)[0],
        "width": cfg.width,
        "height": cfg.height,
        "num_frames": cfg.frames,
        "fps": int(cfg.fps),
        "num_inference_steps": cfg.num_inference_steps,
        "min_guidance_scale": 1.0,
        "max_guidance_scale": cfg.guidance_scale,
        "noise_aug_strength": cfg.picture_noise,
        **cfg.call,
    }


def decoding(cfg: Decode) -> dict[str, Any]:
    """Frames that are decoded together."""
    return {"decode_chunk_size": AT_A_TIME if cfg.framewise else cfg.denoise.frames}


RECIPE = Recipe(
    name="svd",
    pipeline="diffusers:StableVideoDiffusionPipeline",
    classes={
        "unet": "diffusers:UNetSpatioTemporalConditionModel",
        "vae": "diffusers:AutoencoderKLTemporalDecoder",
        "image_encoder": "transformers:CLIPVisionModelWithProjection",
        "feature_extractor": "transformers:CLIPImageProcessor",
    },
    arguments=arguments,
    decoding=decoding,
    text=(),
    encoders=("vae", "image_encoder"),
    processors=("feature_extractor",),
    encoded_by=("seed", "picture_noise"),
    codecs=(),
    denoisers=("unet",),
    schedulers={"EulerDiscreteScheduler": "diffusers:EulerDiscreteScheduler"},
    grid=Grid(1, 8, layout="fchw"),
    piece=AT_A_TIME,
    call=frozenset({"motion_bucket_id", "min_guidance_scale"}),
    reads=READ & {"picture_noise", "decode_framewise"},
)
