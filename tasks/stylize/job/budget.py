"""A render within `compute.max_memory`: what is made smaller stands in the ops' settings before their keys are made."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from reel.compute import Compute
from reel.models.source import ModelSource, part_of
from tasks.networks.files import BYTES, read_json, source_bytes
from tasks.stylize.engine.codec import STRIDE
from tasks.stylize.engine.memory_plan import MemoryPlan, bias_per_frame, kept_per_frame, per_window, plan
from tasks.stylize.models.sources import codec_sources, denoise_sources
from tasks.stylize.settings.codec import Decode, Encode
from tasks.stylize.settings.compute import resolve_device
from tasks.stylize.settings.denoise import Denoise
from tasks.stylize.settings.split import Stages
from tasks.weights import fetch as weights

log = logging.getLogger(__name__)
C = TypeVar("C", Encode, Decode)


def fit(stages: Stages, compute: Compute, width: int, height: int, count: int) -> Stages:
    """The four ops' settings with blocks and chunks that fit the budget; without a budget as they are.

    Sizes that the user made smaller stay so. The models' files must be there already.

    Args:
        width, height: px of a frame.
        count: frames.

    Raises:
        UserError: a budget that nothing fits into; says what the least is.
    """
    if compute.max_memory is None:
        return stages
    made = planned(stages.denoise, compute, width, height, count, codec_sources(stages.decode))
    for line in made.lines(count):
        log.info(line)
    return replace(
        stages,
        encode=_smaller(stages.encode, made),
        denoise=stages.denoise.model_copy(update={"frame_block": made.frame_block}),
        decode=_smaller(stages.decode, made),
    )


def _smaller(own: C, made: MemoryPlan) -> C:
    """Encoding or decoding within the plan."""
    chunk = min(own.chunk_size, made.chunk_size)
    return own.model_copy(update={"chunk_size": chunk, "tiling": own.tiling or made.tiling})


def planned(
    cfg: Denoise, compute: Compute, width: int, height: int, count: int, codec: Sequence[ModelSource] = ()
) -> MemoryPlan:
    """The plan for a denoising whose files are there.

    Args:
        width, height: px of a frame.
        codec: the VAE's sources.
    """
    each, device = BYTES[cfg.dtype], resolve_device(compute)
    base = cfg.model.base_config or part_of(cfg.model.base, "unet")
    shape = read_json(weights.path(base) / "unet" / "config.json")
    branches = 2 if cfg.guided else 1
    latents = (width // STRIDE, height // STRIDE)
    return plan(
        budget=compute.max_memory,
        weights=sum(source_bytes(source, each) for source in denoise_sources(cfg)),
        vae=sum(source_bytes(source, each) for source in codec),
        count=count,
        width=width,
        height=height,
        per_frame=kept_per_frame(shape, *latents, branches, each),
        bytes_per_number=each,
        branches=branches,
        most=cfg.frame_block,
        movable=device != "cpu",
        window=per_window(shape, *latents, branches, each, min(count, cfg.windows.context_length)),
        more=bias_per_frame(shape, *latents, branches, each, len(cfg.regions)),
    )
