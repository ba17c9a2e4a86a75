"""What a `timeframe` says first: how long the clip is, and by whom it is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flows.render.words import of_the_words

if TYPE_CHECKING:
    from flows.timeframe.settings import Timeframe


def opening(cfg: Timeframe) -> Iterator[tuple[str, str]]:
    """Lines as (what it is about, text)."""
    length = f"{cfg.frames} frames" if cfg.frames is not None else "as long as the track"
    yield "drawn", f"{length} at {cfg.fps:g} fps"
    if cfg.renderer == "animate":
        yield "model", f"{cfg.animator}, as in animate"
        return
    yield "model", f"{cfg.model.name}: {cfg.model.title}" if cfg.model.title else cfg.model.name
    if cfg.prompt:
        yield from (("note", told) for told in of_the_words(cfg, cfg.prompt, cfg.model))
