"""The VAE of a family, loaded."""

from __future__ import annotations

from typing import Any

from reel.models.source import part_of
from tasks.networks.files import BYTES, builder, source_bytes
from tasks.networks.quiet import quiet
from tasks.stylize.models.checkpoint import load_part, load_vae_file
from tasks.stylize.models.sources import codec_sources
from tasks.stylize.settings.codec import Decode, Encode
from tasks.weights import fetch as weights
from tasks.weights.memory import LOADED


def load_vae(cfg: Encode | Decode, device: str) -> Any:
    """The AutoencoderKL, shared by all settings that are made of the same files.

    Raises:
        UserError: files that are not such a model.
    """
    key = f"vae {[weights.content_id(source) for source in codec_sources(cfg)]} {cfg.dtype} {device}"
    size = source_bytes(cfg.vae or part_of(cfg.base, "vae"), BYTES[cfg.dtype])
    with quiet():
        return LOADED.get(key, size, lambda: _build(cfg).eval().requires_grad_(False))


def _build(cfg: Encode | Decode) -> Any:
    from diffusers import AutoencoderKL

    if cfg.vae is None and cfg.base.single:
        return load_part(cfg.base, cfg.base_config, "vae", cfg.dtype)
    if cfg.vae is None:
        return builder(AutoencoderKL, weights.path(part_of(cfg.base, "vae")) / "vae", cfg.dtype, cfg.base)()
    if not cfg.vae.single:
        return builder(AutoencoderKL, weights.path(cfg.vae), cfg.dtype, cfg.vae)()
    return load_vae_file(cfg.vae, weights.path(codec_sources(cfg)[-1]), cfg.dtype)
