"""LTX-Video in windows: a long film in sections that overlap, each with a prompt of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tasks.animate.animators.ltx import RECIPE as LTX
from tasks.animate.animators.ltx import decoding as decoding_of_ltx
from tasks.animate.animators.ltx import usual_of_ltx
from tasks.animate.recipe import READ, Recipe, Shown

if TYPE_CHECKING:
    from tasks.animate.settings import Decode, Denoise


LEAST = 512
"""px of the shorter side that is decoded in tiles."""
STEP = 8
"""Frames of a latent."""
USUAL = {"temporal_tile_size": 80, "temporal_overlap": 24}
"""Frames of a section, and those that two share, where a family says nothing."""


def arguments(cfg: Denoise, shown: Sequence[Shown]) -> dict[str, Any]:
    """Of `LTXI2VLongMultiPromptPipeline.__call__`.

    It seeds each window by ``seed`` and its place whatever generator it is handed, and takes noise levels that end in
    0 where others take time steps.
    """
    from PIL import Image

    sigmas = [*(step / 1000 for step in cfg.timesteps if step > 0), 0.0] if cfg.timesteps else None
    return {
        "cond_image": Image.fromarray(shown[0].frames[0]),
        "cond_strength": shown[0].strength,
        **usual_of_ltx(cfg),
        "num_inference_steps": cfg.num_inference_steps,
        "sigmas": sigmas,
        "seed": cfg.seed,
        **cfg.call,
    }


def decoding(cfg: Decode) -> dict[str, Any]:
    """Its own tiles, four by four, for frames that are large enough to be cut."""
    tiles = 4 if cfg.tiling and min(cfg.denoise.width, cfg.denoise.height) >= LEAST else 1
    return {**decoding_of_ltx(cfg), "decode_horizontal_tiles": tiles, "decode_vertical_tiles": tiles}


def sections(call: Mapping[str, Any], frames: int) -> list[int]:
    """First frame of each section of a film of so many frames, as the pipeline cuts it."""
    size, overlap = (int(call.get(name, usual)) // STEP for name, usual in USUAL.items())
    count, stride = (frames - 1) // STEP + 1, max(1, size - overlap)
    last = max(0, -((size - count) // stride))
    return [number * stride * STEP for number in range(last + 1)]


RECIPE = Recipe(
    name="ltx_long",
    pipeline="diffusers:LTXI2VLongMultiPromptPipeline",
    classes={name: kind for name, kind in LTX.classes.items() if name != "latent_upsampler"},
    arguments=arguments,
    decoding=decoding,
    window=lambda call: int(call.get("temporal_tile_size", USUAL["temporal_tile_size"])),
    sampler="diffusers:LTXEulerAncestralRFScheduler",
    sections=sections,
    section_prompts=True,
    reads=READ - {"picture_noise"},
    call=frozenset({"temporal_tile_size", "temporal_overlap", "temporal_overlap_cond_strength", "adain_factor"}),
)
