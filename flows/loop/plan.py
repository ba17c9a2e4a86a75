"""What a `loop` will do, checked whole before anything is computed: pictures, places, words, SparseCtrl, models."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from flows.animate.plan import dtype_of
from flows.edge.job import current
from flows.loop.settings import Loop
from flows.loop.stages import LoopPlan
from flows.render import finishing, measures, schedules
from flows.render.film_facts import with_facts
from flows.render.key_pictures import DrawnPicture, KeyPicture, at_size, look_all, own_picture, size_for
from flows.render.keyed import SPARSE
from reel.config import Config, parse
from reel.errors import UserError
from reel.op import Op, get
from reel.schedule.setting import as_text
from reel.store import Store
from tasks.animate import pictures as files
from tasks.animate.settings import Key
from tasks.animate.shown import ShownKeys
from tasks.assemble import Assemble
from tasks.keyframe.drawing import check_size as check_drawable
from tasks.keyframe.drawing import drawing
from tasks.stylize.blank import Blank
from tasks.stylize.engine.sparse import strengths
from tasks.stylize.job.budget import fit
from tasks.stylize.job.preflight import check_clip, check_from_noise, check_models, check_size, reads_latents
from tasks.stylize.match_colour import MatchColour
from tasks.stylize.settings.compute import check_compute
from tasks.stylize.settings.sparse import Sparse, no_sparsectrl
from tasks.stylize.settings.split import Stages, split
from tasks.weights.fetch import fetch


def plan(cfg: Loop, store: Store) -> LoopPlan:
    """Check everything that can be checked without computing.

    Raises:
        UserError: the first thing that would make the render fail.
    """
    check_compute(cfg.compute)
    schedules.refuse_both(current().overrides)
    if cfg.kind not in cfg.model.sparsectrls:
        raise no_sparsectrl("kind", cfg.kind, cfg.model)
    stills, width, height = _looked_at(cfg)
    compiled = _compiled(cfg)
    stages = _stylize(cfg, compiled)
    check_from_noise(stages.denoise)
    check_clip(stages.denoise, width, height, cfg.frames)
    size: dict[str, Any] = {"width": width, "height": height, "frames": cfg.frames}
    planned = LoopPlan(
        pictures=_pictures(cfg, stills, width, height),
        labels=_labels(cfg),
        lines=_lines(cfg),
        latents=True,
        shown=ShownKeys(**size, fps=cfg.fps, keys=[Key(at=at) for at in cfg.at]),
        size=parse(Blank, {**size, "fps": cfg.fps}),
        stylize=stages,
        match=MatchColour(at=cfg.at, closed=True, strength=cfg.match_colour) if cfg.match_colour else None,
        assembly=_assembly(cfg, compiled),
        embed_facts=cfg.embed_facts,
        finish=finishing.plan(cfg.finish, closed=True),
        measures=measures.plan(cfg.measure, _subject(cfg)),
    )
    fetch([source for op, chosen in [*planned.ops, *planned.measures.ops] for source in op.models(chosen)])
    check_models(stages)
    latents = reads_latents(stages.denoise.sparse[SPARSE], stages.denoise)
    fitted = fit(stages, cfg.compute, width, height, cfg.frames)
    return dataclasses.replace(planned, stylize=fitted, latents=latents)


def _looked_at(cfg: Loop) -> tuple[Sequence[files.Still], int, int]:
    """The given pictures, and the clip's width and height, px.

    Raises:
        UserError: a file that does not work, pictures of several sizes, a size that the model does not draw.
    """
    named = [(f"pictures.{index}", one.picture) for index, one in enumerate(cfg.pictures)]
    stills = look_all(named, background=cfg.background is not None)
    width, height = size_for(cfg.width, cfg.height, stills, cfg.model)
    check_size(cfg.model, width, height, extracted=False)
    for (key, _), still in zip(named, stills, strict=True):
        files.check_fit(still, width, height, cfg.fit, key)
    if cfg.stills:
        check_drawable(cfg.keyframe, width, height, "loop")
    return stills, width, height


def _pictures(cfg: Loop, stills: Sequence[files.Still], width: int, height: int) -> list[KeyPicture]:
    """What the loop comes to: given pictures, or drawn ones of one noise."""
    if stills:
        extract = at_size(width, height, cfg.fit, cfg.background, cfg.model.multiple_of)
        return [own_picture(still.path, extract) for still in stills]
    size: dict[str, Any] = {"width": width, "height": height, "dtype": dtype_of(cfg)}
    return [
        DrawnPicture(
            drawing(cfg.keyframe, cfg.draw, prompt=words, seed=cfg.seed, attention=cfg.compute.attention, **size)
        )
        for words in _words(cfg)
    ]


def _words(cfg: Loop) -> list[str]:
    """The prompt of each drawn picture."""
    return [", ".join(filter(None, [cfg.prompt, words])) for words in cfg.stills]


def _labels(cfg: Loop) -> list[str]:
    names = cfg.stills or [one.picture.name for one in cfg.pictures]
    return [f"frame {at}: {name}" for at, name in zip(cfg.at, names, strict=True)]


def _lines(cfg: Loop) -> tuple[Op, Config] | None:
    """What draws the pictures' lines; None: they are read as they are.

    Raises:
        UserError: a preprocessor that does not draw from single pictures alone.
    """
    for name, own in cfg.preprocess.items():
        op = get("preprocess", name)
        if op.gives != "map" or op.inputs != ("frames",):
            raise UserError(
                f"preprocess: {name} draws no lines of a picture alone", fix="preprocess=[lineart_standard], [hed], ..."
            )
        return op, parse(op.config, own or {}, f"preprocess.{name}")
    return None


def _compiled(cfg: Loop) -> schedules.Compiled:
    """Schedules on the loop's frames; without one the words of drawn pictures follow the pictures, round and round."""
    slots = schedules.slots(cfg, cfg.stylize.embeddings)
    if cfg.prompt_schedule is None and len(set(cfg.stills)) > 1:
        keys = {at: {"prompt": words} for at, words in zip(cfg.at, _words(cfg), strict=True)}
        text = as_text({"loop": True, "then": "blend", "keys": keys})
        assert text is not None
        slots.append(schedules.Slot("stills", text, "prompt", embeddings=tuple(cfg.stylize.embeddings)))
    return schedules.compiled(slots, cfg.frames, cfg.fps, cfg.seed, cfg.negative_prompt, origins=current().origins)


