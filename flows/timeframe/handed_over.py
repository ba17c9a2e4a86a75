"""The same track by another renderer: a `timeframe` as the `animate` that makes it, with an image-to-video model."""

from __future__ import annotations

import logging

from flows.animate import plan as animate
from flows.animate.settings import Animate
from flows.animate.stages import AnimatePlan
from flows.commands.models import family
from flows.config.compose import plain_settings
from flows.config.root import Root
from flows.timeframe.settings import Timeframe
from flows.timeframe.track import Track, words_of
from reel.config import parse
from reel.errors import UserError
from reel.models.animator import Animator
from reel.store import Store

log = logging.getLogger(__name__)


def plan(cfg: Timeframe, track: Track, store: Store) -> AnimatePlan:
    """The track's pictures at the frames where their ranges begin, as `animate track=` has them.

    Raises:
        UserError: pictures that are not files yet, or what the model does not make.
    """
    if any(words_of(one) is not None for one in track.pictures):
        raise UserError(
            "renderer: animate takes pictures that lie in files, and this track's are to be drawn",
            fix="renderer=animatediff approve=ask draws them and leaves key_picture_1.png, ...: name them in the track",
        )
    return animate.plan(settings(cfg, track), store)


def settings(cfg: Timeframe, track: Track) -> Animate:
    """The track as `animate` would have its settings: its model's advice, lengths and places moved to what it makes.

    Raises:
        UserError: a model that animates nothing.
    """
    if not isinstance(family(cfg.animator), Animator):
        raise UserError(
            f"animator: {cfg.animator} does not animate pictures", fix="animator=ltx_2b, ltx_distilled, ..."
        )
    data = plain_settings(Root("animate", Animate), [f"model={cfg.animator}"])
    shown = track.prompts.texts[track.prompts.a[0]][0] if track.prompts is not None else cfg.prompt
    own = {
        "track": cfg.track,
        "prompt": cfg.prompt or shown,
        "negative_prompt": cfg.negative_prompt or data["negative_prompt"],
        "seed": cfg.seed,
        "frames": track.count,
        "snap": "nearest",
        "fit": cfg.fit,
        "background": cfg.background,
        **({"width": cfg.width, "height": cfg.height} if cfg.width is not None else {}),
    }
    shared = (
        "name",
        "measure",
        "reference",
        "live",
        "finish",
        "compute",
        "tracking",
        "paths",
        "assemble",
        "embed_facts",
    )
    kept = cfg.model_dump(mode="json")
    if track.prompts is not None and len(track.prompts.texts) > 1:
        log.warning(
            "track: %s reads no words of ranges: those of %d are left out", cfg.animator, len(track.prompts.texts)
        )
    log.info(
        "track: by %s, places and length moved to what it makes; it reads one prompt: %s", cfg.animator, own["prompt"]
    )
    return parse(Animate, {**data, **{name: kept[name] for name in shared}, **own})
