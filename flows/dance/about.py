"""What a `dance` is about, whichever renderer draws it: for its metrics and for its film's metadata."""

from __future__ import annotations

from pathlib import Path

from flows.dance.settings import Dance
from flows.render import measures, schedules
from flows.render.film_facts import with_facts
from tasks.assemble import Assemble
from tasks.stylize.settings.sampling import Sampling
from tasks.vace.settings import Vace
from tasks.wan_animate.settings import WanAnimate


def subject(cfg: Dance) -> measures.Subject:
    """What metrics must know of the render."""
    return measures.Subject(
        prompt=cfg.prompt,
        varies=cfg.prompt_schedule is not None,
        model=cfg.model.name,
        embedded=cfg.model.base.embedded,
        reference=cfg.reference or _character(cfg.stylize),
        preprocess=cfg.preprocess,
    )


def _character(stylize: Sampling | Vace | WanAnimate) -> Path | None:
    """A picture of the character, if the renderer is given one."""
    if not isinstance(stylize, Sampling):
        return stylize.references[0] if stylize.references else None
    return stylize.ip_adapter.picture if stylize.ip_adapter else None


def assembly(cfg: Dance, compiled: schedules.Compiled) -> Assemble:
    """The settings of the last stage, with the facts of the render for the movie's metadata."""
    shown = compiled.prompts.describe() if compiled.prompts is not None else cfg.prompt
    return with_facts(cfg.assemble, cfg.embed_facts, prompt=shown, seed=cfg.seed, model=cfg.model.name)
