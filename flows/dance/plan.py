"""What a `dance` will do, checked whole before anything is computed: files, names, ranges, prompts, models."""

from __future__ import annotations

import dataclasses

from flows.dance.about import assembly, subject
from flows.dance.makers import map_makers, mask_detector
from flows.dance.mask_files import mask_files
from flows.dance.settings import Dance
from flows.dance.stages import DancePlan, FrameSource
from flows.dance.vace import plan_vace
from flows.dance.vace_stages import VacePlan
from flows.dance.wan_animate import plan_wan_animate
from flows.dance.wan_animate_stages import WanAnimatePlan
from flows.edge.job import current
from flows.render import finishing, measures, schedules
from reel.models.animator import Animator
from reel.store import Store
from tasks.stylize.job.budget import fit
from tasks.stylize.job.preflight import check_clip, check_models
from tasks.stylize.settings.compute import check_compute
from tasks.stylize.settings.split import Stages, split
from tasks.vace.settings import Vace
from tasks.wan_animate.settings import WanAnimate


def plan(cfg: Dance, store: Store) -> DancePlan | VacePlan | WanAnimatePlan:
    """Check everything that can be checked without computing.

    Raises:
        UserError: the first thing that would make the render fail.
    """
    from tasks.extract import prepare
    from tasks.media.source import source_digest
    from tasks.weights.fetch import fetch

    schedules.refuse_both(current().overrides)
    match cfg.stylize, cfg.model:
        case Vace() as vace, Animator() as family:
            return plan_vace(cfg, vace, family)
        case WanAnimate() as wan_animate, Animator() as family:
            return plan_wan_animate(cfg, wan_animate, family)
    sampling, model = cfg.animatediff
    _, job = prepare(cfg.extract, cfg.clip)
    width, height, count = job.plan.width, job.plan.height, len(job.expected)
    slots = schedules.slots(cfg, sampling.embeddings)
    compiled = schedules.compiled(slots, count, job.rate, cfg.seed, cfg.negative_prompt, origins=current().origins)
    stages = _stylize(cfg, compiled)
    live = stages.denoise.controls
    detector = mask_detector(cfg, live)
    makers = map_makers(cfg, live)
    check_clip(stages.denoise, width, height, count)
    files = mask_files(cfg, live, width, height, count)
    planned = DancePlan(
        source=FrameSource(cfg.clip, source_digest(cfg.clip), cfg.extract),
        masks={name: FrameSource(file.path, source_digest(file.path), file.extract) for name, file in files.items()},
        makers=makers,
        maps={name: cfg.controls[name].preprocess for name in live},
        detector=detector,
        stylize=stages,
        assembly=assembly(cfg, compiled),
        embed_facts=cfg.embed_facts,
        finish=finishing.plan(cfg.finish),
        measures=measures.plan(cfg.measure, subject(cfg)),
        count=count,
        model=model.name,
        framings=model.framings,
    )
    fetch([source for op, chosen in [*planned.ops, *planned.measures.ops] for source in op.models(chosen)])
    check_models(stages)
    return dataclasses.replace(planned, stylize=fit(stages, cfg.compute, width, height, count))


def _stylize(cfg: Dance, compiled: schedules.Compiled) -> Stages:
    """The settings of the renderer's ops, schedules compiled for the clip."""
    check_compute(cfg.compute)
    sampling, model = cfg.animatediff
    return split(
        sampling,
        model,
        cfg.compute,
        prompt=cfg.prompt,
        negative_prompt=cfg.negative_prompt,
        track=compiled.prompts,
        seed=cfg.seed,
        controls=cfg.controls,
        regions=cfg.regions,
        per_frame=compiled.values,
    )
