"""The op `stylize.denoise`: encoded latents, embeddings and control maps to new latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reel.op import Context, get, op
from tasks.networks import stored
from tasks.networks.memory import OutOfMemory
from tasks.networks.quiet import quiet
from tasks.networks.retry import FREED, retry_with_less_memory
from tasks.networks.work import LIBRARIES, identity, set_up
from tasks.stylize.engine.clock import Clock
from tasks.stylize.job.amounts import denoising
from tasks.stylize.job.journal import Journal
from tasks.stylize.job.memory import out_of_memory
from tasks.stylize.job.preflight import check_denoise
from tasks.stylize.job.prepare import Job, prepare
from tasks.stylize.models.sources import denoise_sources
from tasks.stylize.settings.denoise import Denoise


@op(
    "stylize",
    "denoise",
    version=6,
    config=Denoise,
    inputs=("latents", "embeddings", "map_*", "poses", "mask_*", "region_*", "sparse_*", "ip_pictures"),
    distributions=LIBRARIES,
    models=denoise_sources,
    gives="latents",
    work=denoising,
)
def denoise(cfg: Denoise, inputs: Mapping[str, str], ctx: Context) -> str:
    """Denoise; a killed run goes on from its last checkpoint and ends in the same bits.

    Inputs: ``latents``, ``embeddings``, ``map_<control>``, ``poses`` (for masks and compositing), ``mask_<control>``
    and ``region_<region>`` (files of masks), ``sparse_<name>`` (a SparseCtrl's pictures: a clip, or what the VAE makes
    of one where the net reads latents), ``ip_pictures`` (a clip of the pictures of ``picture_prompts``).

    Returns:
        digest of an object of kind ``latents``: ``latents`` ``(F, C, h, w)``, scaled.

    Raises:
        UserError: settings, sizes or lengths that do not go together; memory that ran out.
    """
    job = prepare(cfg, inputs, ctx)  # lengths, sizes and inputs, before any model is fetched or loaded
    device = set_up(ctx, denoise_sources(cfg))
    check_denoise(cfg)
    name = identity(get("stylize", "denoise"), cfg, inputs, device)
    journal = Journal(ctx.store.root / "journals" / name, {"identity": name}, run=ctx.run)
    clock = Clock(ctx.compute.profile, device)
    latents = _denoised(job, replace(ctx, compute=ctx.compute.model_copy(update={"device": device})), journal, clock)
    if clock.on:
        ctx.note(profile_seconds=clock.report())
    digest = stored.put(ctx.store, "latents", {"latents": latents.float().cpu()}, stage="denoised", **job.meta)
    journal.clear()
    return digest


def _denoised(job: Job, ctx: Context, journal: Journal, clock: Clock) -> Any:
    """Denoise; when memory runs out, again with less of it, by steps that change no bit of the result."""
    import torch

    from tasks.stylize.job import render  # the engine: nothing but computing needs it

    fallbacks = [
        FREED,
        ("spilled activations", {"keep": 0}),
        ("spilled activations and offloaded the models layer by layer", {"keep": 0, "offload": "sequential"}),
    ]

    def attempt(**more: Any) -> Any:
        with quiet(), torch.inference_mode():
            return render.run(job, ctx, journal, clock, **more)

    def give_up(tried: Sequence[str]) -> OutOfMemory:
        return out_of_memory(job.cfg, job.meta["width"], job.meta["height"], job.count, ctx.compute, tried)

    return retry_with_less_memory(attempt, fallbacks, ctx, give_up)
