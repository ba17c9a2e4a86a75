"""What a denoising has to do: how often its networks run, and over how many pixels. Needs no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reel.work import Extent, Work
from tasks.stylize.engine import schedulers
from tasks.stylize.engine.control_weights import is_active, keyframe_scale
from tasks.stylize.engine.loop import first_step
from tasks.stylize.engine.windows import make_windows
from tasks.stylize.settings.controls import Control
from tasks.stylize.settings.denoise import Denoise

CONTROL = 0.4
"""A ControlNet's work on a pixel, that of its UNet with motion module being 1."""
RUN = 0.1
"""Megapixels that take about as long as what a run of a network takes however few pixels it is given."""


def denoising(cfg: Denoise, given: Mapping[str, Extent], ctx: Any) -> Work:
    """Runs of networks, megapixels through the UNet and through ControlNets, over all steps and rounds."""
    clip = given.get("latents")
    if clip is None:
        return Work()
    branches = guided_branches(cfg)
    steps, rounds = len(branches), cfg.free_init.iterations
    per_frame = clip.megapixels / clip.frames
    live = {name: [step for step in range(steps) if _runs(cfg, one, step, steps)] for name, one in cfg.live().items()}
    unet = sum(count * _frames(cfg, clip.frames, step) for step, count in enumerate(branches))
    controls = sum(
        (1 if one.control_on == "cond" else branches[step]) * _weighted(one, clip.frames)
        for name, one in cfg.live().items()
        for step in live[name]
    )
    amounts = {
        "runs": RUN * rounds * (steps + sum(map(len, live.values()))),
        "unet": rounds * per_frame * unet,
        "controls": CONTROL * rounds * per_frame * controls,
    }
    return Work(amounts, {name: getattr(cfg, name) for name in _PACE}, clip)


_PACE = ("dtype", "memory_format", "attention", "compile", "first_block_cache")


def guided_branches(cfg: Denoise) -> list[int]:
    """For each step of one round 2 where guidance needs the negative branch too, else 1."""
    run = cfg.num_inference_steps - first_step(cfg.num_inference_steps, cfg.strength)
    steps = schedulers.evaluations(cfg.scheduler, run)
    return [2 if cfg.guided and step / steps < cfg.guidance_end else 1 for step in range(steps)]


def _frames(cfg: Denoise, count: int, step: int) -> int:
    """Frames that the UNet is given at a step: those of all windows, where every window is a pass of its own."""
    if cfg.windows.window_scope == "motion":
        return count
    return sum(len(window.frames) for window in make_windows(count, cfg.windows.plan(), step))


def _weighted(control: Control, count: int) -> int:
    """Frames in which a control counts."""
    return count if control.weight_schedule is None else sum(weight > 0 for weight in control.weight_schedule)


def _runs(cfg: Denoise, control: Control, step: int, steps: int) -> bool:
    """Whether a control's network runs at a step."""
    within = is_active(step, steps, control.control_guidance_start, control.control_guidance_end)
    return within and step % cfg.control_every == 0 and keyframe_scale(control.keyframes(), step / steps) > 0
