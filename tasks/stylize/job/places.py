"""Places of a clip that are treated apart: masked controls, regional prompts, kept frames and a kept background."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reel.clip import Clip
from tasks.stylize.engine.controls import ReadMask
from tasks.stylize.engine.loop import Hold, first_step
from tasks.stylize.engine.masks import MaskPlan, region_mask
from tasks.stylize.engine.regions import Regions, shares
from tasks.stylize.job.prepare import Job
from tasks.stylize.settings.controls import Mask

if TYPE_CHECKING:
    import torch


def outside(job: Job, mask: Mask, file: Clip | None) -> ReadMask | None:
    """Where a control counts: everywhere but in its mask's region; None when it has no mask."""
    if mask.region == "none":
        return None
    wanted = mask.plan()
    return lambda numbers: np.stack([1 - region(job, wanted, int(i), file) for i in numbers])


def region(job: Job, wanted: MaskPlan, frame: int, file: Clip | None = None) -> np.ndarray:
    """A region in one of the clip's frames ``(H, W)``, 1 inside."""
    outlined = wanted.region in ("person", "background")
    return region_mask(
        wanted,
        job.meta["width"],
        job.meta["height"],
        people=job.poses.frames[frame] if job.poses else (),
        outline=job.poses.mask(frame) if job.poses and outlined else None,
        picture=file.frame(frame if len(file) > 1 else 0) if file else None,
    )


def regions(job: Job, texts: torch.Tensor) -> Regions | None:
    """The regional prompts of a job; None without any.

    Args:
        texts: ``(K, T, D)``, all texts of the render.
    """
    import torch

    asked = job.cfg.regions
    if not asked:
        return None
    plans = {name: each.mask.plan() for name, each in asked.items()}

    def at(frame: int) -> torch.Tensor:
        masks = [region(job, wanted, frame, job.mask_files.get(f"region_{name}")) for name, wanted in plans.items()]
        return _at_size(shares(masks, [each.weight for each in asked.values()]), job.cells)

    return Regions(
        texts[[each.text for each in asked.values()]],
        torch.stack([at(frame) for frame in range(job.count)]).to(texts.device),
    )


def source_hold(job: Job, source: torch.Tensor, noise: torch.Tensor, steps: int, order: int) -> Hold | None:
    """Strength per frame, and a background that stays, as the step at which the denoising of each place begins.

    Args:
        source, noise: ``(1, C, F, h, w)``.
        steps: all steps that are run, as the scheduler counts them.
        order: evaluations that the scheduler counts as steps of their own, for each of ``num_inference_steps``.
    """
    import torch

    cfg = job.cfg
    if cfg.strength_schedule is None and cfg.composite == "none":
        return None
    every = cfg.num_inference_steps
    begin = first_step(every, cfg.strength)
    own = [first_step(every, cfg.strength * factor) for factor in cfg.strength_schedule or [1.0] * job.count]
    begins = [(step - begin) * order if step < every else steps for step in own]  # a frame of no step stays the source
    until = torch.tensor(begins).view(1, 1, -1, 1, 1)
    if cfg.composite == "keep_background":
        wanted, size = MaskPlan("person", cfg.composite_dilate), tuple(source.shape[-2:])
        person = torch.stack([_at_size(region(job, wanted, i)[None], size)[0] for i in range(job.count)])
        until = torch.where(person >= 0.5, until, torch.tensor(steps))
    return Hold(source, noise, until.to(source.device))


def _at_size(masks: np.ndarray, size: tuple[int, ...]) -> torch.Tensor:
    """``(N, H, W)`` averaged down to ``(N, h, w)``."""
    import torch

    return torch.nn.functional.interpolate(torch.from_numpy(masks)[None], size=size, mode="area")[0]
