"""The stock pipelines as an oracle: one render with diffusers' AnimateDiff video-to-video pipelines.

Rotoscope renders with its own engine; this says what the engine must agree with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reel.clip import Clip
from tasks.stylize import load, schedulers
from tasks.stylize.control import Control, live_controls
from tasks.stylize.quiet import quiet
from tasks.stylize.settings import Animatediff


def render(cfg: Animatediff, clip: Clip, maps: Mapping[str, Clip], device: str = "cpu") -> np.ndarray:
    """Frames ``(F, H, W, 3)`` uint8 RGB.

    Args:
        maps: control maps by control name, of the clip's size and length.
    """
    import torch

    live = live_controls(cfg.controls)
    with quiet():
        pipe = pipeline(cfg, live, device)
    pipe.scheduler = schedulers.make(cfg.scheduler, load.scheduler_settings(cfg))
    if cfg.ip_adapter is not None:
        pipe.set_ip_adapter_scale(float(cfg.ip_adapter.weight))
    pipe.set_progress_bar_config(disable=True)
    with _clip_skip_ready(pipe, cfg), quiet(), torch.inference_mode():
        frames = pipe(**_arguments(cfg, clip), **_control_arguments(maps, live))
    return (frames.frames[0] * 255).round().astype(np.uint8)


def pipeline(cfg: Animatediff, live: Mapping[str, Control], device: str) -> Any:
    """The pipeline for these controls around the loaded modules: plain video-to-video when there are none."""
    from diffusers import AnimateDiffVideoToVideoControlNetPipeline, AnimateDiffVideoToVideoPipeline

    parts = dict(load.core(cfg, device, whole=True).components)
    if not live:
        return AnimateDiffVideoToVideoPipeline(**parts)
    nets = load.controlnets(cfg, live, device)
    return AnimateDiffVideoToVideoControlNetPipeline(**parts, controlnet=nets if len(nets) > 1 else nets[0])


def _arguments(cfg: Animatediff, clip: Clip) -> dict[str, Any]:
    import torch
    from PIL import Image

    arguments: dict[str, Any] = {
        "video": [Image.fromarray(frame) for frame in clip.frames()],
        "prompt": cfg.prompt,
        "negative_prompt": cfg.negative_prompt,
        "width": clip.width,
        "height": clip.height,
        "strength": float(cfg.strength),
        "num_inference_steps": cfg.num_inference_steps,
        "guidance_scale": float(cfg.guidance_scale),
        # a CPU generator gives the same noise whatever the device
        "generator": torch.Generator("cpu").manual_seed(cfg.seed),
        "clip_skip": cfg.clip_skip,
        "decode_chunk_size": cfg.decode_chunk_size,
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
def _clip_skip_ready(pipe: Any, cfg: Animatediff) -> Iterator[None]:
    """Let diffusers 0.42 find the encoder's last norm under the name that transformers 5 took away.

    The alias stands in the instance's dictionary, not among its sub-modules (it would contain itself), and only for
    the call: LoRA loading tells the two layouts apart by its absence.
    """
    alias = cfg.clip_skip is not None and not hasattr(pipe.text_encoder, "text_model")
    if alias:
        pipe.text_encoder.__dict__["text_model"] = pipe.text_encoder
    try:
        yield
    finally:
        if alias:
            del pipe.text_encoder.__dict__["text_model"]
