"""From a family's files to loaded modules, kept between renders of one process.

What is kept is one `core` per set of weights (UNet with its motion module and LoRAs) and one entry per ControlNet, so
that a sweep over weights, seeds or prompts loads nothing twice. Weights stay in the files' mapped pages wherever the
number format is the file's own: they are read as they are used, and the system can drop them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.stylize.adapters import apply_ip_adapter, apply_loras, loras_of
from tasks.stylize.control import Control
from tasks.stylize.files import builder, not_a_model, read_json, safetensors_file
from tasks.stylize.settings import Animatediff
from tasks.weights import fetch as weights
from tasks.weights.files import parameter_bytes
from tasks.weights.memory import LOADED

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def core(cfg: Animatediff, device: str, whole: bool = False) -> Any:
    """A video-to-video pipeline without ControlNets, for its UNet with motion module, LoRAs and reference picture.

    Args:
        whole: with text encoder, tokenizer and VAE too, as diffusers' own pipelines want them.

    Raises:
        UserError: files that are not such a model, or LoRAs that do not fit it.
    """
    return LOADED.get(core_key(cfg, device, whole), _core_bytes(cfg), lambda: _build_core(cfg, whole))


def controlnets(cfg: Animatediff, live: Mapping[str, Control], device: str) -> list[Any]:
    """The ControlNets of the live controls, in their order."""
    from diffusers import ControlNetModel

    found = []
    for control in live.values():
        source = cfg.model.controlnets[control.kind]
        folder = weights.path(source)
        key = f"controlnet {weights.content_id(source)} {cfg.dtype} {device}"
        build = builder(ControlNetModel, folder, cfg.dtype, source)
        found.append(LOADED.get(key, parameter_bytes(folder, BYTES[cfg.dtype]), build))
    return found


def core_key(cfg: Animatediff, device: str, whole: bool = False) -> str:
    """Everything that decides the core's weights and shapes."""
    model = cfg.model
    looks = cfg.ip_adapter is not None
    sources = {
        "base": model.base,
        "base_config": model.base_config,
        "motion": model.motion,
        "motion_config": model.motion_config,
        "vae": cfg.vae or model.vae,
        "ip_adapter": model.ip_adapter if looks else None,
        "ip_image_encoder": model.ip_image_encoder if looks else None,
    }
    parts = {
        **{name: weights.content_id(source) for name, source in sources.items() if source is not None},
        "loras": [[weights.content_id(lora.source), lora.weight] for lora in loras_of(cfg)],
        "dtype": cfg.dtype,
        "device": device,
        "whole": whole,
    }
    return f"core {json.dumps(parts, sort_keys=True)}"


def scheduler_settings(cfg: Animatediff) -> dict[str, Any]:
    """The family's scheduler_config.json with the changes that its motion module was trained with."""
    folder = weights.path(cfg.model.base_config or cfg.model.base)
    return {**read_json(folder / "scheduler" / "scheduler_config.json"), **cfg.model.scheduler_config}


def motion_settings(cfg: Animatediff) -> dict[str, Any]:
    """The motion module's config.json."""
    folder = weights.path(cfg.model.motion_config or cfg.model.motion)
    return read_json((folder if folder.is_dir() else folder.parent) / "config.json")


def _build_core(cfg: Animatediff, whole: bool) -> Any:
    from diffusers import AnimateDiffVideoToVideoPipeline, DDIMScheduler

    pipe = AnimateDiffVideoToVideoPipeline(
        **(_surroundings(cfg) if whole else dict.fromkeys(("vae", "text_encoder", "tokenizer"))),
        unet=join(_unet(cfg), _motion_adapter(cfg), cfg),
        motion_adapter=None,
        scheduler=DDIMScheduler(),  # replaced before every render
    )
    apply_loras(pipe, cfg)
    if cfg.ip_adapter is not None:
        apply_ip_adapter(pipe, cfg)
    for module in pipe.components.values():
        if hasattr(module, "requires_grad_"):
            module.eval().requires_grad_(False)
    return pipe


