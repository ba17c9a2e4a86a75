"""Tiny models of the real classes of image-to-video pipelines, with random weights: what they draw is noise, alike."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import transformers

from tests.tasks.animate_models import TEXT, text_encoder, tokenizer
from tests.tasks.engine_models import redrawn

Parts = dict[str, Any]


@functools.cache
def wan_vae(**more: Any) -> Any:
    base = {"base_dim": 4, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
    return redrawn(diffusers.AutoencoderKLWan(**base, temperal_downsample=[False, True, True], **more), 21)


@functools.cache
def wan_vae_of_16px() -> Any:
    """In the shape of TI2V-5B's: cells of 16 px, of which 2 x 2 px go into it as one."""
    numbers = {"latents_mean": (0.0,) * 16, "latents_std": (1.0,) * 16}
    shape = {"in_channels": 12, "out_channels": 12, "patch_size": 2, "scale_factor_spatial": 16, "is_residual": True}
    return wan_vae(decoder_base_dim=4, **shape, **numbers)


@functools.cache
def wan_transformer(seed: int, **more: Any) -> Any:
    small = {"num_attention_heads": 2, "attention_head_dim": 12, "text_dim": TEXT, "ffn_dim": 32, "num_layers": 2}
    shape = {"in_channels": 36, "out_channels": 16, "rope_max_seq_len": 32, **more}
    return redrawn(diffusers.WanTransformer3DModel(**small, **shape), seed)


@functools.cache
def umt5() -> Any:
    small = {"d_model": TEXT, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    return redrawn(transformers.UMT5EncoderModel(transformers.UMT5Config(vocab_size=len(tokenizer()), **small)), 22)


def unipc() -> Any:
    flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
    return diffusers.UniPCMultistepScheduler(num_train_timesteps=1000, **flow)


def wan21(*, both: bool = False) -> Parts:
    """Wan 2.1; ``both``: with the weights for a first and a last picture."""
    seen = {"image_dim": 4, "added_kv_proj_dim": 24}
    return {
        "transformer": wan_transformer(23, **seen, **({"pos_embed_seq_len": 34} if both else {})),
        "vae": wan_vae(),
        "scheduler": unipc(),
        "text_encoder": umt5(),
        "tokenizer": tokenizer(),
        "image_encoder": clip_vision("CLIPVisionModel", 4),
        "image_processor": transformers.CLIPImageProcessor(crop_size=32, size=32),
    }


@functools.cache
def _wan_animate_transformer() -> Any:
    seen = {"image_dim": 4, "added_kv_proj_dim": 24, "in_channels": 36, "out_channels": 16}
    face = {"motion_encoder_size": 16, "motion_style_dim": 8, "motion_dim": 4, "motion_encoder_dim": 16}
    adapter = {"face_encoder_hidden_dim": 16, "face_encoder_num_heads": 2, "inject_face_latents_blocks": 2}
    channels = {"motion_encoder_channel_sizes": {"4": 16, "8": 16, "16": 16}}
    small = {"num_attention_heads": 2, "attention_head_dim": 12, "text_dim": TEXT, "ffn_dim": 32, "num_layers": 2}
    shape = {**small, **seen, **face, **adapter, **channels, "rope_max_seq_len": 32}
    return redrawn(diffusers.WanAnimateTransformer3DModel(**shape), 27)


def wan_animate() -> Parts:
    """Wan-Animate, which sees a face in 16 x 16 px."""
    return {**wan21(), "transformer": _wan_animate_transformer()}


def wan22() -> Parts:
    parts = {"transformer": wan_transformer(23), "transformer_2": wan_transformer(24)}
    return {**parts, "vae": wan_vae(), "scheduler": unipc(), "text_encoder": umt5(), "tokenizer": tokenizer()}


def wan22_5b() -> Parts:
    own = {"transformer": wan_transformer(25, in_channels=16), "vae": wan_vae_of_16px()}
    return {**own, "scheduler": unipc(), "text_encoder": umt5(), "tokenizer": tokenizer()}


@functools.cache
def clip_vision(kind: str, width: int, size: int = 32) -> Any:
    small = {"hidden_size": width, "projection_dim": TEXT, "num_hidden_layers": 2, "intermediate_size": 16}
    config = transformers.CLIPVisionConfig(**small, num_attention_heads=2, image_size=size, patch_size=size // 4)
    return redrawn(getattr(transformers, kind)(config), 26)


@functools.cache
def svd() -> Parts:
    unet = diffusers.UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 32, 32, 32),
        layers_per_block=1,
        cross_attention_dim=TEXT,
        num_attention_heads=(2, 2, 2, 2),
        transformer_layers_per_block=1,
        projection_class_embeddings_input_dim=24,
        addition_time_embed_dim=8,
    )
    vae = diffusers.AutoencoderKLTemporalDecoder(
        block_out_channels=(32,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=1,
    )
    return {
        "unet": redrawn(unet, 27),
        "vae": redrawn(vae, 28),
        "image_encoder": clip_vision("CLIPVisionModelWithProjection", TEXT, 224),  # the pipeline says how large
        "feature_extractor": transformers.CLIPImageProcessor(),
        "scheduler": diffusers.EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            prediction_type="v_prediction",
            sigma_max=700.0,
            sigma_min=0.002,
            steps_offset=1,
            timestep_spacing="leading",
            timestep_type="continuous",
            use_karras_sigmas=True,
        ),
    }


