"""LTX-2 (arXiv:2601.03233): picture and sound at once, pictures at any frame, one pass or two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.animate.animators.ltx import decoding, usual_of_ltx
from tasks.animate.recipe import READ, Recipe, Shown

if TYPE_CHECKING:
    from tasks.animate.settings import Denoise

STEP = 8
"""Frames of a latent. The pipeline counts places in latents: 0 is frame 0, and k is frame 8(k - 1) + 1."""


def arguments(cfg: Denoise, shown: Sequence[Shown]) -> dict[str, Any]:
    """Of `LTX2ConditionPipeline.__call__`.

    A picture at frame 8k so stands at 8k + 1, its nearest place. Past the last latent the pipeline would leave it out
    with a line in its log (`Limits.late` refuses that before). It would also send key pictures through a film codec
    first (``crf``), so that the first frame is not the picture. What a second pass is given it noises as far as the
    first of its time steps says.
    """
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition
    from PIL import Image

    conditions = []
    for one in shown:
        pictures = [Image.fromarray(frame) for frame in one.frames]
        frames = pictures[0] if len(pictures) == 1 else pictures
        conditions.append(LTX2VideoCondition(frames=frames, index=_place(one.at), strength=one.strength, crf=0))
    sigmas = [step / 1000 for step in cfg.timesteps] if cfg.timesteps else None
    return {
        "conditions": conditions,
        **usual_of_ltx(cfg),
        "num_inference_steps": len(sigmas) if sigmas else cfg.num_inference_steps,
        "sigmas": sigmas,
        **{"audio_guidance_scale": cfg.guidance_scale, **cfg.call},
    }


def _place(at: int) -> int:
    """The pipeline's number of the place that is nearest to a frame."""
    return 0 if at == 0 else round((at - 1) / STEP) + 1


RECIPE = Recipe(
    name="ltx2",
    pipeline="diffusers:LTX2ConditionPipeline",
    classes={
        "transformer": "diffusers:LTX2VideoTransformer3DModel",
        "vae": "diffusers:AutoencoderKLLTX2Video",
        "audio_vae": "diffusers:AutoencoderKLLTX2Audio",
        "connectors": "diffusers.pipelines.ltx2:LTX2TextConnectors",
        "vocoder": "diffusers.pipelines.ltx2.vocoder:LTX2Vocoder",
        "text_encoder": "transformers:Gemma3ForConditionalGeneration",
        "tokenizer": "transformers:AutoTokenizer",
        "latent_upsampler": "diffusers.pipelines.ltx2.latent_upsampler:LTX2LatentUpsamplerModel",
    },
    arguments=arguments,
    decoding=decoding,
    picture_tokens=True,
    text=("tokenizer", "text_encoder", "connectors"),
    codecs=("vae", "audio_vae"),
    voices=("audio_vae", "vocoder"),
    upsampler="diffusers:LTX2LatentUpsamplePipeline",
    refines=("latents", "audio_latents"),
    refines_from="timesteps",
    film_first=True,
    steps_a_round=2,
    reads=READ - {"picture_noise"},
    call=frozenset(
        {
            "stg_scale",
            "modality_scale",
            "spatio_temporal_guidance_blocks",
            "audio_guidance_scale",
            "audio_stg_scale",
            "audio_modality_scale",
            "audio_guidance_rescale",
            "use_cross_timestep",
        }
    ),
)
