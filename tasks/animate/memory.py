"""How much memory the stages of an animator take, told before they run, and what is made smaller to fit a budget.

Weights are counted in the files' headers. Activations follow from the shapes: of a transformer block what is alive
where it holds most, of a VAE the last, largest level of its decoder. `benchmarks.animate_memory` holds the factors
against measured peaks.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reel.compute import BY_LAYER, Compute
from reel.errors import UserError
from tasks.animate.parts import codec_settings, dtype_of, part_folder, recipe_of
from tasks.animate.settings import Decode, Denoise, Embed
from tasks.networks.files import BYTES, read_json, source_bytes
from tasks.stylize.settings.compute import resolve_device
from tasks.weights.memory import available_memory

log = logging.getLogger(__name__)
WIDE = 32
"""Numbers that a transformer block holds for each token and each number of its width, where it holds most: what passes
through it, two sets of six modulations, its feed-forward layer four times as wide, and copies; as measured."""
LEVELS, FRAMES = 4.7, 4.4
"""Copies of its last level, and numbers for each pixel of the film, that a VAE's decoder holds where it holds most."""
HELD = 4 << 20
"""Bytes that libraries hold however little there is to do."""
LAYER = 0.1
"""Part of the weights that is on the device at a time where they are moved there layer by layer."""


@dataclass(frozen=True)
class Peak:
    """Bytes that a stage takes at its height."""

    stage: str
    weights: float
    activations: float

    @property
    def total(self) -> float:
        return self.weights + self.activations

    def __str__(self) -> str:
        parts = f"weights {self.weights / 2**30:.2f}, activations {self.activations / 2**30:.2f}"
        return f"{self.stage} {self.total / 2**30:.2f} GiB ({parts})"


def embedding(cfg: Embed, compute: Compute) -> Peak:
    """Of the op `embed`: its text encoder's weights; what a text takes is little beside them."""
    weights = sum(source_bytes(cfg.sources[name], BYTES[cfg.dtype]) for name in recipe_of(cfg).text)
    return Peak("embed", weights * _resident(compute), 0.05 * weights)


def denoising(cfg: Denoise, compute: Compute) -> Peak:
    """Of the op `denoise`."""
    each = BYTES[cfg.dtype]
    names = recipe_of(cfg).denoisers
    weights = sum(source_bytes(cfg.sources[name], 1 if cfg.storage == "float8" else each) for name in names)
    weights += sum(source_bytes(lora.source, each) for lora in cfg.loras)
    shape = read_json(part_folder(cfg, names[0]) / "config.json")
    return Peak("denoise", weights * _resident(compute), denoiser_numbers(shape, cfg, codec_settings(cfg)) * each)


def denoiser_numbers(shape: Mapping[str, Any], cfg: Denoise, codec: Mapping[str, Any]) -> float:
    """Numbers that a denoiser holds where it holds most, beside its weights.

    Args:
        shape: of its config.json; of a U-Net the first, largest level counts. VACE keeps what each of its layers says
            until it is added.
    """
    level = shape.get("block_out_channels")
    width = level[0] if level else int(shape["num_attention_heads"]) * int(shape["attention_head_dim"])
    batch = 2 if cfg.guided and not recipe_of(cfg).guided_apart else 1
    hints = len(shape.get("vace_layers", ()))
    return HELD / BYTES[cfg.dtype] + (WIDE * batch + hints) * tokens(cfg, codec) * width


def tokens(cfg: Denoise, codec: Mapping[str, Any]) -> int:
    """What the denoiser looks at: the film's tokens, and those of pictures behind the first or beside the film.

    Args:
        codec: settings of its VAE.
    """
    recipe = recipe_of(cfg)
    grid = recipe.grid.of(codec)
    found = grid.tokens(recipe.seen(cfg.call, cfg.frames), cfg.width, cfg.height)
    if not recipe.picture_tokens:
        return found
    return found + sum(recipe.driven or key.at > 0 for key in cfg.keys) * grid.tokens(1, cfg.width, cfg.height)


