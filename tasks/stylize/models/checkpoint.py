"""Bases in one checkpoint file (Civitai's layout): each part is loaded by itself, under whatever prefix it stands.

A part that the file lacks is taken from ``base_config`` where that folder has weights for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reel.errors import UserError
from reel.models.source import ModelSource
from tasks.networks.files import builder, not_a_model, safetensors_file
from tasks.weights import fetch as weights
from tasks.weights.formats import demand, part_names
from tasks.weights.header import read_header
from tasks.weights.hub import wanted

PREFIXES = {"unet": "model.diffusion_model.", "vae": "first_stage_model."}
"""Under which diffusers looks for a part."""
NAMES = {"unet": "UNet", "vae": "VAE", "text_encoder": "text encoder"}
_INSTEAD = {
    "unet": "give a checkpoint that has one",
    "vae": "give one: stylize.vae={kind: file, id: /path/vae.safetensors}",
    "text_encoder": "give a checkpoint that has one, or as model.base_config a folder with text_encoder/*.safetensors",
}


def load_part(base: ModelSource, base_config: ModelSource | None, part: str, dtype: str) -> Any:
    """A part of a one-file base.

    Args:
        part: ``unet``, ``vae`` or ``text_encoder``.

    Raises:
        UserError: neither the file nor ``base_config`` has the part, or it is of another architecture.
    """
    assert base_config is not None
    file, settings = safetensors_file(base), weights.path(base_config)
    demand(file, "base", "model.base")
    tensors = _tensors(file, part)
    if not tensors:
        if not has_weights(base_config, part):
            raise lacking(base, part)
        return builder(_class(part), settings / part, dtype, base_config)()
    try:
        return (
            _text_encoder(tensors, settings, dtype)
            if part == "text_encoder"
            else _diffusers(_class(part), tensors, settings, part, dtype)
        )
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise not_a_model(base, f"a checkpoint with a {NAMES[part]} of this family's architecture", error) from None


def load_vae_file(source: ModelSource, settings: Path, dtype: str) -> Any:
    """A VAE from a file of its own, or out of a checkpoint.

    Args:
        settings: folder with ``vae/config.json``.

    Raises:
        UserError: it is no such VAE.
    """
    try:
        return _diffusers(_class("vae"), _tensors(safetensors_file(source), "vae"), settings, "vae", dtype)
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise not_a_model(source, "a VAE of this family's architecture", error) from None


def lacking(base: ModelSource, part: str, where: str = "model.base") -> UserError:
    """The error for a checkpoint without one of its parts."""
    return UserError(f"{where}: {base.label} holds no {NAMES[part]}", fix=_INSTEAD[part])


def has_weights(settings: ModelSource, part: str) -> bool:
    """Whether a source of settings names weights for a part, too: what it does not name is in no key."""
    folder = weights.path(settings) / part
    inside = f"{settings.subfolder}/{part}" if settings.subfolder else part
    return bool(wanted(settings, [f"{inside}/{file.name}" for file in folder.glob("*.safetensors")]))


def _tensors(file: Path, part: str) -> dict[str, Any]:
    """The tensors of a part by their names within it."""
    from safetensors import safe_open

    names = part_names(read_header(file).tensors, part)
    with safe_open(str(file), framework="pt") as opened:
        return {inner: opened.get_tensor(name) for inner, name in names.items()}


def _class(part: str) -> Any:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    return {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}[part]


def _diffusers(kind: Any, tensors: dict[str, Any], settings: Path, part: str, dtype: str) -> Any:
    """UNet or VAE, by diffusers' own conversion."""
    import torch

    converted = any(name.startswith(("down_blocks.", "encoder.down_blocks.", "decoder.up_blocks.")) for name in tensors)
    prefix = "" if converted else PREFIXES[part]
    return kind.from_single_file(
        {f"{prefix}{name}": tensor for name, tensor in tensors.items()},
        config=str(settings),
        subfolder=part,
        torch_dtype=getattr(torch, dtype),
        local_files_only=True,
    )


def _text_encoder(tensors: dict[str, Any], settings: Path, dtype: str) -> Any:
    """A CLIPTextModel; older files have ``text_model.`` before every name, and a buffer that newer classes lack."""
    import torch
    from accelerate import init_empty_weights
    from transformers import CLIPTextConfig, CLIPTextModel

    with init_empty_weights():
        model = CLIPTextModel(CLIPTextConfig.from_pretrained(str(settings / "text_encoder"), local_files_only=True))
    prefix = "text_model." if hasattr(model, "text_model") else ""
    found = {f"{prefix}{name.removeprefix('text_model.')}": tensor for name, tensor in tensors.items()}
    missing, _ = model.load_state_dict(found, strict=False, assign=True)
    if missing:
        raise ValueError(f"no weights for {', '.join(missing[:3])} and others: {len(missing)} in all")
    return model.to(getattr(torch, dtype))
