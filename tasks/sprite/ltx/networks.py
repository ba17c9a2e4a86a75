"""The networks of `sprite_ltx`: diffusers' and transformers' own classes, at sizes that a setting gives.

The geometry is LTX-Video's, 8 frames a latent cell and 8k+1 frames, but for patches of 2 px instead of 4, so that a
cell has 16 x 16 px: one of 32 px would be a fourth of a picture's side here. Widths are smaller. The decoder is causal,
as the encoder is: a clip's first frame is decoded as if it stood alone, so it is the picture that was given, through
the VAE once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.sprite.ltx.settings import NetworkSettings

if TYPE_CHECKING:
    from diffusers import (
        AutoencoderKLLTXVideo,
        FlowMatchEulerDiscreteScheduler,
        LTXConditionPipeline,
        LTXVideoTransformer3DModel,
    )
    from torch import nn
    from transformers import T5EncoderModel

PATCH, SPACE, TIME = 2, 16, 8  # px of a patch; px and frames of one latent cell
DOWN = ("spatial", "temporal", "spatiotemporal", "spatiotemporal")  # what each block of the encoder halves
UP = (True, True, True, False)  # blocks of the decoder, the finest first, that double time, height and width
QUIET = -6.0  # log variance of a posterior almost without noise, which training begins with
PIPELINE = "LTXConditionPipeline"
PARTS = ("tokenizer", "scheduler", "text_encoder", "vae", "transformer")


def latent_frames(frames: int) -> int:
    """Latent frames of a clip of `frames` = 8k+1 frames."""
    return (frames - 1) // TIME + 1


def build_vae(size: NetworkSettings) -> AutoencoderKLLTXVideo:
    """Halves time and sides as LTX-Video does since 0.9.5: what folds and unfolds has a way around its convolution,
    without which so deep an autoencoder hardly begins to learn. Its residual blocks add nothing at first, and its
    posterior has almost no noise."""
    import torch
    from diffusers import AutoencoderKLLTXVideo

    vae = AutoencoderKLLTXVideo(
        latent_channels=size.latent_channels, block_out_channels=tuple(size.encoder),
        decoder_block_out_channels=tuple(size.decoder), layers_per_block=tuple(size.encoder_layers),
        decoder_layers_per_block=tuple(size.decoder_layers), spatio_temporal_scaling=(True,) * 4,
        decoder_spatio_temporal_scaling=UP, decoder_inject_noise=(False,) * 5, upsample_residual=(True,) * 4,
        upsample_factor=tuple(size.decoder_factors), down_block_types=("LTXVideo095DownBlock3D",) * 4,
        downsample_type=DOWN, patch_size=PATCH, patch_size_t=1,
        timestep_conditioning=False, encoder_causal=True, decoder_causal=True,
        spatial_compression_ratio=SPACE, temporal_compression_ratio=TIME,
    )  # fmt: skip
    with torch.no_grad():
        for name, module in vae.named_modules():
            if isinstance(module, torch.nn.Conv3d) and name.endswith("conv2.conv"):
                torch.nn.init.zeros_(module.weight)
                torch.nn.init.zeros_(module.bias)
        vae.encoder.conv_out.conv.weight[-1] *= 0.1  # the last channel is the log variance of all
        vae.encoder.conv_out.conv.bias[-1] = QUIET
    return vae


def build_text_encoder(size: NetworkSettings, vocabulary: int) -> T5EncoderModel:
    """T5's encoder with gated GELU, as T5 v1.1 has it."""
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(T5Config(
        vocab_size=vocabulary, d_model=size.text_width, d_kv=size.text_width // 4, d_ff=2 * size.text_width,
        num_layers=size.text_layers, num_heads=4, feed_forward_proj="gated-gelu", dropout_rate=0.0,
        tie_word_embeddings=False,
    ))  # fmt: skip


def build_transformer(size: NetworkSettings) -> LTXVideoTransformer3DModel:
    """One token a latent cell, as in LTX-Video; its last layer begins at zero, so it first predicts nothing."""
    import torch
    from diffusers import LTXVideoTransformer3DModel

    transformer = LTXVideoTransformer3DModel(
        in_channels=size.latent_channels, out_channels=size.latent_channels, patch_size=1, patch_size_t=1,
        num_attention_heads=size.heads, attention_head_dim=size.head_width,
        cross_attention_dim=size.heads * size.head_width, num_layers=size.layers, caption_channels=size.text_width,
    )  # fmt: skip
    torch.nn.init.zeros_(transformer.proj_out.weight)
    torch.nn.init.zeros_(transformer.proj_out.bias)
    return transformer


def build_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """No shift: the pipeline hands over its own timesteps, and a shifting scheduler would bend them again."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(shift=1.0, use_dynamic_shifting=False)


def load(folder: Path, part: str) -> Any:
    """One of `PARTS` of an exported family: float32, eval mode.

    Raises:
        OSError: the folder lacks the part.
    """
    import torch
    from diffusers import AutoencoderKLLTXVideo, FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel
    from transformers import T5EncoderModel, T5Tokenizer

    if part == "tokenizer":
        return T5Tokenizer.from_pretrained(folder / part)
    if part == "scheduler":
        return FlowMatchEulerDiscreteScheduler.from_pretrained(folder / part)
    classes = {"vae": AutoencoderKLLTXVideo, "transformer": LTXVideoTransformer3DModel, "text_encoder": T5EncoderModel}
    return classes[part].from_pretrained(folder / part, dtype=torch.float32).eval()


def pipeline(parts: dict[str, Any]) -> LTXConditionPipeline:
    """diffusers' own pipeline of `PARTS`, without its progress bar."""
    import diffusers

    diffusers.utils.logging.set_verbosity_error()
    pipe = diffusers.LTXConditionPipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def load_pipeline(folder: Path) -> LTXConditionPipeline:
    """The exported family as `from_pretrained` gives it, in float32."""
    import diffusers
    import torch

    diffusers.utils.logging.set_verbosity_error()
    pipe = diffusers.LTXConditionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def parameters(module: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(p.numel() for p in module.parameters())