def _stylize(cfg: Loop, compiled: schedules.Compiled) -> Stages:
    """The settings of the renderer's ops, schedules compiled for the loop."""
    own = [one.strength for one in cfg.pictures] or [None for _ in cfg.stills]
    held = [cfg.strength if strength is None else strength for strength in own]
    over = strengths(cfg.at, held, cfg.frames, closed=True).tolist()
    return split(
        cfg.stylize,
        cfg.model,
        cfg.compute,
        prompt=_words(cfg)[0] if cfg.stills else cfg.prompt,
        negative_prompt=cfg.negative_prompt,
        track=compiled.prompts,
        seed=cfg.seed,
        sparse={SPARSE: Sparse(kind=cfg.kind, at=cfg.at, strength=over)},
        wordless=True,
    )


def _assembly(cfg: Loop, compiled: schedules.Compiled) -> Assemble:
    """The settings of the last stage, with the facts of the render for the movie's metadata."""
    shown = compiled.prompts.describe() if compiled.prompts is not None else (_words(cfg) or [cfg.prompt])[0]
    return with_facts(cfg.assemble, cfg.embed_facts, prompt=shown, seed=cfg.seed, model=cfg.model.name)


def _subject(cfg: Loop) -> measures.Subject:
    """What metrics must know of the render."""
    base = cfg.model.base
    return measures.Subject(
        prompt=(_words(cfg) or [cfg.prompt])[0],
        varies=cfg.prompt_schedule is not None or len(set(cfg.stills)) > 1,
        model=cfg.model.name,
        embedded=base.id if base.kind == "embedded" else "",
        reference=cfg.reference or (cfg.pictures[0].picture if cfg.pictures else None),
        original=False,
        pictures=True,
    )
