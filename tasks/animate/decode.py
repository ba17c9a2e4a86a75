"""The op `animate.decode`: the latents of a film to its frames."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from reel.clip import ClipWriter
from reel.errors import UserError
from reel.op import Context, op
from reel.work import Extent, Work, choices, of_clip
from tasks.animate import parts, stored
from tasks.animate.codec import arranged
from tasks.animate.denoise import call_arguments
from tasks.animate.flash import end_flash
from tasks.animate.replay import call
from tasks.animate.replay.seams import SPECTRUM, VOICE
from tasks.animate.settings import Decode
from tasks.networks.offload import placed
from tasks.networks.quiet import quiet
from tasks.networks.retry import retry_offloaded
from tasks.networks.work import LIBRARIES, set_up

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)


def _work(cfg: Decode, given: Mapping[str, Extent], ctx: Context) -> Work:
    clip = Extent(cfg.denoise.frames, cfg.denoise.width, cfg.denoise.height)
    return Work(of_clip(clip).amounts, choices(cfg), clip)


@op(
    "animate",
    "decode",
    version=1,
    config=Decode,
    inputs=("denoised", "embeddings", "frames_*", "encoded_*", *stored.DRIVING, "latents", "carried"),
    distributions=LIBRARIES,
    models=parts.sources,
    gives="frames",
    work=_work,
)
def decode(cfg: Decode, inputs: Mapping[str, str], ctx: Context) -> str:
    """Frames of the film, those behind its end cut off; a flash at the end is said, with figures in the record.

    Inputs: ``denoised``, and those of the denoising that it came from.

    Returns:
        digest of a clip of kind ``rgb``.

    Raises:
        UserError: pixels that are not numbers (a VAE that overflowed).
    """
    given = stored.given(cfg.denoise, inputs, ctx)
    end = stored.take_end(ctx.store, inputs["denoised"])
    device = set_up(ctx, parts.sources(cfg))
    recipe = parts.recipe_of(cfg)
    less = recipe.smaller("decode_tiling=true", "decode_framewise=true")
    fix = ", ".join(filter(None, [less, "fewer frames, or a smaller size"]))
    arguments = {**call_arguments(cfg.denoise, given, device), **recipe.decoding(cfg)}

    def attempt(offload: str) -> Any:
        vae = parts.loaded(cfg, "vae", device)
        made = parts.around(cfg, {"vae": vae}, device, cfg.denoise)
        with placed([vae], device, offload), quiet(), arranged(vae, cfg):
            return call.decode(
                parts.stock_of(recipe),
                made,
                arguments,
                end,
                given.kept,
                cfg.denoise.seed,
                device,
                unread=(SPECTRUM, VOICE) if recipe.voices else (),
                segment=given.segment,
            )[0]

    pictures = eight_bit(retry_offloaded(attempt, device, ctx, fix)[0])[: cfg.keep]
    if len(pictures) < cfg.keep:
        raise UserError(
            f"model of {recipe.name}: its pipeline made {len(pictures)} frames, {cfg.keep} were to be kept",
            fix="another family, or other weights: those of model.base are of a kind that drops frames",
        )
    times = stored.times(len(pictures), cfg.denoise.fps, cfg.denoise.width, cfg.denoise.height)
    own = {"width": times["width"], "height": times["height"], "time_base": Fraction(times["time_base"])}
    with ClipWriter(ctx.store, "rgb", **own) as writer:
        for number, picture in enumerate(pictures):
            writer.add(picture, number)
        if given.segment is not None:
            stored.carry(writer, given.segment, cfg.denoise)
    if not recipe.driven:  # one that maps drive ends as its clip does
        _tell_flash(pictures, ctx)
    return writer.digest


def _tell_flash(pictures: np.ndarray, ctx: Context) -> None:
    found = end_flash(pictures)
    ctx.note(end_flash=found.figures)
    if found.seen:
        log.warning("the film flashes or blurs at its end (%s); animate.extra_frames=16 cuts more of it off", found)


def eight_bit(frames: np.ndarray) -> np.ndarray:
    """Frames ``(F, H, W, 3)`` from 0 to 1 as uint8.

    Raises:
        UserError: not all of them are numbers.
    """
    import numpy as np

    if not np.isfinite(frames).all():
        raise UserError("the VAE gave pixels that are not numbers", fix="compute.dtype=bfloat16 or float32")
    return np.asarray((frames * 255).round().astype(np.uint8))