@functools.cache
def _cogvideox_vae() -> Any:
    four = 4
    return redrawn(
        diffusers.AutoencoderKLCogVideoX(
            down_block_types=("CogVideoXDownBlock3D",) * four,
            up_block_types=("CogVideoXUpBlock3D",) * four,
            block_out_channels=(8,) * four,
            latent_channels=4,
            layers_per_block=1,
            norm_num_groups=2,
            temporal_compression_ratio=4,
        ),
        29,
    )


@functools.cache
def _cogvideox_transformer(*, newer: bool) -> Any:
    positions = {"use_learned_positional_embeddings": not newer, **({"patch_size_t": 2} if newer else {})}
    return redrawn(
        diffusers.CogVideoXTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=16,
            in_channels=8,
            out_channels=4,
            time_embed_dim=8,
            text_embed_dim=TEXT,
            num_layers=2,
            sample_width=18 if newer else 8,
            sample_height=18 if newer else 4,
            sample_frames=9,
            patch_size=2,
            max_text_seq_length=16,
            use_rotary_positional_embeddings=True,
            ofs_embed_dim=8 if newer else None,
            patch_bias=not newer,
            **positions,
        ),
        30,
    )


def cogvideox(*, newer: bool = False, dpm: bool = True) -> Parts:
    """CogVideoX, ``newer``: 1.5."""
    kind = diffusers.CogVideoXDPMScheduler if dpm else diffusers.CogVideoXDDIMScheduler
    noise = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}
    return {
        "transformer": _cogvideox_transformer(newer=newer),
        "vae": _cogvideox_vae(),
        "scheduler": kind(**noise),
        "text_encoder": text_encoder(),
        "tokenizer": tokenizer(),
    }


