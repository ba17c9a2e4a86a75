"""What a `loop` says first: how long a round is, what it comes to, and what the family will make of the prompt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flows.render.words import of_the_words

if TYPE_CHECKING:
    from flows.loop.settings import Loop


def opening(cfg: Loop) -> Iterator[tuple[str, str]]:
    """Lines as (what it is about, text)."""
    seconds = f"{cfg.frames / cfg.fps:.3g} s at {cfg.fps:g} fps"
    yield "drawn", f"{cfg.frames} frames, a round of {seconds}, {cfg.stylize.num_inference_steps} steps"
    names = cfg.stills or [one.picture.name for one in cfg.pictures]
    yield "held to", ", ".join(f"{name} at {at}" for at, name in zip(cfg.at, names, strict=True))
    yield "model", f"{cfg.model.name}: {cfg.model.title}" if cfg.model.title else cfg.model.name
    yield from (("note", told) for told in of_the_words(cfg, ", ".join([cfg.prompt, *cfg.stills]), cfg.model))
