"""Tiny models of the real classes that painters are made of, with random weights, as diffusers saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.runs import ROOT
from tests.tasks import animate_models
from tests.tasks.engine_models import redrawn

SPRITE = ROOT / "data" / "models" / "sprite"
WIDTH = 32
"""Of text encoders' outputs."""


def clip_tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(SPRITE / "tokenizer"))


def clip_config() -> Any:
    from transformers import CLIPTextConfig

    tokenizer = clip_tokenizer()
    return CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=37, num_attention_heads=4,
        num_hidden_layers=3, projection_dim=WIDTH, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip


VISION = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
"""Tokens that stand for pictures in a prompt."""


def chat_tokenizer() -> Any:
    """A tokenizer of bytes with a chat template and places for pictures, as Qwen's are."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *VISION]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {piece: number for number, piece in enumerate([*special, *letters])}
    raw = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    found = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token=special[0], eos_token=special[2], additional_special_tokens=special
    )
    found.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return found


def vae(latents: int = 4, widths: tuple[int, ...] = (4, 8), **more: Any) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=widths, layers_per_block=1, latent_channels=latents, norm_num_groups=2,
        down_block_types=("DownEncoderBlock2D",) * len(widths), up_block_types=("UpDecoderBlock2D",) * len(widths),
        **more,
    )  # fmt: skip


def qwen3_config(layers: int) -> Any:
    from transformers import Qwen3Config

    return Qwen3Config(
        vocab_size=512, hidden_size=16, intermediate_size=16, num_hidden_layers=layers, num_attention_heads=2,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=1024,
    )  # fmt: skip


def sdxl() -> dict[str, Any]:
    from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    unet = UNet2DConditionModel(
        block_out_channels=(4, 8), layers_per_block=1, sample_size=32, in_channels=4, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4), use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=8, transformer_layers_per_block=(1, 2), cross_attention_dim=2 * WIDTH,
        projection_class_embeddings_input_dim=48 + WIDTH, norm_num_groups=1,
    )  # fmt: skip
    return {
        "unet": unet, "vae": vae(), "text_encoder": CLIPTextModel(clip_config()),
        "text_encoder_2": CLIPTextModelWithProjection(clip_config()), "tokenizer": clip_tokenizer(),
        "tokenizer_2": clip_tokenizer(), "scheduler": EulerDiscreteScheduler(),
    }  # fmt: skip


def flux() -> dict[str, Any]:
    from diffusers import FluxTransformer2DModel
    from transformers import CLIPTextModel

    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=8, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=animate_models.TEXT, pooled_projection_dim=WIDTH, axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    )  # fmt: skip
    return {
        "transformer": transformer,
        "vae": vae(2, (4,), use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.06, scaling_factor=1.5),
        "text_encoder": CLIPTextModel(clip_config()), "text_encoder_2": animate_models.text_encoder(),
        "tokenizer": clip_tokenizer(), "tokenizer_2": animate_models.tokenizer(),
        "scheduler": animate_models.scheduler(),
    }  # fmt: skip


def flux2_klein() -> dict[str, Any]:
    from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
    from transformers import Qwen3ForCausalLM

    transformer = Flux2Transformer2DModel(
        patch_size=1, in_channels=8, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=48, timestep_guidance_channels=256, axes_dims_rope=(4, 4, 4, 4), guidance_embeds=False,
    )  # fmt: skip
    own_vae = AutoencoderKLFlux2(
        sample_size=32, block_out_channels=(4,), layers_per_block=1, latent_channels=2, norm_num_groups=1,
        down_block_types=("DownEncoderBlock2D",), up_block_types=("UpDecoderBlock2D",), use_quant_conv=False,
        use_post_quant_conv=False,
    )  # fmt: skip
    return {
        "transformer": transformer, "vae": own_vae, "text_encoder": Qwen3ForCausalLM(qwen3_config(28)),
        "tokenizer": chat_tokenizer(), "scheduler": animate_models.scheduler(use_dynamic_shifting=True),
    }  # fmt: skip


def z_image() -> dict[str, Any]:
    from diffusers import ZImageTransformer2DModel
    from transformers import Qwen3Model

    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,), all_f_patch_size=(1,), in_channels=4, dim=32, n_layers=2, n_refiner_layers=1, n_heads=2,
        n_kv_heads=2, qk_norm=True, cap_feat_dim=16, rope_theta=256.0, t_scale=1000.0, axes_dims=[8, 4, 4],
        axes_lens=[1024, 32, 32],
    )  # fmt: skip
    return {
        "transformer": transformer,
        "vae": vae(4, (4, 4, 4, 4), use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.0),
        "text_encoder": Qwen3Model(qwen3_config(2)), "tokenizer": chat_tokenizer(),
        "scheduler": animate_models.scheduler(shift=3.0),
    }  # fmt: skip


def qwen_image() -> dict[str, Any]:
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    transformer = QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=2, attention_head_dim=16, num_attention_heads=3,
        joint_attention_dim=16, guidance_embeds=False, axes_dims_rope=(8, 4, 4),
    )  # fmt: skip
    own_vae = AutoencoderKLQwenImage(
        base_dim=24, z_dim=4, dim_mult=[1, 2, 4], num_res_blocks=1, temperal_downsample=[False, True],
        latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
    )  # fmt: skip
    rope = {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default", "rope_theta": 1e6}
    text = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2, "rope_scaling": rope, "rope_parameters": rope, "vocab_size": 512,
        "max_position_embeddings": 2048,
    }  # fmt: skip
    vision = {
        "depth": 2, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
    }  # fmt: skip
    tokens = dict(zip(("vision_start", "vision_end", "image", "video"), chat_ids(*VISION), strict=True))
    ids = {f"{name}_token_id": number for name, number in tokens.items()}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids)
    return {
        "transformer": transformer, "vae": own_vae, "text_encoder": Qwen2_5_VLForConditionalGeneration(config),
        "tokenizer": chat_tokenizer(), "scheduler": animate_models.scheduler(use_dynamic_shifting=True),
    }  # fmt: skip


def chat_ids(*tokens: str) -> list[int]:
    found: list[int] = chat_tokenizer().convert_tokens_to_ids(list(tokens))
    return found


def qwen_image_edit() -> dict[str, Any]:
    from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    processor = Qwen2VLProcessor(Qwen2VLImageProcessor(), chat_tokenizer(), Qwen2VLVideoProcessor())
    return {**qwen_image(), "processor": processor}


def write_ip_adapter(unet: Path, folder: Path) -> tuple[Path, Path]:
    """Random weights of an IP-Adapter for a UNet, and of a network that sees the pictures: the file, and the folder."""
    from diffusers import UNet2DConditionModel
    from safetensors.torch import save_file
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(2)
    tokens, embed = 4, 8
    network = UNet2DConditionModel.from_pretrained(str(unet))
    width = network.config.cross_attention_dim
    tensors = {
        "image_proj.proj.weight": torch.randn(tokens * width, embed),
        "image_proj.proj.bias": torch.zeros(tokens * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }
    layers = [module for name, module in network.named_modules() if name.endswith("attn2")]
    for index, module in enumerate(layers):
        for part in ("to_k_ip", "to_v_ip"):
            tensors[f"ip_adapter.{2 * index + 1}.{part}.weight"] = torch.randn(module.to_k.out_features, width)
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=16,
        projection_dim=embed,
    )  # fmt: skip
    file, seeing = folder / "ip.safetensors", folder / "image_encoder"
    CLIPVisionModelWithProjection(config).save_pretrained(seeing)
    save_file(tensors, str(file))
    return file, seeing


MAKES = {
    "sdxl": sdxl, "flux": flux, "flux2_klein": flux2_klein, "z_image": z_image, "qwen_image": qwen_image,
    "qwen_image_edit": qwen_image_edit,
}  # fmt: skip


def write(architecture: str, folder: Path) -> Path:
    """A family of tiny parts with weights from a seed."""
    torch.manual_seed(0)
    parts = MAKES[architecture]()
    for number, (name, part) in enumerate(parts.items()):
        (redrawn(part, number) if isinstance(part, torch.nn.Module) else part).save_pretrained(folder / name)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": architecture}))
    return folder