@functools.cache
def chat_tokenizer() -> Any:
    """Words of a chat, as many tokens before the prompt as pipelines cut off, and more."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["<pad>", "<unk>", "she", "waves", "slowly", "still"]
    model = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    model.pre_tokenizer = pre_tokenizers.Whitespace()
    found = transformers.PreTrainedTokenizerFast(tokenizer_object=model, pad_token="<pad>", unk_token="<unk>")
    found.chat_template = "{% for message in messages %}{{ message['content'] + ' ' }}{% endfor %}"
    return found


@functools.cache
def _byt5() -> Any:
    small = {"d_model": TEXT, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 4}
    config = transformers.T5Config(vocab_size=384, feed_forward_proj="gated-gelu", **small)
    return redrawn(transformers.T5EncoderModel(config), 35)


@functools.cache
def _siglip() -> Any:
    small = {"hidden_size": 12, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.SiglipVisionConfig(**small, image_size=16, patch_size=8)
    return redrawn(transformers.SiglipVisionModel(config), 34)


@functools.cache
def hunyuan15() -> Parts:
    transformer = diffusers.HunyuanVideo15Transformer3DModel(
        in_channels=9,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        num_refiner_layers=1,
        mlp_ratio=2.0,
        text_embed_dim=16,
        text_embed_2_dim=TEXT,
        image_embed_dim=12,
        rope_axes_dim=(2, 2, 4),
        target_size=64,
    )
    vae = diffusers.AutoencoderKLHunyuanVideo15(latent_channels=4, block_out_channels=(8,) * 5, layers_per_block=1)
    chat = transformers.Qwen2_5_VLTextConfig(
        vocab_size=len(chat_tokenizer()),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=2,
        bos_token_id=None,
        eos_token_id=None,
        rope_parameters={"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e6},
    )
    return {
        "transformer": redrawn(transformer, 31),
        "vae": redrawn(vae, 32),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        "text_encoder": redrawn(transformers.Qwen2_5_VLTextModel(chat), 33),
        "tokenizer": chat_tokenizer(),
        "text_encoder_2": _byt5(),
        "tokenizer_2": transformers.ByT5Tokenizer(),
        "image_encoder": _siglip(),
        "feature_extractor": transformers.SiglipImageProcessor(size={"height": 16, "width": 16}),
    }


@functools.cache
def hunyuan_vae() -> Any:
    four = 4
    return redrawn(
        diffusers.AutoencoderKLHunyuanVideo(
            latent_channels=4,
            down_block_types=("HunyuanVideoDownBlock3D",) * four,
            up_block_types=("HunyuanVideoUpBlock3D",) * four,
            block_out_channels=(8,) * four,
            layers_per_block=1,
            norm_num_groups=4,
        ),
        36,
    )


HUNYUAN = {
    "in_channels": 4,
    "out_channels": 4,
    "num_attention_heads": 2,
    "attention_head_dim": 10,
    "num_layers": 1,
    "num_single_layers": 1,
    "num_refiner_layers": 1,
    "text_embed_dim": 16,
    "pooled_projection_dim": 8,
    "rope_axes_dim": (2, 4, 4),
}


@functools.cache
def framepack() -> Parts:
    own = {"has_image_proj": True, "image_proj_dim": 12, "has_clean_x_embedder": True}
    llama = transformers.LlamaConfig(
        vocab_size=len(chat_tokenizer()),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        bos_token_id=None,
        eos_token_id=None,
    )
    return {
        "transformer": redrawn(diffusers.HunyuanVideoFramepackTransformer3DModel(**HUNYUAN, **own), 37),
        "vae": hunyuan_vae(),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        "text_encoder": redrawn(transformers.LlamaModel(llama), 38),
        "tokenizer": chat_tokenizer(),
        "text_encoder_2": clip_text(),
        "tokenizer_2": chat_tokenizer(),
        "image_encoder": _siglip(),
        "feature_extractor": transformers.SiglipImageProcessor(size={"height": 16, "width": 16}),
    }


@functools.cache
def _seeing_tokenizer() -> Any:
    """Knows where a picture stands in a chat, and where its parts end."""
    found = transformers.PreTrainedTokenizerFast(
        tokenizer_object=chat_tokenizer().backend_tokenizer, pad_token="<pad>", unk_token="<unk>"
    )
    found.add_special_tokens({"additional_special_tokens": ["<image>", "<|start_header_id|>", "<|end_header_id|>"]})
    return found


@functools.cache
def hunyuan() -> Parts:
    words = _seeing_tokenizer()
    llama = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    eye = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.LlavaConfig(
        text_config=transformers.LlamaConfig(vocab_size=len(words), **llama, bos_token_id=None, eos_token_id=None),
        vision_config=transformers.CLIPVisionConfig(**eye, image_size=336, patch_size=14),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        pad_token_id=words.pad_token_id,
    )
    return {
        "transformer": redrawn(
            diffusers.HunyuanVideoTransformer3DModel(**HUNYUAN, image_condition_type="token_replace"), 40
        ),
        "vae": hunyuan_vae(),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        "text_encoder": redrawn(transformers.LlavaForConditionalGeneration(config), 41),
        "tokenizer": words,
        "text_encoder_2": clip_text(),
        "tokenizer_2": chat_tokenizer(),
        "image_processor": transformers.CLIPImageProcessor(crop_size=336, size=336),
    }


@functools.cache
def clip_text() -> Any:
    small = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPTextConfig(vocab_size=len(chat_tokenizer()), **small, eos_token_id=1, bos_token_id=1)
    return redrawn(transformers.CLIPTextModel(config), 39)


FAMILIES: dict[str, Callable[[], Parts]] = {
    "wan21": wan21,
    "wan22": wan22,
    "wan22_5b": wan22_5b,
    "svd": svd,
    "cogvideox": cogvideox,
    "hunyuan15": hunyuan15,
    "hunyuan": hunyuan,
    "framepack": framepack,
}


def write(folder: Path, parts: Parts) -> Path:
    """The parts as diffusers saves a pipeline."""
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    return folder


def read(folder: Path, parts: Parts) -> Parts:
    """The same loaded as a script loads them: other places in memory can round otherwise."""
    return {
        name: type(part).from_pretrained(folder / name).eval() if hasattr(part, "parameters") else part
        for name, part in parts.items()
    }