def decoding(cfg: Decode, compute: Compute) -> Peak:
    """Of the op `decode`."""
    each = BYTES[dtype_of(cfg, "vae")]
    shape = read_json(part_folder(cfg, "vae") / "config.json")
    weights = source_bytes(cfg.sources["vae"], each)
    return Peak("decode", weights * _resident(compute), codec_numbers(shape, *pixels(cfg)) * each)


def pixels(cfg: Decode) -> tuple[int, int]:
    """Pixels that the VAE takes at a time, and those of the film."""
    film, recipe = cfg.denoise, recipe_of(cfg)
    width = min(film.width, recipe.tile) if cfg.tiling else film.width
    height = min(film.height, recipe.tile) if cfg.tiling else film.height
    frames = min(film.frames, recipe.frames_decoded or (recipe.piece if cfg.framewise else film.frames))
    return frames * width * height, film.frames * film.width * film.height


def codec_numbers(shape: Mapping[str, Any], tile: float, whole: float) -> float:
    """Numbers that a VAE's decoder holds where it holds most, beside its weights.

    Args:
        shape: of its config.json.
        tile, whole: pixels that it takes at a time, and those of the film.
    """
    widths = shape.get("decoder_block_out_channels") or shape.get("block_out_channels")
    if not widths:  # Wan says one width, and how many times as wide each level is
        widths = [(shape.get("decoder_base_dim") or shape["base_dim"]) * times for times in shape["dim_mult"]]
    level = widths[0] / int(shape.get("patch_size") or 1) ** 2
    reordered = 27 * 8 * max(widths) ** 2  # the largest layer's weights, as the library wants them
    return float(LEVELS * level * tile + FRAMES * max(tile, whole) + reordered)


def _resident(compute: Compute) -> float:
    """Part of the weights that stays on the device."""
    moved = resolve_device(compute) != "cpu" and compute.offload in BY_LAYER
    return LAYER if moved else 1.0


def _warn(found: Sequence[Peak], compute: Compute) -> None:
    """Say what will probably not fit; how much a card has left is not asked, since that takes torch."""
    most = max(found, key=lambda peak: peak.total)
    free = available_memory()
    if resolve_device(compute) == "cpu" and most.total > free:
        log.warning(
            "memory: %s, and %.2f GiB are free; compute.max_memory=%.0fGiB fits the work to them",
            most, free / 2**30, free / 2**30,
        )  # fmt: skip


def fit(embed: Embed | None, denoise: Denoise, decode: Decode, compute: Compute) -> tuple[Denoise, Decode]:
    """The settings within `compute.max_memory`; without a budget as they are. What is made smaller is in their keys.

    Raises:
        UserError: a budget that nothing fits into; says what the least is.
    """
    budget = compute.max_memory
    words = [] if embed is None else [embedding(embed, compute)]
    if budget is None:
        _warn([*words, denoising(denoise, compute), decoding(decode, compute)], compute)
        return denoise, decode
    if denoising(denoise, compute).total > budget and resolve_device(compute) != "cpu":
        denoise = denoise.model_copy(update={"storage": "float8"})
    smaller = decode.model_copy(update={"denoise": denoise})
    for name in ("", "tiling", "framewise"):
        if f"decode_{name}" in recipe_of(decode).reads:
            smaller = smaller.model_copy(update={name: True})
        if decoding(smaller, compute).total <= budget:
            break
    found = [*words, denoising(denoise, compute), decoding(smaller, compute)]
    for peak in found:
        log.info("memory: %s", peak)
    most = max(found, key=lambda peak: peak.total)
    if most.total > budget:
        least = f"compute.max_memory={most.total / 2**30 + 0.01:.2f}GiB"
        raise UserError(
            f"compute.max_memory: {budget / 2**30:.2f} GiB are too little: {most}",
            fix=f"{least}, fewer frames, a smaller size or model, or on an accelerator compute.offload=sequential",
        )
    return denoise, smaller
