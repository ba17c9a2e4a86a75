"""Tiny models of the real classes that animators are made of, with random weights; and such a family on the disk."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.tasks.engine_models import one_thread, redrawn

__all__ = ["one_thread"]

WORDS = [
    "a",
    "the",
    "she",
    "he",
    "waves",
    "slowly",
    "push",
    "in",
    "jump",
    "bow",
    "left",
    "right",
    "still",
    "figure",
    "red",
    "blue",
    "turns",
    "stands",
    "camera",
]
TEXT = 32
"""Width of the text encoder's output."""


def picture(seed: int = 0, width: int = 32, height: int = 32) -> Image.Image:
    """A picture of random colours."""
    return Image.fromarray(np.random.RandomState(seed).randint(0, 255, (height, width, 3), np.uint8))


@functools.cache
def tokenizer(padding_side: str = "right"):
    from transformers import T5Tokenizer

    letters = [(letter, -10.0) for letter in "abcdefghijklmnopqrstuvwxyz0123456789,.-'"]
    begun = [(f"▁{word}", -2.0) for word in WORDS]
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -8.0), *begun, ("in", -3.0), *letters]
    return T5Tokenizer(vocab=vocab, extra_ids=0, model_max_length=128, padding_side=padding_side)


@functools.cache
def text_encoder():
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=len(tokenizer()),
        d_model=TEXT,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
    )
    return redrawn(T5EncoderModel(config), 1)


@functools.cache
def transformer():
    from diffusers import LTXVideoTransformer3DModel

    return redrawn(
        LTXVideoTransformer3DModel(
            in_channels=8,
            out_channels=8,
            num_attention_heads=4,
            attention_head_dim=8,
            cross_attention_dim=32,
            num_layers=2,
            caption_channels=TEXT,
        ),
        2,
    )


def ltx_vae(widths: tuple[int, ...], layers: int = 1, **more: Any) -> Any:
    """A VAE of LTX's own geometry: 8 frames and 32 x 32 px a latent."""
    from diffusers import AutoencoderKLLTXVideo

    return AutoencoderKLLTXVideo(
        block_out_channels=widths,
        decoder_block_out_channels=widths,
        layers_per_block=(layers,) * 5,
        decoder_layers_per_block=(layers,) * 5,
        spatio_temporal_scaling=(True, True, True, False),
        decoder_spatio_temporal_scaling=(True, True, True, False),
        down_block_types=("LTXVideoDownBlock3D",) * 4,
        decoder_inject_noise=(False,) * 5,
        upsample_residual=(False,) * 4,
        upsample_factor=(1,) * 4,
        patch_size=4,
        patch_size_t=1,
        **more,
    )


@functools.cache
def vae():
    """A tiny one whose decoder is told how noisy its latents are."""
    found = redrawn(ltx_vae((8, 8, 8, 8), latent_channels=8, timestep_conditioning=True), 3)
    generator = torch.Generator().manual_seed(4)
    found.latents_mean.normal_(0, 0.5, generator=generator)
    found.latents_std.uniform_(0.5, 1.5, generator=generator)
    return found


@functools.cache
def upsampler():
    from diffusers.pipelines.ltx.modeling_latent_upsampler import LTXLatentUpsamplerModel

    return redrawn(
        LTXLatentUpsamplerModel(
            in_channels=8,
            mid_channels=32,
            num_blocks_per_stage=1,
            dims=3,
            spatial_upsample=True,
            temporal_upsample=False,
        ),
        5,
    )


def scheduler(**more):
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**more)


def ltx() -> dict[str, object]:
    """Parts of an LTX pipeline."""
    return {
        "transformer": transformer(),
        "vae": vae(),
        "scheduler": scheduler(),
        "text_encoder": text_encoder(),
        "tokenizer": tokenizer(),
    }


def write_ltx(folder: Path) -> Path:
    """The same parts as diffusers saves them, and an upsampler."""
    for name, part in {**ltx(), "latent_upsampler": upsampler()}.items():
        part.save_pretrained(folder / name)
    classes = {name: ["diffusers", type(part).__name__] for name, part in ltx().items()}
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "LTXConditionPipeline", **classes}))
    return folder


def read_ltx(folder: Path) -> dict[str, object]:
    """The parts of a written family, loaded as a script loads them: other places in memory can round otherwise."""
    from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
    from transformers import T5EncoderModel

    classes = {"transformer": LTXVideoTransformer3DModel, "vae": AutoencoderKLLTXVideo, "text_encoder": T5EncoderModel}
    loaded = {name: kind.from_pretrained(folder / name).eval() for name, kind in classes.items()}
    return {**ltx(), **loaded}


@functools.cache
def umt5():
    from transformers import UMT5Config, UMT5EncoderModel

    config = UMT5Config(
        vocab_size=len(tokenizer()),
        d_model=TEXT,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
    )
    return redrawn(UMT5EncoderModel(config), 11)


@functools.cache
def wan_vae():
    """A VAE of Wan's own geometry: 4 frames and 8 x 8 px a latent."""
    from diffusers import AutoencoderKLWan

    own = {"base_dim": 4, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
    return redrawn(AutoencoderKLWan(**own, temperal_downsample=[False, True, True]), 12)


def wan_scheduler(**more):
    from diffusers import UniPCMultistepScheduler

    flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "num_train_timesteps": 1000}
    return UniPCMultistepScheduler(**flow, flow_shift=3.0, **more)


@functools.cache
def _vace_transformer():
    from diffusers import WanVACETransformer3DModel

    return redrawn(
        WanVACETransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=12,
            text_dim=TEXT,
            freq_dim=32,
            ffn_dim=32,
            num_layers=3,
            rope_max_seq_len=64,
            vace_layers=[0, 2],
        ),
        13,
    )


def vace() -> dict[str, object]:
    """Parts of a Wan VACE pipeline."""
    return {
        "transformer": _vace_transformer(),
        "vae": wan_vae(),
        "scheduler": wan_scheduler(),
        "text_encoder": umt5(),
        "tokenizer": tokenizer(),
    }


def write_vace(folder: Path) -> Path:
    """The same parts as diffusers saves them."""
    for name, part in vace().items():
        part.save_pretrained(folder / name)
    return folder


def read_vace(folder: Path) -> dict[str, object]:
    """The parts of a written family, loaded as a script loads them."""
    models = {name: part for name, part in vace().items() if name not in ("scheduler", "tokenizer")}
    return {**vace(), **{name: type(part).from_pretrained(folder / name).eval() for name, part in models.items()}}
