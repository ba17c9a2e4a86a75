"""The op `animate.encode`: a picture or clip to the distribution of its latents."""

from __future__ import annotations

from collections.abc import Mapping

from reel.clip import Clip
from reel.op import Context, op
from tasks.animate import parts
from tasks.animate.codec import arranged
from tasks.animate.recipe import Shown
from tasks.animate.replay import call
from tasks.animate.settings import Denoise, Encode, Key
from tasks.animate.stored import put_kept
from tasks.networks.offload import placed
from tasks.networks.quiet import quiet
from tasks.networks.retry import retry_offloaded
from tasks.networks.work import LIBRARIES, set_up

FIX = "animate.encode_tiling=true, or a smaller size"
"""What helps when the VAE needs too much memory."""


@op(
    "animate",
    "encode",
    version=1,
    config=Encode,
    inputs=("frames",),
    distributions=LIBRARIES,
    models=parts.sources,
    gives="latents",
)
def encode(cfg: Encode, inputs: Mapping[str, str], ctx: Context) -> str:
    """What the VAE makes of a picture, wherever in a film it is shown, for every seed.

    Returns:
        digest of an object of kind ``encoded``.
    """
    clip = Clip.open(ctx.store, inputs["frames"])
    device = set_up(ctx, parts.sources(cfg))
    recipe = parts.recipe_of(cfg)
    least = Denoise(
        architecture=cfg.architecture,
        sources=cfg.sources,
        frames=max(9, len(clip)),
        fps=24,
        width=clip.width,
        height=clip.height,
        keys=[Key(at=0)],
        num_inference_steps=2,
        guidance_scale=1,
    )
    arguments = recipe.arguments(least, [Shown(clip.array(), 0, 1.0)])

    def attempt(offload: str) -> call.Kept:
        vae = parts.loaded(cfg, "vae", device)
        made = parts.around(cfg, {"vae": vae}, device)
        with placed([vae], device, offload), quiet(), arranged(vae, cfg):
            return call.encode(parts.stock_of(recipe), made, {**arguments, "prompt": ""})

    kept = retry_offloaded(attempt, device, ctx, FIX)
    return put_kept(ctx.store, "encoded", kept)