def join(unet: Any, adapter: Any, cfg: Animatediff) -> Any:
    """UNet and motion adapter as one UNetMotionModel that takes over their very tensors.

    diffusers' own ``from_unet2d`` copies both, so that everything is in memory twice for a while.

    Raises:
        UserError: a motion module of another shape than the UNet.
    """
    from accelerate import init_empty_weights
    from diffusers import UNetMotionModel

    try:
        with init_empty_weights():
            model = UNetMotionModel.from_unet2d(unet, adapter, load_weights=False)
        missing, unexpected = model.load_state_dict(
            {**unet.state_dict(), **adapter.state_dict()}, strict=False, assign=True
        )
        if missing or unexpected:
            raise ValueError(f"weights without a place or places without weights: {[*missing, *unexpected][:3]}")
    except (ValueError, RuntimeError) as error:
        raise not_a_model(cfg.model.motion, f"a motion module for the UNet of model {cfg.model.name}", error) from None
    return model


def _unet(cfg: Animatediff) -> Any:
    """The base's UNet2DConditionModel."""
    import torch
    from diffusers import UNet2DConditionModel

    base = cfg.model.base
    if not base.single:
        return builder(UNet2DConditionModel, weights.path(base) / "unet", cfg.dtype, base)()
    assert cfg.model.base_config is not None
    try:
        return UNet2DConditionModel.from_single_file(
            str(safetensors_file(base)),
            config=str(weights.path(cfg.model.base_config)),
            subfolder="unet",
            torch_dtype=getattr(torch, cfg.dtype),
            local_files_only=True,
        )
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise not_a_model(base, "a checkpoint of this family's architecture", error) from None


def _surroundings(cfg: Animatediff) -> dict[str, Any]:
    """Text encoder, tokenizer and VAE."""
    from diffusers import AutoencoderKL
    from transformers import CLIPTextModel, CLIPTokenizer

    base = cfg.model.base
    if base.single:
        found = single_file(cfg)
        return {"vae": vae(cfg) or found["vae"], **{name: found[name] for name in ("text_encoder", "tokenizer")}}
    root = weights.path(base)
    return {
        "text_encoder": builder(CLIPTextModel, root / "text_encoder", cfg.dtype, base)(),
        "tokenizer": CLIPTokenizer.from_pretrained(str(_tokenizer(cfg)), local_files_only=True),
        "vae": vae(cfg) or builder(AutoencoderKL, root / "vae", cfg.dtype, base)(),
    }


def _tokenizer(cfg: Animatediff) -> Path:
    return weights.path(cfg.model.base_config or cfg.model.base) / "tokenizer"


def single_file(cfg: Animatediff) -> dict[str, Any]:
    """Parts of a base that is one checkpoint file (Civitai's layout); settings and tokenizer from base_config."""
    import torch
    from diffusers import StableDiffusionPipeline

    assert cfg.model.base_config is not None
    file, settings = safetensors_file(cfg.model.base), weights.path(cfg.model.base_config)
    try:
        pipe = StableDiffusionPipeline.from_single_file(
            str(file),
            config=str(settings),
            torch_dtype=getattr(torch, cfg.dtype),
            local_files_only=True,
            safety_checker=None,
        )
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise not_a_model(cfg.model.base, "a checkpoint of this family's architecture", error) from None
    return dict(pipe.components)


def _motion_adapter(cfg: Animatediff) -> Any:
    import torch
    from diffusers import MotionAdapter
    from safetensors.torch import load_file

    source = cfg.model.motion
    if not source.single:
        return builder(MotionAdapter, weights.path(source), cfg.dtype, source)()
    adapter = MotionAdapter.from_config(motion_settings(cfg))
    try:
        adapter.load_state_dict(load_file(str(safetensors_file(source))))
    except RuntimeError as error:
        raise not_a_model(source, "a motion module of the shape in motion_config", error) from None
    return adapter.to(getattr(torch, cfg.dtype))


def vae(cfg: Animatediff) -> Any | None:
    from diffusers import AutoencoderKL

    source = cfg.vae or cfg.model.vae
    if source is None:
        return None
    if not source.single:
        return builder(AutoencoderKL, weights.path(source), cfg.dtype, source)()
    import torch

    settings = weights.path(cfg.model.base_config or cfg.model.base) / "vae"
    return AutoencoderKL.from_single_file(
        str(safetensors_file(source)),
        config=str(settings),
        torch_dtype=getattr(torch, cfg.dtype),
        local_files_only=True,
    )


def _core_bytes(cfg: Animatediff) -> int:
    vae = cfg.vae or cfg.model.vae
    several = [cfg.model.base, cfg.model.motion, *([vae] if vae else []), *(lora.source for lora in loras_of(cfg))]
    return sum(parameter_bytes(weights.path(source), BYTES[cfg.dtype]) for source in several)
