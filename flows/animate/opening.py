"""What an `animate` says first: how long the film is, who makes it, and what the family knows of the prompt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flows.render.words import of_motions
from tasks.animate.settings import steps_run

if TYPE_CHECKING:
    from flows.animate.settings import Animate


def opening(cfg: Animate) -> Iterator[tuple[str, str]]:
    """Lines as (what it is about, text)."""
    how = cfg.animate
    steps = f"{steps_run(how.num_inference_steps, how.timesteps)} steps"
    if how.two_pass:
        steps += f", then {steps_run(how.refine_steps, how.refine_timesteps, how.refine_strength)} at twice the size"
    yield "made", f"{cfg.frames} frames, {cfg.frames / cfg.fps:.3g} s at {cfg.fps:g} fps, {steps}"
    yield "model", f"{cfg.model.name}: {cfg.model.title}" if cfg.model.title else cfg.model.name
    yield from (("note", told) for told in of_motions(cfg, cfg.prompt, cfg.model))
