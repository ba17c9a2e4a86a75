"""A family's base as one checkpoint file, under the names that Stable Diffusion's own code and Civitai's files use."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def write_checkpoint(family: Path, file: Path) -> None:
    """Write unet, vae and text encoder of a family into one safetensors file."""
    from safetensors.torch import save_file

    save_file(checkpoint_tensors(family), str(file))


def checkpoint_tensors(family: Path) -> dict[str, Any]:
    """The tensors of a family's unet, vae and text encoder under a checkpoint's names."""
    from safetensors.torch import load_file

    def part(name: str) -> dict[str, Any]:
        return load_file(str(next((family / name).glob("*.safetensors"))))

    unet, vae = part("unet"), part("vae")
    layers = json.loads((family / "unet/config.json").read_text())["layers_per_block"]
    ups = len(json.loads((family / "vae/config.json").read_text())["up_block_types"])
    tensors = {f"model.diffusion_model.{unet_name(k, layers, unet)}": v for k, v in unet.items()}
    for key, value in vae.items():
        matrix = ".attentions." in key and value.ndim == 2
        tensors[f"first_stage_model.{vae_name(key, ups)}"] = value[:, :, None, None] if matrix else value
    for key, value in part("text_encoder").items():
        tensors[f"cond_stage_model.transformer.text_model.{key.removeprefix('text_model.')}"] = value
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def unet_name(key: str, layers: int, every: dict[str, Any]) -> str:
    for ours, theirs in ENDS.items():
        if key.startswith(f"{ours}."):
            return key.replace(ours, theirs, 1)
    if match := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", key):
        place = 1 if match[1] == "attentions" else 2 * int(match[2])
        return f"middle_block.{place}.{_resnet(match[3])}"
    match = re.match(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.*)", key)
    assert match, key
    side, block, kind, layer, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    start = block * (layers + 1) + (1 if side == "down" else 0)
    folder = "input_blocks" if side == "down" else "output_blocks"
    if kind == "downsamplers":
        return f"{folder}.{start + layers}.0.{rest.replace('conv', 'op')}"
    if kind == "upsamplers":
        place = 2 if any(k.startswith(f"up_blocks.{block}.attentions.") for k in every) else 1
        return f"{folder}.{start + layers}.{place}.{rest}"
    return f"{folder}.{start + layer}.{0 if kind == 'resnets' else 1}.{_resnet(rest)}"


def vae_name(key: str, ups: int) -> str:
    key = key.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    key = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", key)
    if "mid_block.attentions.0." in key:
        for ours, theirs in ATTENTION.items():
            key = key.replace(f".{ours}.", f".{theirs}.")
        key = key.replace("mid_block.attentions.0", "mid.attn_1")
    key = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", key)
    key = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", key)
    key = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{ups - 1 - int(m[1])}.block", key)
    return re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{ups - 1 - int(m[1])}.upsample", key)


def _resnet(rest: str) -> str:
    stem = rest.split(".")[0]
    return rest.replace(stem, RESNET[stem], 1) if stem in RESNET else rest


def write_settings(family: Path, folder: Path) -> None:
    """The family's settings and tokenizer without weights, as `base_config` names them."""
    for part in ("text_encoder", "tokenizer", "unet", "vae", "scheduler"):
        (folder / part).mkdir(parents=True)
        for file in (family / part).glob("*.json"):
            shutil.copy(file, folder / part)
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.42.1",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
