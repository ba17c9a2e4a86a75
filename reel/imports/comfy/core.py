"""Nodes of ComfyUI itself: what denoises, texts and models."""

from __future__ import annotations

from typing import Any

from reel.imports.comfy.rows import GPU, Go, Input, Is, No, Plain, Row


def _layers(value: Any) -> Any:
    """-1 is the last layer, -2 the one before: what others call clip skip 1 and 2."""
    return -value if isinstance(value, int) else value


_SAMPLING: dict[str, Input] = {
    "cfg": Is("cfg"),
    "model": Go("model"),
    "positive": Go("positive"),
    "negative": Go("negative"),
    "latent_image": Go("latent"),
}
_NAMES: dict[str, Input] = {"sampler_name": Is("sampler"), "scheduler": Is("spacing")}
SAMPLERS: dict[str, Row] = {
    "KSampler": Row(
        {"seed": Is("seed"), "steps": Is("steps"), **_NAMES, "denoise": Is("denoise"), **_SAMPLING}, sampler=True
    ),
    "KSamplerAdvanced": Row(
        {
            "noise_seed": Is("seed"),
            "steps": Is("steps"),
            **_NAMES,
            **_SAMPLING,
            "add_noise": Plain(("enable",), "noise is always added"),
            "start_at_step": Plain((0,), "a sampler that begins in the middle: stylize.strength is near"),
            "end_at_step": Plain((10000, 1000), "a sampler that another one goes on from: all steps are run here"),
            "return_with_leftover_noise": Plain(("disable",), "all noise is taken out"),
        },
        sampler=True,
    ),
    "SamplerCustom": Row(
        {
            **_SAMPLING,
            "noise_seed": Is("seed"),
            "add_noise": Plain((True,), "noise is always added"),
            "sampler": Go(),
            "sigmas": Go(),
        },
        sampler=True,
    ),
    "SamplerCustomAdvanced": Row(
        {"noise": Go(), "guider": Go(), "sampler": Go(), "sigmas": Go(), "latent_image": Go("latent")}, sampler=True
    ),
    "RandomNoise": Row({"noise_seed": Is("seed")}),
    "CFGGuider": Row(_SAMPLING),
    "BasicGuider": Row({"model": Go("model"), "conditioning": Go("positive")}, gives={"cfg": 1.0}),
    "KSamplerSelect": Row({"sampler_name": Is("sampler")}),
    "BasicScheduler": Row(
        {"model": Go("model"), "scheduler": Is("spacing"), "steps": Is("steps"), "denoise": Is("denoise")}
    ),
    "KarrasScheduler": Row(
        {"steps": Is("steps"), **{name: No("the scheduler's own") for name in ("sigma_max", "sigma_min", "rho")}},
        gives={"spacing": "karras"},
    ),
    "LTXVScheduler": Row(
        {
            "steps": Is("steps"),
            "max_shift": Plain((2.05,), "the family's own, 2.05"),
            "base_shift": Plain((0.95,), "the family's own, 0.95"),
            "stretch": Plain((True,), "times are always stretched"),
            "terminal": Plain((0.1,), "the family's own, 0.1"),
            "latent": Go("latent"),
        }
    ),
}
_TEXT: dict[str, Input] = {"text": Is("@text"), "clip": Go("clip")}
TEXTS: dict[str, Row] = {
    "CLIPTextEncode": Row(_TEXT),
    "CLIPTextEncodeFlux": Row(
        {
            "clip": Go("clip"),
            "t5xxl": Is("@text"),
            "clip_l": No("one text is the prompt"),
            "guidance": No("of another kind of model"),
        }
    ),
    "CLIPSetLastLayer": Row({"stop_at_clip_layer": Is("clip_skip", _layers), "clip": Go()}),
    "ConditioningZeroOut": Row({"conditioning": No("a negative prompt of nothing at all: an empty one is near")}),
    "ConditioningCombine": Row({"conditioning_1": Go(), "conditioning_2": Go()}),
    "ConditioningConcat": Row({"conditioning_to": Go(), "conditioning_from": Go()}),
    "BatchPromptSchedule": Row(special="fizz"),
    "PromptSchedule": Row(special="fizz"),
    "BatchPromptScheduleLatentInput": Row(special="fizz"),
    "ADE_PromptScheduling": Row(special="evolved"),
    "ADE_PromptSchedulingLatents": Row(special="evolved"),
}
_CKPT: dict[str, Input] = {"ckpt_name": Is("checkpoint")}
_LORA: dict[str, Input] = {
    "lora_name": Is("lora.file"),
    "strength_model": Is("lora.weight"),
    "model": Go(),
}
MODELS: dict[str, Row] = {
    "CheckpointLoaderSimple": Row(_CKPT),
    "CheckpointLoader": Row({**_CKPT, "config_name": No("a checkpoint's settings come from base_config")}),
    "CheckpointLoaderSimpleWithNoiseSelect": Row(
        {
            **_CKPT,
            "beta_schedule": No("the family's own schedule of noise"),
            "use_custom_scale_factor": Plain((False,), "the VAE's own"),
            "scale_factor": Plain((0.18215,), "the VAE's own"),
        }
    ),
    "UNETLoader": Row(
        {"unet_name": Is("film_model"), "weight_dtype": Plain(("default",), "compute.dtype is the machine's own")}
    ),
    "UnetLoaderGGUF": Row({"unet_name": Is("film_model")}),
    "VAELoader": Row({"vae_name": Is("vae")}),
    "CLIPLoader": Row(
        {"clip_name": No("the family's own text encoder is used"), "type": No("as the family's is"), "device": No(GPU)}
    ),
    "CLIPLoaderGGUF": Row({"clip_name": No("the family's own text encoder is used"), "type": No("as the family's is")}),
    "CLIPVisionLoader": Row({"clip_name": No("the family's own picture encoder is used")}),
    "LoraLoader": Row(
        {**_LORA, "strength_clip": No("one weight holds for both networks: strength_model"), "clip": Go()}, opens="lora"
    ),
    "LoraLoaderModelOnly": Row(_LORA, opens="lora"),
    "ModelSamplingSD3": Row({"shift": Is("shift"), "model": Go()}),
    "ModelSamplingLTXV": Row(
        {
            "max_shift": Plain((2.05,), "the family's own"),
            "base_shift": Plain((0.95,), "the family's own"),
            "model": Go(),
            "latent": Go(),
        }
    ),
    "FreeU_V2": Row({**{name: No("FreeU has no counterpart") for name in ("b1", "b2", "s1", "s2")}, "model": Go()}),
}
