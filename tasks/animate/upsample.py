"""The op `animate.upsample`: latents of a first pass to latents of twice the size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reel.op import Context, op
from tasks.animate import parts
from tasks.animate.recipe import loaded_class
from tasks.animate.replay import call
from tasks.animate.settings import Upsample
from tasks.animate.stored import take_result
from tasks.networks import stored
from tasks.networks.offload import placed
from tasks.networks.quiet import quiet
from tasks.networks.retry import retry_offloaded
from tasks.networks.work import LIBRARIES, set_up


@op(
    "animate",
    "upsample",
    version=1,
    config=Upsample,
    inputs=("denoised",),
    distributions=LIBRARIES,
    models=parts.sources,
    gives="latents",
)
def upsample(cfg: Upsample, inputs: Mapping[str, str], ctx: Context) -> str:
    """Latents of twice the width and height, as a second pass takes them.

    Returns:
        digest of an object of kind ``latents``.
    """
    latents, meta = take_result(ctx.store, inputs["denoised"])
    device = set_up(ctx, parts.sources(cfg))
    recipe = parts.recipe_of(cfg)
    stock = call.Stock(loaded_class(recipe.upsampler))
    width, height = 2 * meta["width"], 2 * meta["height"]

    def attempt(offload: str) -> Any:
        network = parts.loaded(cfg, "latent_upsampler", device)
        made = {**parts.shells(cfg, ["vae"], device), "latent_upsampler": network}
        with placed([network], device, offload), quiet():
            return call.upsample(
                stock,
                made,
                {
                    "latents": latents.to(device),
                    "width": width,
                    "height": height,
                    "adain_factor": cfg.adain,
                    "tone_map_compression_ratio": cfg.tone_map,
                },
            )

    found = retry_offloaded(attempt, device, ctx, "compute.offload=sequential, or one pass: animate.two_pass=false")
    times = {name: meta[name] for name in stored.TIMES}
    return stored.put(
        ctx.store, "latents", {"latents": found.float().cpu()}, **{**times, "width": width, "height": height}
    )
