"""A denoising as a job: its inputs opened, and checked against the settings and the models' files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reel.clip import Clip
from reel.errors import UserError
from reel.op import Context
from reel.pose import Poses
from tasks.networks import stored
from tasks.stylize.engine.codec import STRIDE
from tasks.stylize.job.preflight import check_clip, check_from_noise
from tasks.stylize.settings.denoise import Denoise
from tasks.stylize.settings.regions import needs_poses
from tasks.stylize.settings.sdxl import check_source

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass
class Job:
    """A checked denoising.

    Attributes:
        source: ``mean`` and ``std`` of the encoded frames, ``(F, C, h, w)``, unscaled; empty: the clip is drawn from
            noise alone.
        encoded: what was noted when they were encoded.
        texts: ``positive`` and ``negative``, ``(K, T, D)``; of SDXL families ``pooled_positive`` and
            ``pooled_negative``, ``(K, P)``, too.
        meta: the clip's size and times.
        maps: the clip that each live control reads, by control.
        mask_files: clips of masks, by the op's input: ``mask_<control>``, ``region_<region>``.
        poses: people in the clip; None: nothing needs them.
        pictures: that `picture_prompts` reads, ``(P, H, W, 3)`` uint8; None: it reads none.
        sparse: the pictures of each SparseCtrl ``(P, C, H, W)``: pixels 0..1, or scaled latents.
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
    pictures: np.ndarray | None
    sparse: dict[str, torch.Tensor]

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of the latents."""
        if self.source:
            _, _, height, width = self.source["mean"].shape
            return height, width
        return int(self.meta["height"]) // STRIDE, int(self.meta["width"]) // STRIDE


def prepare(cfg: Denoise, inputs: Mapping[str, str], ctx: Context) -> Job:
    """Open the inputs and check them against the settings.

    Raises:
        UserError: lengths, sizes or settings that do not go together.
    """
    source, encoded = stored.take(ctx.store, inputs["latents"], "latents")
    if source:
        check_source(cfg.model)
    else:
        check_from_noise(cfg)
    texts, _ = stored.take(ctx.store, inputs["embeddings"], "embeddings")
    meta = {name: encoded[name] for name in stored.TIMES}
    count = int(meta["count"])
    live = cfg.live()
    maps = {name: _clip(ctx, inputs, f"map_{name}", f"controls.{name}", meta) for name in live}
    masks = {f"mask_{name}": (f"controls.{name}", control.mask) for name, control in live.items()}
    masks |= {f"region_{name}": (f"regions.{name}", region.mask) for name, region in cfg.regions.items()}
    files = {
        key: _clip(ctx, inputs, key, setting, meta, still=True)
        for key, (setting, mask) in masks.items()
        if mask.region == "file"
    }
    check_clip(cfg, int(meta["width"]), int(meta["height"]), count)
    _check_texts(cfg, texts)
    sparse = {name: _pictures(ctx, inputs, name, len(one.at), meta) for name, one in cfg.sparse.items()}
    poses, pictures = _poses(cfg, inputs, ctx, count), _shown(cfg, inputs, ctx)
    return Job(cfg, count, source, encoded, texts, meta, maps, files, poses, pictures, sparse)


def _poses(cfg: Denoise, inputs: Mapping[str, str], ctx: Context, count: int) -> Poses | None:
    """The poses of the clip, with somebody in them where a setting needs that."""
    poses = Poses.open(ctx.store, inputs["poses"]) if "poses" in inputs else None
    needs = needs_poses(cfg.composite, cfg.controls, cfg.regions)
    if needs and poses is None:
        raise UserError(f"{needs} needs the poses of the clip", fix="use a pose detector, or no mask")
    if needs and poses is not None and not any(len(people) for people in poses.frames):
        raise UserError(
            f"{needs}: {poses.detector} found nobody in any of the {count} frames",
            fix="a clip in which the person is larger, another stylize.detector, or no mask and no composite",
        )
    return poses


def _clip(
    ctx: Context, inputs: Mapping[str, str], key: str, setting: str, meta: Mapping[str, Any], *, still: bool = False
) -> Clip:
    """A clip of the frames' size and length; ``still``: one picture for all frames will do."""
    if key not in inputs:
        raise UserError(
            f"{setting}: {key} was not given", fix=f"{setting}.weight=0, or render by a flow, which makes it"
        )
    found = Clip.open(ctx.store, inputs[key])
    counts = {meta["count"], 1} if still else {meta["count"]}
    if (found.width, found.height) != (meta["width"], meta["height"]) or len(found) not in counts:
        raise UserError(
            f"{setting}: {key} has {len(found)} frames of {found.width}x{found.height}, "
            f"the clip {meta['count']} of {meta['width']}x{meta['height']}",
            fix="make the maps from the same extracted frames",
        )
    return found


def _shown(cfg: Denoise, inputs: Mapping[str, str], ctx: Context) -> np.ndarray | None:
    """The pictures of `picture_prompts`, with one of every number that it asks for."""
    if cfg.picture_prompts is None:
        return None
    if "ip_pictures" not in inputs:
        raise UserError("picture_prompts: ip_pictures was not given", fix="render by a flow, which makes it")
    found = Clip.open(ctx.store, inputs["ip_pictures"])
    most = max([*cfg.picture_prompts.a, *cfg.picture_prompts.b])
    if most >= found.count:
        raise UserError(f"picture_prompts: picture number {most} of {found.count} (they count from 0)")
    return found.array()


def _pictures(ctx: Context, inputs: Mapping[str, str], name: str, count: int, meta: Mapping[str, Any]) -> torch.Tensor:
    """A SparseCtrl's pictures, of the frames' size, as many as have a place: pixels, or the mean of their latents."""
    import torch

    key = f"sparse_{name}"
    if key not in inputs:
        raise UserError(f"sparse.{name}: {key} was not given", fix="render by a flow, which makes it")
    if ctx.store.get(inputs[key]).kind == "latents":
        tensors, given = stored.take(ctx.store, inputs[key], "latents")
        pictures, shape = tensors["mean"] * float(given["scaling_factor"]), (given["width"], given["height"])
    else:
        clip = Clip.open(ctx.store, inputs[key])
        pictures, shape = torch.from_numpy(clip.array()).permute(0, 3, 1, 2).float() / 255, (clip.width, clip.height)
    if shape != (meta["width"], meta["height"]) or len(pictures) != count:
        raise UserError(
            f"sparse.{name}: {key} has {len(pictures)} pictures of {shape[0]}x{shape[1]}, {count} of "
            f"{meta['width']}x{meta['height']} are needed"
        )
    return pictures


def _check_texts(cfg: Denoise, texts: Mapping[str, torch.Tensor]) -> None:
    """Whether there is a text of every number that is asked for, encoded for the family's architecture."""
    count = len(texts["positive"])
    kind = cfg.model.architecture
    if (kind == "sdxl") != ("pooled_positive" in texts):
        raise UserError(
            f"embeddings: were made for another architecture than {kind}, which model {cfg.model.name} is",
            fix=f"embed the texts with architecture={kind}, or render by a flow, which does",
        )
    asked = [region.text for region in cfg.regions.values()]
    if cfg.prompts:
        asked += [*cfg.prompts.a, *cfg.prompts.b]
    if max(asked, default=0) >= count:
        raise UserError(f"prompts, regions: text number {max(asked)} of {count} (they count from 0)")
