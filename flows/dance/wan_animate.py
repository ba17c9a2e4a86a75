"""What a `dance` with `renderer=wan_animate` will do, checked whole before anything is computed."""

from __future__ import annotations

import dataclasses

from flows.dance import driven
from flows.dance.driven_checks import check_driven
from flows.dance.settings import Dance
from flows.dance.wan_animate_checks import check_clip, check_controls, check_references
from flows.dance.wan_animate_stages import Part, WanAnimatePlan, WanAnimates
from reel.config import parse
from reel.models.animator import Animator
from reel.models.stock import Argument
from tasks.animate import checks
from tasks.animate.animators.wan_animate import CARRIED
from tasks.animate.parts import part_folder
from tasks.animate.settings import Denoise
from tasks.extract import Extract
from tasks.networks.files import read_json
from tasks.vace.join import Join
from tasks.vace.outline import Outline
from tasks.wan_animate.face import Face
from tasks.wan_animate.segments import segments
from tasks.wan_animate.settings import WanAnimate


def plan_wan_animate(cfg: Dance, how: WanAnimate, model: Animator) -> WanAnimatePlan:
    """Check everything that can be checked without computing.

    Raises:
        UserError: the first thing that would make the render fail.
    """
    from tasks.extract import prepare
    from tasks.weights.fetch import fetch

    live = check_driven(cfg, how.renderer)
    check_controls(live, how, model)
    check_references(how, model)
    checks.prompt(cfg.prompt, model)
    _, job = prepare(cfg.extract, cfg.clip)
    width, height, count = job.plan.width, job.plan.height, len(job.expected)
    check_clip(width, height, count, float(job.rate), how, model)
    own = Extract(multiple_of=1, background="#ffffff")  # the pipeline fits it into the frame
    picture = driven.reference(how.references[0], 0, own, (width, height))
    planned = WanAnimatePlan(
        **driven.filmed(cfg, live, model, count),
        how=_stages(cfg, how, model, (width, height, count)),
        reference=picture,
    )
    fetch([source for op, chosen in [*planned.ops, *planned.measures.ops] for source in op.models(chosen)])
    stages = planned.how
    shape = read_json(part_folder(stages.parts[0].denoise, "transformer") / "config.json")
    face = stages.face.model_copy(update={"size": int(shape["motion_encoder_size"])})
    fitted = driven.fitting(stages.embed, stages.parts, cfg)
    return dataclasses.replace(planned, how=dataclasses.replace(stages, face=face, parts=fitted))


def _stages(cfg: Dance, how: WanAnimate, model: Animator, clip: tuple[int, int, int]) -> WanAnimates:
    """The settings of the ops; what has no effect is not in them.

    Args:
        clip: width and height, px, and number of frames.
    """
    carried: dict[str, Argument] = {CARRIED: how.segments.carried}
    cuts = segments(clip[2], how.segments.frames, how.segments.carried)
    common = driven.denoising(cfg, how, model, clip[:2], 1, how.flow_shift)
    film = parse(Denoise, {**common, "frames": cuts[0].frames, "call": carried}, "stylize")
    replaced = how.mode == "replace"
    return WanAnimates(
        embed=driven.embed(cfg, how, model),
        encode=driven.encode(cfg, how, model, frames=film.frames, call=carried),
        parts=[Part(one, film, driven.decode(film, one.new, how, model)) for one in cuts],
        face=Face(scale=how.face_scale, steady=how.face_steady),
        join=Join(overlap=0, feather=how.composite_dilate / 2 if replaced else 0),
        outline=Outline(dilate=how.composite_dilate) if replaced else None,
    )
