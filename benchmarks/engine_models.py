"""Models that the engine's benchmarks compute with: the embedded family, or random ones of the real classes."""

from __future__ import annotations

import argparse

from benchmarks.runs import SPRITE
from tasks.bench.random_models import Models, random_models
from tasks.bench.sides import Work


def build(size: str, dtype: str, device: str = "cpu") -> Models:
    """UNetMotionModel with a motion adapter, and one ControlNet.

    Args:
        size: ``sprite``, or of `tasks.bench.random_models.SIZES`.
    """
    import torch

    if size != "sprite":
        return random_models(size, dtype, device)
    from diffusers import ControlNetModel, MotionAdapter, UNet2DConditionModel, UNetMotionModel

    number = {"torch_dtype": getattr(torch, dtype)}
    base = UNet2DConditionModel.from_pretrained(SPRITE / "unet", **number)
    adapter = MotionAdapter.from_pretrained(SPRITE / "motion_adapter", **number)
    net = ControlNetModel.from_pretrained(SPRITE / "controlnet_openpose", **number)
    unet = UNetMotionModel.from_unet2d(base, adapter)
    for module in (unet, net):
        module.eval().requires_grad_(False).to(device)
    return Models(unet, adapter, [net])


def work_of(args: argparse.Namespace) -> Work:
    """The work that a benchmark's options ask for."""
    return Work(
        args.frames,
        args.side_px,
        getattr(args, "steps", 1),
        args.dtype,
        args.device,
        args.block,
        args.window,
        args.overlap,
    )
