"""Random models of the real classes, nothing in them zero: what measures speed and memory needs no trained weights."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

KINDS = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
SIZES: dict[str, dict[str, Any]] = {
    "small": {"block_out_channels": (64, 128, 256, 256), "cross_attention_dim": 128},
    "sd15": {"block_out_channels": (320, 640, 1280, 1280), "cross_attention_dim": 768},
}
"""Shapes: ``sd15`` is Stable Diffusion 1.5's (arXiv:2112.10752) with AnimateDiff v3's motion modules (arXiv:2307.04725)
and ControlNets (arXiv:2302.05543)."""


@dataclass
class Models:
    """What both sides compute with; the motion modules are in the UNet, of the adapter its settings alone are read."""

    unet: Any
    adapter: Any
    nets: list[Any]

    @property
    def words(self) -> int:
        return int(self.unet.config.cross_attention_dim)

    @property
    def channels(self) -> int:
        return int(self.unet.config.in_channels)


def random_models(size: str, dtype: str, device: str = "cpu", controls: int = 1) -> Models:
    """A UNetMotionModel and ``controls`` ControlNets, drawn on the device.

    Args:
        size: of `SIZES`.
        device: ``meta`` draws nothing: for counting operations.
    """
    import torch
    from accelerate import init_empty_weights
    from diffusers import ControlNetModel, MotionAdapter, UNet2DConditionModel, UNetMotionModel

    shape = SIZES[size]
    widths = shape["block_out_channels"]
    with init_empty_weights():
        adapter = MotionAdapter(
            block_out_channels=widths, motion_layers_per_block=2, motion_max_seq_length=32, use_motion_mid_block=False
        )
        base = UNet2DConditionModel(sample_size=64, down_block_types=KINDS, attention_head_dim=8, **shape)
        unet = UNetMotionModel.from_unet2d(base, adapter, load_weights=False)
        net = ControlNetModel(down_block_types=KINDS, attention_head_dim=8, **shape)
    told = MotionAdapter(block_out_channels=(32,), motion_layers_per_block=1, motion_max_seq_length=32).to(device)
    for seed, module in enumerate((unet, net)):
        if device != "meta":
            draw(module, seed, getattr(torch, dtype), device)
        module.eval().requires_grad_(False).to(device)
    return Models(unet, told, [net, *(copy.deepcopy(net) for _ in range(1, controls))][:controls])


def parameters(size: str, controls: int) -> int:
    """Numbers in the weights of a UNetMotionModel and ``controls`` ControlNets."""
    models = random_models(size, "float32", "meta", min(controls, 1))
    unet, *nets = (sum(part.numel() for part in module.parameters()) for module in (models.unet, *models.nets))
    return unet + controls * sum(nets)


def draw(module: Any, seed: int, dtype: Any, device: str) -> None:
    """Weights for a module without storage: matrices of unit gain, norms of one, biases of zero."""
    import torch

    generator = torch.Generator(device).manual_seed(seed)
    with torch.no_grad():
        for name, parameter in list(module.named_parameters()):
            if parameter.ndim > 1:
                fan = parameter[0].numel()
                value = torch.empty(parameter.shape, dtype=dtype, device=device)
                value.normal_(0, fan**-0.5, generator=generator)
            else:
                value = torch.full(parameter.shape, float(name.endswith("weight")), dtype=dtype, device=device)
            owner, _, last = name.rpartition(".")
            setattr(module.get_submodule(owner), last, torch.nn.Parameter(value, requires_grad=False))
    module.to(dtype)
