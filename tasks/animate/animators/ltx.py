"""LTX-Video 0.9.5 to 0.9.8 (arXiv:2501.00103): pictures and clips at any frame, one pass or two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.animate.recipe import Recipe, Shown, usual

if TYPE_CHECKING:
    from tasks.animate.settings import Decode, Denoise


def usual_of_ltx(cfg: Denoise) -> dict[str, Any]:
    """Arguments that the calls of all LTX pipelines take."""
    return {**usual(cfg), "frame_rate": cfg.fps, "guidance_rescale": cfg.guidance_rescale}


def decoding(cfg: Decode) -> dict[str, Any]:
    """The noise that the decoder is told of."""
    return {"decode_timestep": cfg.decode_timestep, "decode_noise_scale": cfg.decode_noise_scale}


def arguments(cfg: Denoise, shown: Sequence[Shown]) -> dict[str, Any]:
    """Of `LTXConditionPipeline.__call__`.

    Pictures go in as ``conditions``: of a list in ``image`` beside a list of frames the pipeline takes the first alone.
    They have the film's size already, since it would stretch them.
    """
    from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
    from PIL import Image

    conditions = []
    for one in shown:
        pictures = [Image.fromarray(frame) for frame in one.frames]
        given = {"image": pictures[0]} if len(pictures) == 1 else {"video": pictures}
        conditions.append(LTXVideoCondition(**given, frame_index=one.at, strength=one.strength))
    return {
        "conditions": conditions,
        **usual_of_ltx(cfg),
        "num_inference_steps": len(cfg.timesteps) if cfg.timesteps else cfg.num_inference_steps,
        "timesteps": cfg.timesteps,
        "image_cond_noise_scale": cfg.picture_noise,
        "denoise_strength": cfg.denoise_strength,
        **cfg.call,
    }


RECIPE = Recipe(
    name="ltx",
    pipeline="diffusers:LTXConditionPipeline",
    classes={
        "transformer": "diffusers:LTXVideoTransformer3DModel",
        "vae": "diffusers:AutoencoderKLLTXVideo",
        "text_encoder": "transformers:T5EncoderModel",
        "tokenizer": "transformers:AutoTokenizer",
        "latent_upsampler": "diffusers.pipelines.ltx.modeling_latent_upsampler:LTXLatentUpsamplerModel",
    },
    arguments=arguments,
    decoding=decoding,
    picture_tokens=True,
    upsampler="diffusers:LTXLatentUpsamplePipeline",
)
