"""A family of the real classes at toy size with random weights, written to a folder like data/models/sprite.

Fresh ControlNets end in zeros, so that nothing they see would change the picture: those layers are filled with noise
here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789,.()'"
LIMIT = 24
"""Tokens that the toy text encoder takes."""


def write_family(folder: Path, kinds: Sequence[str] = ("openpose", "lineart"), window: int = 8) -> Path:
    """Write text_encoder, tokenizer, unet, vae, scheduler, motion_adapter and controlnet_<kind> into ``folder``."""
    import torch
    from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, MotionAdapter, UNet2DConditionModel

    torch.manual_seed(0)
    _text(folder)
    unet = UNet2DConditionModel(
        sample_size=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=2,
    )
    unet.save_pretrained(folder / "unet")
    AutoencoderKL(
        block_out_channels=(4, 4, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=1,
        force_upcast=False,
    ).save_pretrained(folder / "vae")
    adapter = MotionAdapter(
        block_out_channels=(8, 16),
        motion_layers_per_block=1,
        motion_num_attention_heads=2,
        motion_norm_num_groups=2,
        motion_max_seq_length=window,
        use_motion_mid_block=False,
    )
    adapter.save_pretrained(folder / "motion_adapter")
    for kind in kinds:
        net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 4, 8, 8))
        _noise(net, "controlnet")
        net.save_pretrained(folder / f"controlnet_{kind}")
    DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    ).save_pretrained(folder / "scheduler")
    return folder


def write_sdxl(folder: Path, window: int = 8) -> Path:
    """An SDXL family at toy size: two text encoders, blocks of one and two transformers, pooled text and sizes."""
    import torch
    from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
    from transformers import CLIPTextModelWithProjection, CLIPTokenizer

    write_family(folder, kinds=(), window=window)
    torch.manual_seed(2)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    tokenizer.pad_token = "z</w>"  # as SDXL's second tokenizer, which pads with another token than it ends with
    tokenizer.save_pretrained(folder / "tokenizer_2")
    CLIPTextModelWithProjection(_text_config(tokenizer, hidden_size=24, projection_dim=20)).save_pretrained(
        folder / "text_encoder_2"
    )
    UNet2DConditionModel(
        sample_size=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        cross_attention_dim=16 + 24,
        attention_head_dim=(2, 4),
        norm_num_groups=2,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 20,
    ).save_pretrained(folder / "unet")
    EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="leading"
    ).save_pretrained(folder / "scheduler")
    return folder


def write_sparsectrl(folder: Path, window: int = 8, latents: bool = False) -> Path:
    """A SparseControlNetModel for the toy family; ``latents``: it reads the VAE's latents of pictures, not pixels."""
    import torch
    from diffusers import SparseControlNetModel

    torch.manual_seed(1)
    net = SparseControlNetModel(
        in_channels=4,
        conditioning_channels=4 if latents else 3,
        conditioning_embedding_out_channels=(4, 8, 8, 8),
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlockMotion", "CrossAttnDownBlockMotion"),
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=2,
        motion_max_seq_length=window,
        motion_num_attention_heads=2,
        use_simplified_condition_embedding=latents,
    )
    _noise(net, "controlnet")
    net.save_pretrained(folder)
    return folder


def sdxl_config(name: str, window: int = 8) -> dict[str, Any]:
    """The `model` settings of a family that `write_sdxl` wrote."""
    own: dict[str, Any] = family_config(name, (), window)
    base = {**own["base"], "files": [*own["base"]["files"], "text_encoder_2/*", "tokenizer_2/*"]}
    trained = {"beta_schedule": "linear", "clip_sample": False, "steps_offset": 1, "timestep_spacing": "linspace"}
    return {**own, "architecture": "sdxl", "base": base, "scheduler_config": trained}


def family_config(name: str, kinds: Sequence[str] = ("openpose", "lineart"), window: int = 8) -> dict[str, object]:
    """The `model` settings of a family written under ``name`` in the embedded root."""
    parts = ["text_encoder/*", "tokenizer/*", "unet/*", "vae/*", "scheduler/*"]
    return {
        "name": name,
        "architecture": "sd15",
        "base": {"kind": "embedded", "id": name, "files": parts},
        "motion": {"kind": "embedded", "id": name, "subfolder": "motion_adapter"},
        "controlnets": {k: {"kind": "embedded", "id": name, "subfolder": f"controlnet_{k}"} for k in kinds},
        "motion_window": window,
    }


def _text(folder: Path) -> None:
    from transformers import CLIPTextModel, CLIPTokenizer

    words = [*LETTERS, *(letter + "</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    vocab = {word: number for number, word in enumerate(words)}
    tokenizer = CLIPTokenizer(vocab=vocab, merges=[], model_max_length=LIMIT)
    tokenizer.save_pretrained(folder / "tokenizer")
    CLIPTextModel(_text_config(tokenizer, hidden_size=16)).save_pretrained(folder / "text_encoder")
    assert json.loads((folder / "tokenizer" / "tokenizer_config.json").read_text())["model_max_length"] == LIMIT


def _text_config(tokenizer: Any, **more: int) -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=LIMIT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **more,
    )


def _noise(model: object, part: str) -> None:
    import torch

    found = 0
    for name, parameter in model.named_parameters():
        if part in name and parameter.abs().sum() == 0:
            torch.nn.init.normal_(parameter, std=0.2)
            found += 1
    assert found, f"no zero parameter named like {part}"
