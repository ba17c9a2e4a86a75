"""What a `dance` with `renderer=vace` will do, checked whole before anything is computed."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.animate.plan import dtype_of
from flows.dance.about import assembly, subject
from flows.dance.makers import map_makers, mask_detector
from flows.dance.settings import Dance, DanceControl
from flows.dance.stages import FrameSource
from flows.dance.vace_checks import check_clip, check_controls, check_layers, check_seed, refuse_schedules
from flows.dance.vace_stages import Part, VacePlan, Vaces
from flows.render import finishing, measures
from flows.render.schedules import Compiled
from reel.config import parse
from reel.models.animator import Animator
from tasks.animate import checks, memory, pictures
from tasks.animate.catalogue import RECIPES
from tasks.animate.parts import part_folder
from tasks.animate.settings import Decode, Denoise, Embed, Encode, Key
from tasks.extract import Extract
from tasks.networks.files import read_json
from tasks.stylize.settings.compute import check_compute
from tasks.stylize.settings.controls import live_controls
from tasks.vace.join import Join
from tasks.vace.noise import WindowNoise
from tasks.vace.outline import Outline
from tasks.vace.overlay import Overlay
from tasks.vace.seam import Seam
from tasks.vace.settings import Vace
from tasks.vace.windows import Window, windows

log = logging.getLogger(__name__)
SMALL = 832 * 480
"""Pixels of a frame up to which the authors advise the smaller flow shift."""
SHIFTS = (3.0, 5.0)
"""Flow shift up to that, and above."""


def plan_vace(cfg: Dance, how: Vace, model: Animator) -> VacePlan:
    """Check everything that can be checked without computing.

    Raises:
        UserError: the first thing that would make the render fail.
    """
    from tasks.extract import prepare
    from tasks.media.source import source_digest
    from tasks.weights.fetch import fetch

    check_compute(cfg.compute)
    refuse_schedules(cfg)
    check_seed(cfg.seed)
    live = live_controls(cfg.controls)
    check_controls(live, how, model)
    checks.prompt(cfg.prompt, model)
    _, job = prepare(cfg.extract, cfg.clip)
    width, height, count = job.plan.width, job.plan.height, len(job.expected)
    check_clip(width, height, count, float(job.rate), how, model)
    detector = mask_detector(cfg, live)
    references = [_reference(path, number, width, height) for number, path in enumerate(how.references)]
    planned = VacePlan(
        source=FrameSource(cfg.clip, source_digest(cfg.clip), cfg.extract),
        masks={},
        makers=map_makers(cfg, live),
        maps={name: cfg.controls[name].preprocess for name in live},
        detector=detector,
        assembly=assembly(cfg, Compiled()),
        embed_facts=cfg.embed_facts,
        finish=finishing.plan(cfg.finish),
        measures=measures.plan(cfg.measure, subject(cfg)),
        count=count,
        model=model.name,
        framings=model.framings,
        vace=_stages(cfg, how, model, live, (width, height, count), len(references)),
        references=references,
    )
    fetch([source for op, chosen in [*planned.ops, *planned.measures.ops] for source in op.models(chosen)])
    vace = planned.vace
    check_layers(live, read_json(part_folder(vace.parts[0].denoise, "transformer") / "config.json"), model)
    return dataclasses.replace(planned, vace=_fitting(vace, cfg))


def _reference(path: Path, number: int, width: int, height: int) -> FrameSource:
    """A picture of the character, fitted into the frame on white, as the pipeline would do it."""
    from tasks.media.source import source_digest

    pictures.look(path, f"stylize.references.{number}", background=True)
    extract = Extract(width=width, height=height, fit="pad", multiple_of=1, background="#ffffff")
    return FrameSource(path, source_digest(path), extract)


def _stages(
    cfg: Dance,
    how: Vace,
    model: Animator,
    live: Mapping[str, DanceControl],
    clip: tuple[int, int, int],
    references: int,
) -> Vaces:
    """The settings of the ops; what has no effect is not in them.

    Args:
        clip: width and height, px, and number of frames.
        references: number of pictures of the character.
    """
    recipe = RECIPES[model.architecture]
    common: dict[str, Any] = {"architecture": model.architecture, "dtype": dtype_of(cfg)}
    guided = how.guidance_scale > 1
    cuts = windows(clip[2], how.windows.frames, how.windows.overlap)
    film = _film(cfg, how, model, next(iter(live.values())), clip, references) | common
    return Vaces(
        embed=Embed(
            **common,
            sources=model.sources_of(recipe.text),
            texts=[(cfg.prompt, cfg.negative_prompt if guided else "")],
            guided=guided,
            max_tokens=model.max_tokens,
        ),
        encode=Encode(**common, sources=model.sources_of(recipe.needs(*recipe.encoders)), tiling=how.encode_tiling),
        parts=_parts(cuts, film, how, model, clip[2]),
        seam=Seam(overlap=how.windows.overlap, blend=how.windows.blend),
        join=Join(
            overlap=how.windows.overlap if len(cuts) > 1 else 1,
            feather=how.composite_dilate / 2 if how.composite != "none" else 0,
        ),
        overlay=Overlay(order=how.overlay) if how.overlay else None,
        outline=Outline(dilate=how.composite_dilate) if how.composite != "none" else None,
    )


def _film(
    cfg: Dance, how: Vace, model: Animator, control: DanceControl, clip: tuple[int, int, int], references: int
) -> dict[str, Any]:
    """What the denoisings of all windows have in common."""
    width, height, _ = clip
    recipe, layers = RECIPES[model.architecture], control.layer_weights
    shift = how.flow_shift or SHIFTS[width * height > SMALL]
    scale = control.weight if layers is None else [control.weight * layer for layer in layers]
    return {
        "sources": model.sources_of(recipe.needs(*recipe.denoisers)),
        "fps": model.limits.most_fps,
        "width": width,
        "height": height,
        "keys": [Key(at=0)] * references,
        "num_inference_steps": how.num_inference_steps,
        "guidance_scale": max(how.guidance_scale, 1.0),
        "scheduler_config": {**model.scheduler_config, "flow_shift": shift},
        "call": {"conditioning_scale": scale},
        "max_tokens": model.max_tokens,
        "seed": cfg.seed,
        "storage": how.storage,
        "attention": cfg.compute.attention,
        "compile": cfg.compute.compile,
    }


def _parts(cuts: Sequence[Window], film: Mapping[str, Any], how: Vace, model: Animator, frames: int) -> list[Part]:
    """The windows, each with its noise: a part of the film's, or what the pipeline draws by a seed of its own."""
    shared = how.windows.noise == "shared" and len(cuts) > 1
    sources = model.sources_of(RECIPES[model.architecture].needs("vae"))
    found = []
    for number, window in enumerate(cuts):
        seed = film["seed"] if shared else film["seed"] + number
        denoise = parse(Denoise, {**film, "frames": window.count, "seed": seed}, "stylize")
        decode = Decode(
            architecture=denoise.architecture,
            dtype=denoise.dtype,
            sources=sources,
            denoise=denoise,
            keep=window.count,
            tiling=how.decode_tiling,
        )
        noise = WindowNoise(
            seed=seed,
            width=denoise.width,
            height=denoise.height,
            frames=frames,
            first=window.first,
            count=window.count,
            pictures=len(denoise.keys),
        )
        found.append(Part(window, denoise, decode, noise if shared else None))
    return found


def _fitting(vace: Vaces, cfg: Dance) -> Vaces:
    """The ops' settings within `compute.max_memory`; the longest window decides for all."""
    longest = max(vace.parts, key=lambda part: part.window.count)
    denoise, decode = memory.fit(vace.embed, longest.denoise, longest.decode, cfg.compute)
    smaller = {"storage": denoise.storage}
    parts = []
    for part in vace.parts:
        own = part.denoise.model_copy(update=smaller)
        decoded = part.decode.model_copy(update={"denoise": own, "tiling": decode.tiling})
        parts.append(dataclasses.replace(part, denoise=own, decode=decoded))
    return dataclasses.replace(vace, parts=parts)
