"""What a denoising has to do: how often its networks run, and over how many pixels. Needs no model."""

from __future__ import annotations

from collections.abc import Mapping

from reel.op import Context
from reel.work import Extent, Work
from tasks.stylize.engine import schedulers
from tasks.stylize.engine.control_weights import is_active, keyframe_scale
from tasks.stylize.engine.loop import first_step
from tasks.stylize.settings.controls import Control
from tasks.stylize.settings.denoise import Denoise

CONTROL = 0.4
"""A ControlNet's work on a pixel, that of its UNet with motion module being 1."""
RUN = 0.1
"""Megapixels that take about as long as what a run of a network takes however few pixels it is given."""


def denoising(cfg: Denoise, given: Mapping[str, Extent], ctx: Context) -> Work:
    """Runs of networks, megapixels through the UNet and through ControlNets, over all steps and rounds."""
    clip = given.get("latents")
    if clip is None:
        return Work()
    branches, rounds = guided_branches(cfg), cfg.free_init.iterations
    runs = unet = controls = 0.0
    for step, both in enumerate(branches):
        passes = _passes(cfg, clip.frames, step)
        again = sum(passes) / clip.frames  # windows that are passes of their own see a frame several times
        live = [one for one in cfg.live().values() if _runs(one, cfg.control_every, step, len(branches))]
        runs += len(passes) * (1 + len(live) + len(cfg.sparse))
        unet += both * sum(passes)
        controls += again * both * clip.frames * len(cfg.sparse)
        controls += again * sum((1 if one.control_on == "cond" else both) * _frames(one, clip.frames) for one in live)
    per_frame = rounds * clip.megapixels / clip.frames
    amounts = {"runs": RUN * rounds * runs, "unet": per_frame * unet, "controls": CONTROL * per_frame * controls}
    return Work(amounts, {name: getattr(cfg, name) for name in _PACE}, clip)


_PACE = ("dtype", "memory_format", "attention", "compile", "first_block_cache")


def guided_branches(cfg: Denoise) -> list[int]:
    """For each step of one round 2 where guidance needs the negative branch too, else 1."""
    run = cfg.num_inference_steps - first_step(cfg.num_inference_steps, cfg.strength)
    steps = schedulers.evaluations(cfg.scheduler, run)
    return [2 if cfg.guided and step / steps < cfg.guidance_end else 1 for step in range(steps)]


def _passes(cfg: Denoise, count: int, step: int) -> list[int]:
    """Frames in each pass of the UNet at a step."""
    if cfg.windows.window_scope == "motion":
        return [count]
    from tasks.stylize.engine.windows import make_windows

    return [len(window.frames) for window in make_windows(count, cfg.windows.plan(), step)]


def _frames(control: Control, count: int) -> int:
    """Frames in which a control counts."""
    return count if control.weight_schedule is None else sum(weight > 0 for weight in control.weight_schedule)


def _runs(control: Control, every: int, step: int, steps: int) -> bool:
    """Whether a control's network runs at a step."""
    within = is_active(step, steps, control.control_guidance_start, control.control_guidance_end)
    return within and step % every == 0 and keyframe_scale(control.keyframes(), step / steps) > 0
