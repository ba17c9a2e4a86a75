"""What a `text2video` will do, checked whole before anything is computed: size, length, prompts, models."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from flows.edge.job import current
from flows.flow import Source
from flows.render import finishing, measures, schedules
from flows.render.control_maps import map_makers
from flows.render.film_facts import with_facts
from flows.text2video.settings import MotionControl, TextToVideo
from flows.text2video.stages import Motion, TextPlan
from reel.config import parse
from reel.errors import UserError
from reel.store import Store
from tasks.assemble import Assemble
from tasks.extract import Extract, prepare
from tasks.media.source import source_digest
from tasks.stylize.blank import Blank
from tasks.stylize.job.budget import fit
from tasks.stylize.job.preflight import check_clip, check_from_noise, check_models, check_size
from tasks.stylize.settings.camera import with_moves
from tasks.stylize.settings.compute import check_compute
from tasks.stylize.settings.controls import live_controls
from tasks.stylize.settings.split import Stages, split
from tasks.weights.fetch import fetch


def plan(cfg: TextToVideo, store: Store) -> TextPlan:
    """Check everything that can be checked without computing.

    Raises:
        UserError: the first thing that would make the render fail.
    """
    check_compute(cfg.compute)
    schedules.refuse_both(current().overrides)
    slots = schedules.slots(cfg, cfg.stylize.embeddings)
    compiled = schedules.compiled(slots, cfg.frames, cfg.fps, cfg.seed, cfg.negative_prompt, origins=current().origins)
    stages = _stylize(cfg, compiled)
    check_from_noise(stages.denoise)
    check_size(cfg.model, cfg.width, cfg.height, extracted=False)
    check_clip(stages.denoise, cfg.width, cfg.height, cfg.frames)
    size = {name: getattr(cfg, name) for name in ("width", "height", "frames", "fps")}
    planned = TextPlan(
        size=parse(Blank, size),
        stylize=stages,
        assembly=_assembly(cfg, compiled),
        embed_facts=cfg.embed_facts,
        finish=finishing.plan(cfg.finish),
        measures=measures.plan(cfg.measure, _subject(cfg)),
        motion=None if cfg.motion is None else _motion(cfg, cfg.motion, live_controls(cfg.controls)),
    )
    fetch([source for op, chosen in [*planned.ops, *planned.measures.ops] for source in op.models(chosen)])
    check_models(stages)
    return dataclasses.replace(planned, stylize=fit(stages, cfg.compute, cfg.width, cfg.height, cfg.frames))


def _motion(cfg: TextToVideo, path: Path, live: Mapping[str, MotionControl]) -> Motion:
    """The clip whose maps the controls follow, as many frames of it as the film has.

    Raises:
        UserError: a file that is not a clip, or a shorter one.
    """
    extract = Extract(
        start=cfg.motion_start,
        fps=str(cfg.fps),
        max_frames=cfg.frames,
        width=cfg.width,
        height=cfg.height,
        fit="crop",
        multiple_of=1,
    )
    try:
        _, job = prepare(extract, path)
    except UserError as error:
        fix = None if "extract." in (error.fix or "") else error.fix  # of settings that are not here
        raise UserError(f"motion: {error.message.removeprefix('clip: ')}", fix=fix) from None
    if (there := len(job.expected)) < cfg.frames:
        since = f" from second {cfg.motion_start:g} on" if cfg.motion_start else ""
        raise UserError(
            f"motion: {path.name} has {there} frames at {cfg.fps:g} a second{since}, the film has {cfg.frames}",
            fix=f"frames={there}, or a longer clip",
        )
    makers = map_makers({control.preprocess for control in live.values()}, cfg.preprocess)
    maps = {name: control.preprocess for name, control in live.items()}
    return Motion(Source(path, source_digest(path)), extract, makers, maps)


def _stylize(cfg: TextToVideo, compiled: schedules.Compiled) -> Stages:
    """The settings of the renderer's ops, schedules compiled for the clip."""
    return split(
        with_moves(cfg.stylize, cfg.moves, cfg.model),
        cfg.model,
        cfg.compute,
        prompt=cfg.prompt,
        negative_prompt=cfg.negative_prompt,
        track=compiled.prompts,
        seed=cfg.seed,
        controls=cfg.controls,
        per_frame=compiled.values,
        from_noise=True,
    )


def _assembly(cfg: TextToVideo, compiled: schedules.Compiled) -> Assemble:
    """The settings of the last stage, with the facts of the render for the movie's metadata."""
    shown = compiled.prompts.describe() if compiled.prompts is not None else cfg.prompt
    return with_facts(cfg.assemble, cfg.embed_facts, prompt=shown, seed=cfg.seed, model=cfg.model.name)


def _subject(cfg: TextToVideo) -> measures.Subject:
    """What metrics must know of the render."""
    return measures.Subject(
        prompt=cfg.prompt,
        varies=cfg.prompt_schedule is not None,
        model=cfg.model.name,
        embedded=cfg.model.base.embedded,
        reference=cfg.reference or (cfg.stylize.ip_adapter.picture if cfg.stylize.ip_adapter else None),
        original=False,
        preprocess=cfg.preprocess,
    )
