"""Nodes of Wan VACE: ComfyUI's own, and those of WanVideoWrapper, which is a way of its own from model to film."""

from __future__ import annotations

from reel.imports.comfy.films import reached4, sides
from reel.imports.comfy.rows import GPU, TILES, Go, Input, Is, No, Plain, Row

_MASKS = No("stylize.composite=keep_background makes people anew by their outlines; a mask of one's own is not taken")
_OWN_TEXTS = No("the family's own text encoder is used")
_PART = "the map counts for all steps here"
_CONTROL: dict[str, Input] = {
    "control_video": Go("control"),
    "control_masks": _MASKS,
    "reference_image": Go("reference"),
    "strength": Is("control.weight"),
}
CORE: dict[str, Row] = {
    "WanVaceToVideo": Row(
        {
            "positive": Go("positive"),
            "negative": Go("negative"),
            "vae": Go("vae"),
            **sides(reached4, 16),
            **_CONTROL,
        },
        opens="control",
        gives={"film": "VACE"},
    ),
    "TrimVideoLatent": Row({"samples": Go(), "trim_amount": Go()}),
}
WRAPPER: dict[str, Row] = {
    "WanVideoSampler": Row(
        {
            "model": Go("model"),
            "image_embeds": Go("latent"),
            "text_embeds": Go("texts"),
            "steps": Is("steps"),
            "cfg": Is("cfg"),
            "shift": Is("shift"),
            "seed": Is("seed"),
            "scheduler": Is("sampler"),
            "denoise_strength": Is("denoise"),
            "force_offload": No(GPU),
            "riflex_freq_index": Plain((0,), "longer films are made in windows: stylize.windows"),
            "batched_cfg": No(GPU),
            "rope_function": No(GPU),
        },
        sampler=True,
    ),
    "WanVideoTextEncode": Row(
        {
            "positive_prompt": Is("prompt"),
            "negative_prompt": Is("negative"),
            "t5": Go("clip"),
            "force_offload": No(GPU),
            "model_to_offload": No(GPU),
        }
    ),
    "LoadWanVideoT5TextEncoder": Row(
        {"model_name": _OWN_TEXTS, "precision": _OWN_TEXTS, "load_device": No(GPU), "quantization": _OWN_TEXTS}
    ),
    "WanVideoModelLoader": Row(
        {
            "model": Is("film_model"),
            "vace_model": Go("model"),
            "extra_model": Go("model"),
            "lora": Go("model"),
            "block_swap_args": No(GPU),
            "compile_args": No(GPU),
            "base_precision": No("compute.dtype is the machine's own"),
            "quantization": No("stylize.storage=float8 keeps weights in 8 bits"),
            "load_device": No(GPU),
            "attention_mode": No("compute.attention"),
        }
    ),
    "WanVideoVACEModelSelect": Row({"vace_model": Is("film_model")}),
    "WanVideoLoraSelect": Row(
        {"lora": Is("lora.file"), "strength": Is("lora.weight"), "prev_lora": Go("model"), "low_mem_load": No(GPU)},
        opens="lora",
    ),
    "WanVideoVAELoader": Row({"model_name": Is("vae"), "precision": No("the VAE's own")}),
    "WanVideoVACEEncode": Row(
        {
            "vae": Go("vae"),
            "width": sides(reached4, 16)["width"],
            "height": sides(reached4, 16)["height"],
            "num_frames": Is("frames", reached4),
            "strength": Is("control.weight"),
            "vace_start_percent": Plain((0, 0.0), _PART),
            "vace_end_percent": Plain((1, 1.0), _PART),
            "input_frames": Go("control"),
            "input_masks": _MASKS,
            "ref_images": Go("reference"),
            "prev_vace_embeds": Go("latent"),
            "tiled_vae": No(TILES),
        },
        opens="control",
        gives={"film": "VACE"},
    ),
    "WanVideoVACEStartToEndFrame": Row(
        {
            "num_frames": Is("frames", reached4),
            "empty_frame_level": No("frames in between are grey"),
            "start_image": Go("start"),
            "end_image": Go("end"),
            "control_images": Go("control"),
            "inpaint_mask": _MASKS,
        }
    ),
    "WanVideoDecode": Row(
        {
            "vae": Go("vae"),
            "samples": Go("film"),
            **{
                name: No(TILES)
                for name in ("enable_vae_tiling", "tile_x", "tile_y", "tile_stride_x", "tile_stride_y", "normalization")
            },
        }
    ),
}
VACE: dict[str, Row] = {**CORE, **WRAPPER}
"""All of them by class."""
