"""The op `stylize.denoise`: encoded latents, embeddings and control maps to new latents."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reel.op import Context, get, op
from tasks.stylize import memory
from tasks.stylize.engine import models, render, stored
from tasks.stylize.engine.clock import Clock
from tasks.stylize.engine.journal import Journal
from tasks.stylize.engine.settings import Denoise
from tasks.stylize.engine.work import LIBRARIES, identity, ready
from tasks.stylize.quiet import quiet
from tasks.weights_memory import LOADED

log = logging.getLogger(__name__)


@op(
    "stylize",
    "denoise",
    version=3,
    config=Denoise,
    inputs=("latents", "embeddings", "map_*", "poses", "mask_*", "region_*"),
    distributions=LIBRARIES,
    models=models.denoise_sources,
    gives="latents",
)
def denoise(cfg: Denoise, inputs: Mapping[str, str], ctx: Context) -> str:
    """Denoise; a killed run goes on from its last checkpoint and ends in the same bits.

    Inputs: ``latents``, ``embeddings``, ``map_<control>``, ``poses`` (for masks and compositing), ``mask_<control>``
    and ``region_<region>`` (files of masks).

    Returns:
        digest of an object of kind ``latents``: ``latents`` ``(F, C, h, w)``, scaled.

    Raises:
        UserError: settings, sizes or lengths that do not go together; memory that ran out.
    """
    job = render.prepare(cfg, inputs, ctx)  # lengths, sizes and inputs, before any model is fetched or loaded
    device = ready(ctx, models.denoise_sources(cfg))
    name = identity(get("stylize", "denoise"), cfg, inputs, device)
    journal = Journal(ctx.store.root / "journals" / name, {"identity": name}, run=ctx.run)
    clock = Clock(ctx.compute.profile, device)
    latents = _laddered(job, replace(ctx, compute=ctx.compute.model_copy(update={"device": device})), journal, clock)
    if clock.on:
        ctx.note(profile_seconds=clock.report())
    digest = stored.put(ctx.store, "latents", {"latents": latents.float().cpu()}, stage="denoised", **job.meta)
    journal.clear()
    return digest


def _laddered(job: render.Job, ctx: Context, journal: Journal, clock: Clock) -> Any:
    """Denoise; when memory runs out, again with less of it, by steps that change no bit of the result."""
    import torch

    tried: list[str] = []
    rungs: list[tuple[str, dict[str, Any]]] = [
        ("freed other loaded models", {}),
        ("spilled activations", {"keep": 0}),
        ("spilled activations and offloaded the models layer by layer", {"keep": 0, "offload": "sequential"}),
    ]
    more: dict[str, Any] = {}
    for what, following in [*rungs, ("", {})]:
        try:
            with quiet(), torch.inference_mode():
                found = render.run(job, ctx, journal, clock, **more)
            if tried:
                ctx.note(out_of_memory=tried)
            return found
        except (RuntimeError, MemoryError) as error:
            if not memory.is_out_of_memory(error):
                raise
            if not what:
                size = (job.meta["width"], job.meta["height"], job.count)
                raise memory.explain(job.cfg, *size, ctx.compute, tried) from error
            log.warning("out of memory; %s and going on from the last checkpoint", what)
        LOADED.free()
        tried.append(what)
        more = following
    raise AssertionError("the last rung returns or raises")
