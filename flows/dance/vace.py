"""What a `dance` with `renderer=vace` will do, checked whole before anything is computed."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from flows.dance import driven
from flows.dance.driven_checks import check_driven
from flows.dance.settings import Dance, DanceControl
from flows.dance.vace_checks import check_clip, check_controls, check_layers
from flows.dance.vace_stages import Part, VacePlan, Vaces
from reel.config import parse
from reel.models.animator import Animator
from tasks.animate import checks
from tasks.animate.parts import part_folder
from tasks.animate.settings import Denoise
from tasks.extract import Extract
from tasks.networks.files import read_json
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
    from tasks.weights.fetch import fetch

    live = check_driven(cfg, how.renderer)
    check_controls(live, how, model)
    checks.prompt(cfg.prompt, model)
    _, job = prepare(cfg.extract, cfg.clip)
    width, height, count = job.plan.width, job.plan.height, len(job.expected)
    check_clip(width, height, count, float(job.rate), how, model)
    fitted = Extract(width=width, height=height, fit="pad", multiple_of=1, background="#ffffff")  # as the pipeline does
    references = [driven.reference(path, number, fitted) for number, path in enumerate(how.references)]
    planned = VacePlan(
        **driven.filmed(cfg, live, model, count),
        vace=_stages(cfg, how, model, live, (width, height, count), len(references)),
        references=references,
    )
    fetch([source for op, chosen in [*planned.ops, *planned.measures.ops] for source in op.models(chosen)])
    vace = planned.vace
    check_layers(live, read_json(part_folder(vace.parts[0].denoise, "transformer") / "config.json"), model)
    parts = driven.fitting(vace.embed, vace.parts, cfg)
    return dataclasses.replace(planned, vace=dataclasses.replace(vace, parts=parts))


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
    cuts = windows(clip[2], how.windows.frames, how.windows.overlap)
    shift = how.flow_shift or SHIFTS[clip[0] * clip[1] > SMALL]
    film = driven.denoising(cfg, how, model, clip[:2], references, shift)
    film |= {"call": {"conditioning_scale": _scale(next(iter(live.values())))}}
    return Vaces(
        embed=driven.embed(cfg, how, model),
        encode=driven.encode(cfg, how, model),
        parts=_parts(cuts, film, how, model, clip[2]),
        seam=Seam(overlap=how.windows.overlap, blend=how.windows.blend),
        join=Join(
            overlap=how.windows.overlap if len(cuts) > 1 else 1,
            feather=how.composite_dilate / 2 if how.composite != "none" else 0,
        ),
        overlay=Overlay(order=how.overlay) if how.overlay else None,
        outline=Outline(dilate=how.composite_dilate) if how.composite != "none" else None,
    )


def _scale(control: DanceControl) -> float | list[float]:
    """The pipeline's `conditioning_scale`, for all layers or for each."""
    layers = control.layer_weights
    return control.weight if layers is None else [control.weight * layer for layer in layers]


def _parts(cuts: Sequence[Window], film: Mapping[str, Any], how: Vace, model: Animator, frames: int) -> list[Part]:
    """The windows, each with its noise: a part of the film's, or what the pipeline draws by a seed of its own."""
    shared = how.windows.noise == "shared" and len(cuts) > 1
    found = []
    for number, window in enumerate(cuts):
        seed = film["seed"] if shared else film["seed"] + number
        denoise = parse(Denoise, {**film, "frames": window.count, "seed": seed}, "stylize")
        decode = driven.decode(denoise, window.count, how, model)
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
