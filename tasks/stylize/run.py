"""One render with diffusers' AnimateDiff video-to-video pipelines: modules in, frames out.

Everything about these pipelines' call conventions stays in this module.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reel.clip import Clip
from reel.errors import UserError
from reel.op import Context
from reel.prompt import plain
from tasks.stylize import load, schedulers
from tasks.stylize.quiet import quiet
from tasks.stylize.settings import Animatediff, Control


def render(
    cfg: Animatediff, clip: Clip, maps: Mapping[str, Clip], live: Mapping[str, Control], ctx: Context
) -> np.ndarray:
    """Frames ``(F, H, W, 3)`` uint8 RGB.

    Args:
        maps: control maps by control name, of the clip's size and length.
        live: the controls in use, in the order in which their residuals are summed.
    """
    import torch

    device = ctx.compute.device
    if ctx.compute.threads:
        torch.set_num_threads(ctx.compute.threads)
    with quiet():
        pipe = pipeline(cfg, live, device)
    pipe.scheduler = schedulers.make(cfg.scheduler, load.scheduler_settings(cfg))
    if cfg.ip_adapter is not None:
        pipe.set_ip_adapter_scale(float(cfg.ip_adapter.weight))
    steps = int(cfg.num_inference_steps * cfg.strength)
    with _placed(pipe, device, ctx.compute.offload), _vae_memory(pipe, cfg), _clip_skip_ready(pipe, cfg), quiet():
        _free_noise(pipe, cfg)
        with ctx.progress(steps, "stylize", "step") as bar, torch.inference_mode():
            frames = pipe(**_arguments(cfg, clip), **_control_arguments(maps, live), callback_on_step_end=_tick(bar))
    return _pixels(frames.frames[0], cfg)


def pipeline(cfg: Animatediff, live: Mapping[str, Control], device: str) -> Any:
    """The pipeline for these controls around the loaded modules: plain video-to-video when there are none."""
    from diffusers import AnimateDiffVideoToVideoControlNetPipeline, AnimateDiffVideoToVideoPipeline

    parts = dict(load.core(cfg, device).components)
    if not live:
        return AnimateDiffVideoToVideoPipeline(**parts)
    nets = load.controlnets(cfg, live, device)
    return AnimateDiffVideoToVideoControlNetPipeline(**parts, controlnet=nets if len(nets) > 1 else nets[0])


def _arguments(cfg: Animatediff, clip: Clip) -> dict[str, Any]:
    import torch
    from PIL import Image

    arguments: dict[str, Any] = {
        "video": [Image.fromarray(frame) for frame in clip.frames()],
        "prompt": plain(cfg.prompt),
        "negative_prompt": plain(cfg.negative_prompt),
        "width": clip.width,
        "height": clip.height,
        "strength": float(cfg.strength),
        "num_inference_steps": cfg.num_inference_steps,
        "guidance_scale": float(cfg.guidance_scale),
        # a CPU generator gives the same noise whatever the device
        "generator": torch.Generator("cpu").manual_seed(cfg.seed),
        "clip_skip": cfg.clip_skip,
        "decode_chunk_size": 1 if cfg.vae_slicing else cfg.decode_chunk_size,
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


def _free_noise(pipe: Any, cfg: Animatediff) -> None:
    if cfg.free_noise is not None:
        pipe.enable_free_noise(
            context_length=cfg.free_noise.context_length,
            context_stride=cfg.free_noise.context_stride,
            weighting_scheme=cfg.free_noise.weighting_scheme,
        )


def _tick(bar: Any) -> Any:
    def on_step_end(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        bar.update(1)
        return values

    return on_step_end


@contextlib.contextmanager
def _placed(pipe: Any, device: str, offload: str) -> Iterator[None]:
    """The modules on the device, or moved there piece by piece; the hooks go when the render is over."""
    pipe.set_progress_bar_config(disable=True)
    if device == "cpu" or offload == "none":
        pipe.to(device)
        yield
        return
    enable = pipe.enable_model_cpu_offload if offload == "model" else pipe.enable_sequential_cpu_offload
    enable(device=device)
    try:
        yield
    finally:
        pipe.remove_all_hooks()


@contextlib.contextmanager
def _vae_memory(pipe: Any, cfg: Animatediff) -> Iterator[None]:
    """Tiling for this render only: the VAE is shared with later ones."""
    if cfg.vae_tiling:
        pipe.vae.enable_tiling()
    try:
        yield
    finally:
        pipe.vae.disable_tiling()


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


def _pixels(frames: np.ndarray, cfg: Animatediff) -> np.ndarray:
    """``(F, H, W, 3)`` float in 0..1 to uint8.

    Raises:
        UserError: values that are not numbers.
    """
    if not np.isfinite(frames).all():
        raise UserError(
            f"the render has values that are not numbers ({cfg.dtype} overflowed)",
            fix="compute.dtype=float32 or bfloat16, or a VAE made for float16",
        )
    return (frames * 255).round().astype(np.uint8)
