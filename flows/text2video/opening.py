"""What a `text2video` says first: what is drawn, and what the family will make of the prompt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flows.render.words import of_the_words

if TYPE_CHECKING:
    from flows.text2video.settings import TextToVideo


def opening(cfg: TextToVideo) -> Iterator[tuple[str, str]]:
    """Lines as (what it is about, text)."""
    seconds = f"{cfg.frames / cfg.fps:.3g} s at {cfg.fps:g} fps"
    size = f"{cfg.width}x{cfg.height}, {cfg.stylize.num_inference_steps} steps"
    yield "drawn", f"{cfg.frames} frame{'s' * (cfg.frames != 1)}, {seconds}, {size}"
    yield "model", f"{cfg.model.name}: {cfg.model.title}" if cfg.model.title else cfg.model.name
    if cfg.model.architecture == "sdxl" and cfg.model.notes:
        yield "note", " ".join(cfg.model.notes.split())  # what its users found, before they wait for it
    yield from (("note", told) for told in of_the_words(cfg, cfg.prompt, cfg.model))
