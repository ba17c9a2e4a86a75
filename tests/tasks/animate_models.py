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
def tokenizer():
    from transformers import T5Tokenizer

    letters = [(letter, -10.0) for letter in "abcdefghijklmnopqrstuvwxyz0123456789,.-'"]
    begun = [(f"▁{word}", -2.0) for word in WORDS]
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -8.0), *begun, ("in", -3.0), *letters]
    return T5Tokenizer(vocab=vocab, extra_ids=0, model_max_length=128)


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


def ltx2() -> dict[str, object]:
    """Parts of an LTX-2 pipeline but its text encoder."""
    return {
        "transformer": _ltx2_transformer(),
        "vae": _ltx2_vae(),
        "audio_vae": _ltx2_audio_vae(),
        "scheduler": scheduler(use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05),
        "connectors": _ltx2_connectors(),
        "vocoder": _ltx2_vocoder(),
    }


def write_ltx2(folder: Path) -> Path:
    """The same as diffusers saves them; a T5 lies where its text encoder would, so it cannot embed."""
    for name, part in {**ltx2(), "text_encoder": text_encoder(), "tokenizer": tokenizer()}.items():
        part.save_pretrained(folder / name)
    return folder


def read_ltx2(folder: Path) -> dict[str, object]:
    """The parts of a written family, loaded as a script loads them; without text encoder and tokenizer."""
    parts = {name: part for name, part in ltx2().items() if name != "scheduler"}
    found = {name: type(part).from_pretrained(folder / name).eval() for name, part in parts.items()}
    return {**found, "scheduler": ltx2()["scheduler"]}


@functools.cache
def _ltx2_transformer():
    from diffusers import LTX2VideoTransformer3DModel

    return redrawn(
        LTX2VideoTransformer3DModel(
            in_channels=4,
            out_channels=4,
            num_attention_heads=2,
            attention_head_dim=8,
            cross_attention_dim=16,
            audio_in_channels=4,
            audio_out_channels=4,
            audio_num_attention_heads=2,
            audio_attention_head_dim=4,
            audio_cross_attention_dim=8,
            num_layers=2,
            qk_norm="rms_norm_across_heads",
            caption_channels=TEXT,
            rope_double_precision=False,
            rope_type="split",
        ),
        6,
    )


@functools.cache
def _ltx2_connectors():
    from diffusers.pipelines.ltx2 import LTX2TextConnectors

    each = {"num_attention_heads": 4, "attention_head_dim": 8, "num_layers": 1, "num_learnable_registers": None}
    both = {f"{kind}_connector_{name}": value for kind in ("video", "audio") for name, value in each.items()}
    return redrawn(
        LTX2TextConnectors(
            caption_channels=TEXT,
            text_proj_in_factor=3,
            connector_rope_base_seq_len=32,
            rope_theta=10000.0,
            rope_double_precision=False,
            causal_temporal_positioning=False,
            rope_type="split",
            **both,
        ),
        7,
    )


@functools.cache
def _ltx2_vae():
    from diffusers import AutoencoderKLLTX2Video

    found = AutoencoderKLLTX2Video(
        latent_channels=4,
        block_out_channels=(8,),
        decoder_block_out_channels=(8,),
        layers_per_block=(1,),
        decoder_layers_per_block=(1, 1),
        spatio_temporal_scaling=(True,),
        decoder_spatio_temporal_scaling=(True,),
        decoder_inject_noise=(False, False),
        downsample_type=("spatial",),
        upsample_residual=(False,),
        upsample_factor=(1,),
        timestep_conditioning=False,
        patch_size=1,
        patch_size_t=1,
        encoder_causal=True,
        decoder_causal=False,
    )
    found.use_framewise_encoding = found.use_framewise_decoding = False
    return redrawn(found, 8)


@functools.cache
def _ltx2_audio_vae():
    from diffusers import AutoencoderKLLTX2Audio

    return redrawn(
        AutoencoderKLLTX2Audio(
            base_channels=4,
            output_channels=2,
            ch_mult=(1,),
            num_res_blocks=1,
            attn_resolutions=None,
            in_channels=2,
            resolution=32,
            latent_channels=2,
            norm_type="pixel",
            causality_axis="height",
            dropout=0.0,
            mid_block_add_attention=False,
            sample_rate=16000,
            mel_hop_length=160,
            is_causal=True,
            mel_bins=8,
        ),
        9,
    )


@functools.cache
def _ltx2_vocoder():
    from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder

    return redrawn(
        LTX2Vocoder(
            in_channels=16,
            hidden_channels=32,
            out_channels=2,
            upsample_kernel_sizes=[4, 4],
            upsample_factors=[2, 2],
            resnet_kernel_sizes=[3],
            resnet_dilations=[[1, 3, 5]],
            leaky_relu_negative_slope=0.1,
            output_sampling_rate=16000,
        ),
        10,
    )
