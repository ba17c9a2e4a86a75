"""Writes the family in diffusers' folder layout: fp16 safetensors, each part replaced as a whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.sprite import few_lora

PARTS = ("tokenizer", "scheduler", "text_encoder", "vae", "unet", "motion_adapter",
         "controlnet_openpose", "controlnet_lineart", "controlnet_depth", "controlnet_tile")  # fmt: skip
SPARSECTRL = "sparsectrl"
"""A part of no family: it lies in a folder of its own, since the family's is full."""
LIMIT = 30_000_000  # bytes of the whole family in git


def save_part(
    part: Any, folder: Path, name: str, half: bool = False, parts: Sequence[str] = (*PARTS, few_lora.FOLDER)
) -> None:
    """Save a copy of one network, tokenizer or scheduler to `folder/name`; `half` stores a network as fp16.

    parts: names that the family has.
    """
    import copy

    import torch

    if name not in parts:
        raise ValueError(f"{name!r} is not a part of the family; its parts are {', '.join(parts)}")
    if isinstance(part, torch.nn.Module):
        part = copy.deepcopy(part).to(memory_format=torch.contiguous_format).eval()
        part = part.half() if half else part
    folder.mkdir(parents=True, exist_ok=True)
    draft, target, old = folder / f".{name}.new", folder / name, folder / f".{name}.old"
    for stale in (draft, old):
        shutil.rmtree(stale, ignore_errors=True)
    part.save_pretrained(draft)
    _forget_origin(draft / "config.json")
    for path in draft.iterdir():
        path.chmod(0o644)  # safetensors writes its files for the owner alone
    if target.exists():
        target.rename(old)
    draft.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _forget_origin(config: Path) -> None:
    """diffusers notes the folder that a part was loaded from; it means nothing on another machine."""
    if config.exists():
        settings = json.loads(config.read_text())
        settings.pop("_name_or_path", None)
        config.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")


def export_random(folder: Path, seed: int = 0) -> None:
    """A family of the final sizes with untrained weights: the right classes and shapes, no meaning."""
    import torch

    from tasks.sprite import networks
    from tasks.sprite.tokenizer import build_tokenizer

    torch.manual_seed(seed)
    tokenizer, unet = build_tokenizer(), networks.build_unet()
    text = networks.build_text_encoder(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id)
    parts = {"tokenizer": tokenizer, "scheduler": networks.build_scheduler(), "text_encoder": text,
             "vae": networks.build_vae(), "unet": unet, "motion_adapter": networks.build_motion_adapter()}  # fmt: skip
    parts |= {f"controlnet_{kind}": networks.build_controlnet(unet) for kind in networks.CONTROLS}
    for name, part in parts.items():
        save_part(part, folder, name, half=True)
    check_size(folder)


def check_size(folder: Path, limit: int = LIMIT) -> int:
    """Bytes of the family.

    Raises:
        ValueError: more than `limit`.
    """
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if total > limit:
        raise ValueError(f"{folder} holds {total / 1e6:.1f} MB; the family may hold {limit / 1e6:.0f} MB")
    return total
