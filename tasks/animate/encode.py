"""The op `animate.encode`: pictures and clips to the distributions of their latents."""

from __future__ import annotations

from collections.abc import Mapping

from reel.clip import Clip
from reel.op import Context, op
from tasks.animate import parts
from tasks.animate.codec import arranged
from tasks.animate.replay import call
from tasks.animate.settings import Denoise, Encode, Key
from tasks.animate.stored import DRIVING, put_kept, segment_of, shown_in
from tasks.networks.offload import placed
from tasks.networks.quiet import quiet
from tasks.networks.retry import retry_offloaded
from tasks.networks.work import LIBRARIES, set_up


@op(
    "animate",
    "encode",
    version=1,
    config=Encode,
    inputs=("frames_*", *DRIVING, "carried"),
    distributions=LIBRARIES,
    models=parts.sources,
    gives="latents",
)
def encode(cfg: Encode, inputs: Mapping[str, str], ctx: Context) -> str:
    """What the VAE, and a picture encoder where there is one, make of pictures.

    Inputs: ``frames_<n>`` of every key, of one picture ``frames_0``; or ``control`` and ``mask``, which drive a film,
    with ``face`` and ``background`` where these do; of a later segment ``carried``, the frames of the one before.

    Returns:
        digest of an object of kind ``encoded``.
    """
    device = set_up(ctx, parts.sources(cfg))
    recipe = parts.recipe_of(cfg)
    fix = ", or ".join(filter(None, [recipe.smaller("encode_tiling=true"), "a smaller size"]))
    least = film_of(cfg, inputs, ctx)
    arguments = recipe.arguments(least, shown_in(least, inputs, ctx))
    words = {"prompt": ""} if recipe.text else {}

    def attempt(offload: str) -> call.Kept:
        real = {name: parts.loaded(cfg, name, device) for name in recipe.encoders}
        made = parts.around(cfg, real, device, least)
        with placed(list(real.values()), device, offload), quiet(), arranged(real["vae"], cfg):
            given = {**arguments, **words}
            return call.encode(parts.stock_of(recipe), made, given, least.seed, segment_of(least, inputs, ctx))

    kept = retry_offloaded(attempt, device, ctx, fix)
    return put_kept(ctx.store, "encoded", kept)


def film_of(cfg: Encode, inputs: Mapping[str, str], ctx: Context) -> Denoise:
    """A film in which the pipeline encodes these pictures: the one that they are for, or as short a one as can be."""
    first = Clip.open(ctx.store, inputs.get("control") or inputs["frames_0"])
    keys = [Key(at=0)] if "frames_0" in inputs else []
    return Denoise(
        architecture=cfg.architecture,
        sources=cfg.sources,
        frames=cfg.frames or max(parts.recipe_of(cfg).least, len(first)),
        fps=24,
        width=first.width,
        height=first.height,
        keys=cfg.keys or keys,
        num_inference_steps=2,
        guidance_scale=1,
        call=cfg.call or {},
        picture_noise=cfg.picture_noise or 0.0,
        seed=cfg.seed or 0,
    )
