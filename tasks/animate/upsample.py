"""The op `animate.upsample`: latents of a first pass to latents of twice the size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reel.errors import UserError
from reel.op import Context, op
from tasks.animate import parts
from tasks.animate.recipe import loaded_class
from tasks.animate.replay import call
from tasks.animate.settings import Upsample
from tasks.animate.stored import take_results
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
    """Latents of twice the width and height, as a second pass takes them, and those of the sound as they are.

    Returns:
        digest of an object of kind ``latents``: tensors by the arguments of the second pass's call.

    Raises:
        UserError: a network that enlarges in time, or to another size than twice.
    """
    (latents, *others), meta = take_results(ctx.store, inputs["denoised"])
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
    high, wide = latents.shape[-2:]
    if found.shape != (*latents.shape[:-2], 2 * high, 2 * wide):
        raise UserError(
            f"{cfg.sources['latent_upsampler'].label} makes latents of {_shape(found)} of {_shape(latents)}; twice the "
            "width and height is needed",
            fix="the family's spatial enlarger of factor 2 as model.parts.latent_upsampler",
        )
    made = dict(zip(recipe.refines, [found.float().cpu(), *others], strict=True))
    times = {name: meta[name] for name in stored.TIMES}
    return stored.put(ctx.store, "latents", made, **{**times, "width": width, "height": height})


def _shape(latents: Any) -> str:
    return "x".join(map(str, latents.shape[-3:]))
