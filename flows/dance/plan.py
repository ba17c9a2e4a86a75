"""What a `dance` will do, checked whole before anything is computed: files, names, ranges, prompts, models."""

from __future__ import annotations

import dataclasses

from flows.dance.makers import map_makers, mask_detector
from flows.dance.mask_files import mask_files
from flows.dance.settings import Dance
from flows.dance.stages import DancePlan, FrameSource
from flows.edge.job import current
from flows.render import measures, schedules
from reel.config import parse
from reel.errors import UserError
from reel.store import Store
from tasks.assemble import Assemble
from tasks.stylize.control import live_controls
from tasks.stylize.engine import preflight
from tasks.stylize.engine.budget import fit
from tasks.stylize.engine.split import split
from tasks.stylize.settings import Animatediff, check_clip


def plan(cfg: Dance, store: Store) -> DancePlan:
    """Check everything that can be checked without computing.

    Raises:
        UserError: the first thing that would make the render fail.
    """
    from tasks.extract import prepare
    from tasks.media.source import source_digest
    from tasks.weights.fetch import fetch

    schedules.refuse_both(current().overrides)
    _, job = prepare(cfg.extract, cfg.clip)
    width, height, count = job.plan.width, job.plan.height, len(job.expected)
    slots = schedules.slots(cfg, cfg.stylize.embeddings)
    compiled = schedules.compiled(slots, count, job.rate, cfg.seed, cfg.negative_prompt, origins=current().origins)
    settings = _stylize(cfg, compiled)
    live = {name: cfg.controls[name] for name in live_controls(settings.controls)}
    detector = mask_detector(cfg, settings.controls)
    makers = map_makers(cfg, settings.controls)
    check_clip(settings, width, height, count)
    files = mask_files(cfg, live, width, height, count)
    stages = split(settings, compiled.prompts)
    planned = DancePlan(
        source=FrameSource(cfg.clip, source_digest(cfg.clip), cfg.extract),
        masks={name: FrameSource(file.path, source_digest(file.path), file.extract) for name, file in files.items()},
        makers=makers,
        maps={name: control.preprocess for name, control in live.items()},
        detector=detector,
        stylize=stages,
        assembly=_assembly(cfg, compiled),
        embed_facts=cfg.embed_facts,
        measures=measures.plan(cfg.measure, subject(cfg)),
        count=count,
    )
    fetch([source for op, chosen in [*planned.ops, *planned.measures.ops] for source in op.models(chosen)])
    preflight.check(settings, stages, compiled.prompts)
    return dataclasses.replace(planned, stylize=fit(stages, cfg.compute, width, height, count))


def subject(cfg: Dance) -> measures.Subject:
    """What metrics must know of the render."""
    base = cfg.model.base
    return measures.Subject(
        prompt=cfg.prompt,
        varies=cfg.prompt_schedule is not None,
        model=cfg.model.name,
        embedded=base.id if base.kind == "embedded" else "",
        reference=cfg.reference or (cfg.stylize.ip_adapter.picture if cfg.stylize.ip_adapter else None),
        preprocess=cfg.preprocess,
    )


def _assembly(cfg: Dance, compiled: schedules.Compiled) -> Assemble:
    """The settings of the last stage, with the facts of the render for the movie's metadata."""
    shown = compiled.prompts.describe() if compiled.prompts is not None else cfg.prompt
    facts = {"prompt": shown, "seed": str(cfg.seed), "model": cfg.model.name} if cfg.embed_facts else {}
    return cfg.assemble.model_copy(update={"metadata": {**facts, **cfg.assemble.metadata}})


def _stylize(cfg: Dance, compiled: schedules.Compiled) -> Animatediff:
    """The renderer's whole settings, schedules compiled for the clip."""
    from tasks.stylize.device import check_kernels, cuda_devices, resolve_dtype, resolve_memory_format

    if cfg.compute.device == "cuda" and not cuda_devices():
        raise UserError("compute.device: no NVIDIA driver offers a card here", fix="compute=auto, or compute=cpu")
    check_kernels(cfg.compute)

    controls = {
        name: {
            **control.model_dump(exclude={"preprocess", "mask_file"}),
            "weight_schedule": compiled.values.get(f"controls.{name}.weight_schedule"),
        }
        for name, control in cfg.controls.items()
    }
    whole = {
        **dict(cfg.stylize),
        "prompt": cfg.prompt,
        "negative_prompt": cfg.negative_prompt,
        "seed": cfg.seed,
        "model": cfg.model,
        "strength_schedule": compiled.values.get("strength_schedule"),
        "guidance_schedule": compiled.values.get("guidance_schedule"),
        "regions": {name: region.model_dump(exclude={"mask_file"}) for name, region in cfg.regions.items()},
        "controls": controls,
        "dtype": resolve_dtype(cfg.compute),
        "memory_format": resolve_memory_format(cfg.compute),
        "attention": cfg.compute.attention,
        "compile": cfg.compute.compile,
    }
    return parse(Animatediff, whole)
