"""Models that the engine's benchmarks compute with: the embedded family, or random ones of the real classes."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KINDS = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
SIZES: dict[str, dict[str, Any]] = {
    "small": {"block_out_channels": (64, 128, 256, 256), "cross_attention_dim": 128},
    "sd15": {"block_out_channels": (320, 640, 1280, 1280), "cross_attention_dim": 768},
}
SPRITE = Path(__file__).parents[1] / "data" / "models" / "sprite"


@dataclass
class Models:
    """What both sides compute with; the adapter's settings are what FreeNoise asks for."""

    unet: Any
    adapter: Any
    net: Any

    @property
    def words(self) -> int:
        return int(self.unet.config.cross_attention_dim)

    @property
    def channels(self) -> int:
        return int(self.unet.config.in_channels)


def build(args: argparse.Namespace) -> Models:
    """UNetMotionModel with a motion adapter, and one ControlNet."""
    import torch

    if args.size == "sprite":
        from diffusers import ControlNetModel, MotionAdapter, UNet2DConditionModel, UNetMotionModel

        dtype = {"torch_dtype": getattr(torch, args.dtype)}
        base = UNet2DConditionModel.from_pretrained(SPRITE / "unet", **dtype)
        adapter = MotionAdapter.from_pretrained(SPRITE / "motion_adapter", **dtype)
        net = ControlNetModel.from_pretrained(SPRITE / "controlnet_openpose", **dtype)
        unet = UNetMotionModel.from_unet2d(base, adapter)
    else:
        unet, adapter, net = random_models(args)
    for module in (unet, net):
        module.eval().requires_grad_(False).to(args.device)
    return Models(unet, adapter, net)


def random_models(args: argparse.Namespace, meta: bool = False) -> tuple[Any, Any, Any]:
    """The shape of SD 1.5 with a v3 adapter (or smaller); every matrix drawn, so that nothing stays zero."""
    import torch
    from accelerate import init_empty_weights
    from diffusers import ControlNetModel, MotionAdapter, UNet2DConditionModel, UNetMotionModel

    size = SIZES[args.size]
    widths = size["block_out_channels"]
    with init_empty_weights():
        adapter = MotionAdapter(
            block_out_channels=widths, motion_layers_per_block=2, motion_max_seq_length=32, use_motion_mid_block=False
        )
        base = UNet2DConditionModel(sample_size=64, down_block_types=KINDS, attention_head_dim=8, **size)
        unet = UNetMotionModel.from_unet2d(base, adapter, load_weights=False)
        net = ControlNetModel(down_block_types=KINDS, attention_head_dim=8, **size)
    if not meta:
        for seed, module in enumerate((unet, net)):
            draw(module, seed, getattr(torch, args.dtype))
    return unet, adapter, net


def draw(module: Any, seed: int, dtype: Any) -> None:
    """Weights for a module without storage: matrices of unit gain, norms of one, biases of zero."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in list(module.named_parameters()):
            if parameter.ndim > 1:
                fan = parameter[0].numel()
                value = torch.empty(parameter.shape, dtype=dtype).normal_(0, fan**-0.5, generator=generator)
            else:
                value = torch.full(parameter.shape, float(name.endswith("weight")), dtype=dtype)
            owner, _, last = name.rpartition(".")
            setattr(module.get_submodule(owner), last, torch.nn.Parameter(value, requires_grad=False))
    module.to(dtype)
