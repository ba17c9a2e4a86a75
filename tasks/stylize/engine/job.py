"""A checked denoising, and the places of it that are treated apart: masked controls, held frames, a kept background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reel.clip import Clip
from reel.pose import Poses
from tasks.stylize.control import Mask
from tasks.stylize.engine.controls import ReadMask
from tasks.stylize.engine.loop import Hold
from tasks.stylize.engine.masks import MaskPlan, region_mask
from tasks.stylize.engine.regions import Regions, shares
from tasks.stylize.engine.settings import Denoise

if TYPE_CHECKING:
    import torch


@dataclass
class Job:
    """A checked denoising.

    Attributes:
        source: ``mean`` and ``std`` of the encoded frames, ``(F, C, h, w)``, unscaled.
        texts: ``positive`` and ``negative``, ``(K, T, D)``.
        meta: the clip's size and times.
        mask_files: clips of masks, by the op's input: ``mask_<control>``, ``region_<region>``.
    """

    cfg: Denoise
    count: int
    source: dict[str, torch.Tensor]
    encoded: dict[str, Any]
    texts: dict[str, torch.Tensor]
    meta: dict[str, Any]
    maps: dict[str, Clip]
    mask_files: dict[str, Clip]
    poses: Poses | None


def without(job: Job, mask: Mask, file: Clip | None) -> ReadMask | None:
    """Where a control counts: everywhere but in its mask's region; None when it has no mask."""
    if mask.region == "none":
        return None
    wanted = _plan(mask)
    return lambda numbers: np.stack([1 - region(job, wanted, int(i), file) for i in numbers])


def _plan(mask: Mask) -> MaskPlan:
    return MaskPlan(mask.region, mask.dilate, mask.feather)


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
    plans = {name: _plan(each.mask) for name, each in asked.items()}
    size = tuple(job.source["mean"].shape[-2:])

    def at(frame: int) -> torch.Tensor:
        masks = [region(job, wanted, frame, job.mask_files.get(f"region_{name}")) for name, wanted in plans.items()]
        whole = torch.from_numpy(shares(masks, [each.weight for each in asked.values()]))
        return torch.nn.functional.interpolate(whole[None], size=size, mode="area")[0]

    return Regions(
        texts[[each.text for each in asked.values()]],
        torch.stack([at(frame) for frame in range(job.count)]).to(texts.device),
    )


def held(job: Job, source: torch.Tensor, noise: torch.Tensor, steps: int, order: int) -> Hold | None:
    """Strength per frame, and a background that stays, as the step at which the denoising of each place begins.

    Args:
        source, noise: ``(1, C, F, h, w)``.
        steps: all steps that are run; ``order``: the scheduler's, the steps that it counts twice.
    """
    import torch

    cfg = job.cfg
    if cfg.strength_schedule is None and cfg.composite == "none":
        return None
    factors = np.asarray(cfg.strength_schedule or np.ones(job.count))
    own = (cfg.num_inference_steps * cfg.strength * factors + 1e-9).astype(int) * order
    until = torch.from_numpy(np.maximum(steps - own, 0)).view(1, 1, -1, 1, 1)
    if cfg.composite == "keep_background":
        wanted = MaskPlan("person", cfg.composite_dilate)
        person = torch.stack([torch.from_numpy(region(job, wanted, i)) for i in range(job.count)])
        small = torch.nn.functional.interpolate(person[None], size=tuple(source.shape[-2:]), mode="area")[:, None]
        until = torch.where(small >= 0.5, until, torch.tensor(steps))
    return Hold(source, noise, until.to(source.device))
