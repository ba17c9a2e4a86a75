"""The stock pipelines as an oracle: one render with diffusers' AnimateDiff video-to-video pipelines.

Rotoscope loads and renders with code of its own; this says what both must agree with, so it uses neither.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reel.clip import Clip
from reel.models.animatediff import AnimateDiff
from reel.models.source import ModelSource
from tasks.networks.quiet import quiet
from tasks.stylize.engine import schedulers
from tasks.stylize.settings.controls import Control
from tasks.stylize.settings.split import Stages
from tasks.weights import fetch as weights


def render(stages: Stages, clip: Clip, maps: Mapping[str, Clip]) -> np.ndarray:
    """Frames ``(F, H, W, 3)`` uint8 RGB, rendered on the CPU in float32.

    Args:
        maps: control maps by control name, of the clip's size and length.
    """
    import torch

    cfg = stages.denoise
    with quiet():
        pipe = pipeline(stages)
    pipe.set_progress_bar_config(disable=True)
    with _clip_skip_ready(pipe, stages.embed.clip_skip), quiet(), torch.inference_mode():
        frames = pipe(**_arguments(stages, clip), **_control_arguments(maps, cfg.live()))
    return (frames.frames[0] * 255).round().astype(np.uint8)


def pipeline(stages: Stages) -> Any:
    """The pipeline for a render's controls: plain video-to-video when there are none."""
    from diffusers import AnimateDiffVideoToVideoControlNetPipeline, AnimateDiffVideoToVideoPipeline, ControlNetModel

    cfg = stages.denoise
    settings = json.loads((_path(cfg.model.base) / "scheduler" / "scheduler_config.json").read_text())
    pipe = AnimateDiffVideoToVideoPipeline(
        **_parts(cfg.model, stages.encode.vae),
        scheduler=schedulers.make(cfg.scheduler, {**settings, **cfg.model.scheduler_config}),
    )
    for index, lora in enumerate(loras := [*cfg.model.loras, *cfg.loras, *cfg.motion_loras]):
        file = _path(lora.source)
        pipe.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name=f"lora{index}")
    if loras:
        pipe.set_adapters([f"lora{index}" for index in range(len(loras))], [lora.weight for lora in loras])
    if cfg.ip_adapter is not None:
        _look_at_pictures(pipe, cfg.model, float(cfg.ip_adapter.weight))
    live = cfg.live().values()
    nets = [ControlNetModel.from_pretrained(str(_path(cfg.model.controlnets[one.kind]))) for one in live]
    if not nets:
        return pipe
    return AnimateDiffVideoToVideoControlNetPipeline(**pipe.components, controlnet=nets if len(nets) > 1 else nets[0])


def _parts(model: AnimateDiff, vae: ModelSource | None) -> dict[str, Any]:
    from diffusers import AutoencoderKL, MotionAdapter, UNet2DConditionModel
    from safetensors.torch import load_file
    from transformers import CLIPTextModel, CLIPTokenizer

    root = _path(model.base)
    if model.motion_config is None:
        adapter = MotionAdapter.from_pretrained(str(_path(model.motion)))
    else:
        adapter = MotionAdapter.from_config(json.loads((_path(model.motion_config) / "config.json").read_text()))
        adapter.load_state_dict(load_file(str(_path(model.motion))))
    return {
        "vae": AutoencoderKL.from_pretrained(str(_path(vae) if vae else root / "vae")),
        "text_encoder": CLIPTextModel.from_pretrained(str(root / "text_encoder")),
        "tokenizer": CLIPTokenizer.from_pretrained(str(root / "tokenizer")),
        "unet": UNet2DConditionModel.from_pretrained(str(root / "unet")),
        "motion_adapter": adapter,
    }


def _look_at_pictures(pipe: Any, model: AnimateDiff, scale: float) -> None:
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    assert model.ip_image_encoder is not None
    assert model.ip_adapter is not None
    encoder = CLIPVisionModelWithProjection.from_pretrained(str(_path(model.ip_image_encoder)))
    side = encoder.config.image_size
    pipe.register_modules(image_encoder=encoder, feature_extractor=CLIPImageProcessor(size=side, crop_size=side))
    file = _path(model.ip_adapter)
    pipe.load_ip_adapter(str(file.parent), subfolder="", weight_name=file.name)
    pipe.set_ip_adapter_scale(scale)


def _path(source: ModelSource) -> Path:
    return weights.path(source)


def _arguments(stages: Stages, clip: Clip) -> dict[str, Any]:
    import torch
    from PIL import Image

    cfg = stages.denoise
    ((prompt, negative_prompt),) = stages.embed.texts
    arguments: dict[str, Any] = {
        "video": [Image.fromarray(frame) for frame in clip.frames()],
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "width": clip.width,
        "height": clip.height,
        "strength": float(cfg.strength),
        "num_inference_steps": cfg.num_inference_steps,
        "guidance_scale": float(cfg.guidance_scale),
        # a CPU generator gives the same noise whatever the device
        "generator": torch.Generator("cpu").manual_seed(cfg.seed),
        "clip_skip": stages.embed.clip_skip,
        "decode_chunk_size": stages.decode.chunk_size,
        "output_type": "np",
    }
    if cfg.ip_adapter is not None:
        with Image.open(cfg.ip_adapter.picture) as picture:
            arguments["ip_adapter_image"] = picture.convert("RGB")
    return arguments


def _control_arguments(maps: Mapping[str, Clip], live: Mapping[str, Control]) -> dict[str, Any]:
    """One ControlNet wants bare values, several want lists of equal length, which the pipeline does not check."""
    from PIL import Image

    if not live:
        return {}
    columns: dict[str, list[Any]] = {
        "conditioning_frames": [[Image.fromarray(frame) for frame in maps[name].frames()] for name in live],
        "controlnet_conditioning_scale": [float(control.weight) for control in live.values()],
        "control_guidance_start": [float(control.control_guidance_start) for control in live.values()],
        "control_guidance_end": [float(control.control_guidance_end) for control in live.values()],
    }
    return columns if len(live) > 1 else {name: values[0] for name, values in columns.items()}


@contextlib.contextmanager
def _clip_skip_ready(pipe: Any, clip_skip: int | None) -> Iterator[None]:
    """Let diffusers 0.42 find the encoder's last norm under the name that transformers 5 took away.

    The alias stands in the instance's dictionary, not among its sub-modules (it would contain itself), and only for
    the call: LoRA loading tells the two layouts apart by its absence.
    """
    alias = clip_skip is not None and not hasattr(pipe.text_encoder, "text_model")
    if alias:
        pipe.text_encoder.__dict__["text_model"] = pipe.text_encoder
    try:
        yield
    finally:
        if alias:
            del pipe.text_encoder.__dict__["text_model"]
