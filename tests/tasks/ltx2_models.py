"""Tiny random models of the classes of LTX-2, which makes picture and sound."""

from __future__ import annotations

import functools
from pathlib import Path

from tests.tasks.animate_models import TEXT, scheduler, tokenizer
from tests.tasks.engine_models import redrawn


def parts() -> dict[str, object]:
    """Parts of an LTX-2 pipeline but its text encoder."""
    return {
        "transformer": _transformer(),
        "vae": _vae(),
        "audio_vae": _audio_vae(),
        "scheduler": scheduler(use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05, shift_terminal=0.1),
        "connectors": _connectors(),
        "vocoder": _vocoder(),
    }


def write(folder: Path) -> Path:
    """The same as diffusers saves them, its text encoder and an upsampler."""
    texts = {"text_encoder": gemma(), "tokenizer": tokenizer("left")}
    for name, part in {**parts(), **texts, "latent_upsampler": upsampler()}.items():
        part.save_pretrained(folder / name)
    return folder


def read(folder: Path) -> dict[str, object]:
    """The parts of a written family, loaded as a script loads them; without text encoder and tokenizer."""
    made = parts()
    found = {name: type(made[name]).from_pretrained(folder / name).eval() for name in made if name != "scheduler"}
    return {**found, "scheduler": made["scheduler"]}


@functools.cache
def gemma():
    """As many layers, and as wide, as the connectors take."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Gemma3Config(
        text_config={
            "vocab_size": len(tokenizer()),
            "hidden_size": TEXT,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "max_position_embeddings": 128,
            "pad_token_id": 0,
        },
        vision_config={**vision, "image_size": 28, "patch_size": 14},
        mm_tokens_per_image=4,
        **{f"{name}_token_index": 1 for name in ("image", "boi", "eoi")},
    )
    return redrawn(Gemma3ForConditionalGeneration(config), 13)


@functools.cache
def upsampler():
    from diffusers.pipelines.ltx2.latent_upsampler import LTX2LatentUpsamplerModel

    return redrawn(LTX2LatentUpsamplerModel(in_channels=4, mid_channels=32, num_blocks_per_stage=1), 14)


@functools.cache
def _transformer():
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
def _connectors():
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
def _vae():
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
def _audio_vae():
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
def _vocoder():
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
