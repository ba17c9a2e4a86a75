"""What SDXL families take: they are drawn from words alone, and by the words alone."""

from __future__ import annotations

from collections.abc import Mapping

from reel.errors import UserError
from reel.models.animatediff import AnimateDiff

WITHOUT = {
    "model.base": "model.base as a folder or repository of diffusers, not one checkpoint file",
    "model.loras": "model.loras=[]",
    "control": "control=[] motion=null",
    "sparse": "no pictures on frames",
    "regions": "regions={}",
    "stylize.ip_adapter": "stylize.ip_adapter=null",
    "stylize.loras": "stylize.loras=[]",
    "stylize.motion_loras": "stylize.motion_loras=[] camera=[]",
    "stylize.embeddings": "stylize.embeddings={}",
    "stylize.clip_skip": "stylize.clip_skip=null",
}
"""Settings that mean nothing for SDXL families yet, and what they have to be."""
TAKEN = "prompts and their schedules, seed, guidance, scheduler, windows, FreeInit, a VAE"
"""What they do take, for messages."""


def check_source(model: AnimateDiff) -> None:
    """Raises: UserError when the family is drawn from words alone, and a clip or pictures are to lead it."""
    if model.architecture == "sdxl":
        raise UserError(
            f"model {model.name} is an SDXL family, which text2video alone draws: from words, without a clip",
            fix="model=sd15, or another marked sd15 in `rotoscope models`; or rotoscope text2video",
        )


def check_sdxl(model: AnimateDiff, given: Mapping[str, object]) -> None:
    """Whether an SDXL family is asked for nothing that it cannot do; other families may be asked for all of it.

    Args:
        given: values of the settings in `WITHOUT`, as far as they are known; empty ones are not in use.

    Raises:
        UserError: the first that is in use: its key, what is allowed, and what to set.
    """
    if model.architecture != "sdxl":
        return
    asked = {"model.base": model.base.single, "model.loras": model.loras, **given}
    key = next((key for key, value in asked.items() if value), None)
    if key is not None:
        raise UserError(
            f"{key}: model {model.name} is an SDXL family, drawn by words alone: it takes {TAKEN}",
            fix=f"{WITHOUT[key]}, or model=sd15",
        )
