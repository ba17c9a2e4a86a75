"""Tiny models of the real classes with random weights; nothing that ends in zeros stays so."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    MotionAdapter,
    SparseControlNetModel,
    UNet2DConditionModel,
    UNetMotionModel,
)

WIDTHS = (16, 32)
TOKENS, TEXT = 6, 16
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "linear"}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Layers this small are slower on two threads, and far slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def redrawn(module, seed):
    """Every weight matrix drawn anew, so that no output is zero whatever the class began with."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
            else:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return module.eval().requires_grad_(False)


def base(**more):
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=WIDTHS,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=TEXT,
        attention_head_dim=4,
        norm_num_groups=4,
        **more,
    )


@functools.cache
def unet(middle=True, sdxl=False):
    """A UNetMotionModel, with or without motion modules in the middle (v3 adapters have none)."""
    more = (
        {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 6 * 8 + 12,
            "use_linear_projection": True,
        }
        if sdxl
        else {}
    )
    adapter = MotionAdapter(
        block_out_channels=WIDTHS,
        motion_layers_per_block=1,
        motion_num_attention_heads=2,
        motion_norm_num_groups=4,
        motion_max_seq_length=32,
        use_motion_mid_block=middle,
    )
    return redrawn(UNetMotionModel.from_unet2d(base(**more), adapter), 1)


@functools.cache
def controlnet(seed=2, **more):
    net = ControlNetModel.from_unet(base(), conditioning_embedding_out_channels=(4, 8), **more)
    return redrawn(net, seed)


@functools.cache
def sparse(latents=False):
    """A SparseCtrl that reads pixels, or one that reads latents (the simplified embedding)."""
    return redrawn(
        SparseControlNetModel(
            block_out_channels=WIDTHS,
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"),
            cross_attention_dim=TEXT,
            attention_head_dim=4,
            norm_num_groups=4,
            conditioning_channels=4 if latents else 3,
            conditioning_embedding_out_channels=(4, 8),
            motion_num_attention_heads=2,
            use_simplified_condition_embedding=latents,
        ),
        3,
    )


@functools.cache
def vae():
    return redrawn(
        AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            layers_per_block=1,
            norm_num_groups=4,
            force_upcast=False,
        ),
        4,
    )


def text(seed, count=1):
    return torch.randn(count, TOKENS, TEXT, generator=torch.Generator().manual_seed(seed))


def pictures(count, seed=0, size=16):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def relative(a, b):
    """Largest difference over the largest value."""
    return float((a - b).abs().max() / b.abs().max())
