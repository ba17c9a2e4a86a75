"""What a `timeframe` will do, checked whole before anything is computed: track, pictures, what holds them, models."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from flows.animate.plan import dtype_of
from flows.edge.job import current
from flows.flow import RenderPlan
from flows.render import finishing, measures, schedules
from flows.render.film_facts import with_facts
from flows.render.key_pictures import DrawnPicture, KeyPicture, at_size, look_all, own_picture, size_for
from flows.render.keyed import SPARSE
from flows.timeframe import handed_over
from flows.timeframe.settings import Timeframe
from flows.timeframe.stages import ByControlNet, BySparseCtrl, TimeframePlan
from flows.timeframe.track import Track, files_of, on_frames, words_of
from reel.config import parse
from reel.errors import UserError
from reel.store import Store
from reel.units import MOST_FRAMES
from tasks.animate.pictures import Still, check_fit
from tasks.animate.settings import Key
from tasks.animate.shown import ShownKeys
from tasks.assemble import Assemble
from tasks.keyframe.drawing import check_size as check_drawable
from tasks.keyframe.drawing import drawing
from tasks.preprocess.tile import Tile
from tasks.stylize.blank import Blank
from tasks.stylize.job.budget import fit
from tasks.stylize.job.preflight import check_clip, check_from_noise, check_models, check_size, reads_latents
from tasks.stylize.ordered import Ordered
from tasks.stylize.settings.compute import check_compute
from tasks.stylize.settings.controls import ControlSettings
from tasks.stylize.settings.reference import PicturePrompts
from tasks.stylize.settings.sparse import Sparse, no_sparsectrl
from tasks.stylize.settings.split import Stages, split
from tasks.weights.fetch import fetch

TILE = ("tile_a", "tile_b")
"""Names of the two controls: a transition shows two pictures at a time."""


def plan(cfg: Timeframe, store: Store) -> RenderPlan:
    """Check everything that can be checked without computing.

    Raises:
        UserError: the first thing that would make the render fail.
    """
    check_compute(cfg.compute)
    slots, frames = schedules.slots(cfg, cfg.stylize.embeddings), cfg.frames or MOST_FRAMES
    compiled = schedules.compiled(slots, frames, cfg.fps, cfg.seed, origins=current().origins)
    track = on_frames(cfg, compiled.tracks["track"])
    if cfg.renderer == "animate":
        return handed_over.plan(cfg, track, store)
    return _animatediff(cfg, track, store)


def _animatediff(cfg: Timeframe, track: Track, store: Store) -> TimeframePlan:
    _check_held(cfg, track)
    _stills, width, height = _looked_at(cfg, track)
    stages = _stylize(cfg, track)
    check_from_noise(stages.denoise)
    check_clip(stages.denoise, width, height, track.count)
    number = {picture: index for index, picture in enumerate(track.pictures)}
    size: dict[str, Any] = {"width": width, "height": height, "frames": track.count}
    planned = TimeframePlan(
        pictures=_pictures(cfg, track, width, height),
        labels=[words_of(one) or one.rpartition("/")[2] for one in track.pictures],
        begins=[number[one.picture] for one in track.ranges],
        shown=ShownKeys(**size, fps=cfg.fps, keys=[Key(at=at) for at in track.begins]),
        tile=_tile(cfg, track),
        sparse=_sparse(cfg, track),
        size=parse(Blank, {**size, "fps": cfg.fps}),
        stylize=stages,
        assembly=_assembly(cfg, track),
        embed_facts=cfg.embed_facts,
        finish=finishing.plan(cfg.finish),
        measures=measures.plan(cfg.measure, _subject(cfg, track)),
    )
    fetch([source for op, chosen in [*planned.ops, *planned.measures.ops] for source in op.models(chosen)])
    check_models(stages)
    if planned.sparse is not None:
        latents = reads_latents(stages.denoise.sparse[SPARSE], stages.denoise)
        planned = dataclasses.replace(planned, sparse=dataclasses.replace(planned.sparse, latents=latents))
    return dataclasses.replace(planned, stylize=fit(stages, cfg.compute, width, height, track.count))


def _check_held(cfg: Timeframe, track: Track) -> None:
    """Raises: UserError where the family has nothing that holds to a picture as a range asks for."""
    if track.held_by("ip_adapter") and (cfg.model.ip_adapter is None or cfg.model.ip_image_encoder is None):
        raise UserError(
            f"by: model {cfg.model.name} names no IP-Adapter weights (model.ip_adapter)", fix="by=tile, or model=sd15"
        )
    if track.held_by("tile") and "tile" not in cfg.model.controlnets:
        known = ", ".join(sorted(cfg.model.controlnets)) or "none"
        raise UserError(f"by: model {cfg.model.name} has no ControlNet 'tile'; it has: {known}", fix="by=sparsectrl")
    if track.held_by("sparsectrl") and cfg.sparsectrl.kind not in cfg.model.sparsectrls:
        raise no_sparsectrl("sparsectrl.kind", cfg.sparsectrl.kind, cfg.model)


def _looked_at(cfg: Timeframe, track: Track) -> tuple[Sequence[Still], int, int]:
    """The given pictures, and the clip's width and height, px.

    Raises:
        UserError: a file that does not work, pictures of several sizes, a size that the model does not draw.
    """
    stills = look_all(files_of(track), background=cfg.background is not None)
    width, height = size_for(cfg.width, cfg.height, stills, cfg.model)
    check_size(cfg.model, width, height, extracted=False)
    for still in stills:
        check_fit(still, width, height, cfg.fit, "track")
    if len(stills) < len(track.pictures):
        check_drawable(cfg.keyframe, width, height, "clip")
    return stills, width, height


def _pictures(cfg: Timeframe, track: Track, width: int, height: int) -> list[KeyPicture]:
    """The distinct pictures: files, or drawn from words, all of one noise."""
    extract = at_size(width, height, cfg.fit, cfg.background, cfg.model.multiple_of)
    size: dict[str, Any] = {"width": width, "height": height, "dtype": dtype_of(cfg)}
    files = {str(path): path for _, path in files_of(track)}
    found: list[KeyPicture] = []
    for one in track.pictures:
        words = words_of(one)
        if words is None:
            found.append(own_picture(files[one], extract))
        else:
            own = drawing(cfg.keyframe, cfg.draw, prompt=words, seed=cfg.seed, attention=cfg.compute.attention, **size)
            found.append(DrawnPicture(own))
    return found


def _tile(cfg: Timeframe, track: Track) -> ByControlNet | None:
    """The maps of the ControlNet: of the second control only where two pictures ever show at a time."""
    tile = track.two_at_a_time("tile")
    if tile is None:
        return None
    number = np.array([track.pictures.index(picture) for picture in tile.pictures])
    ordered = {
        name: Ordered(which=np.where(index < 0, 0, number[index]).tolist(), fps=cfg.fps)
        for name, index in zip(TILE, (tile.a, tile.b), strict=True)
        if (index >= 0).any()
    }
    return ByControlNet(Tile(downscale=cfg.tile.downscale), ordered)


def _sparse(cfg: Timeframe, track: Track) -> BySparseCtrl | None:
    """Which pictures the SparseCtrl is given."""
    found = track.sparse(cfg.sparsectrl.every)
    return BySparseCtrl([track.pictures.index(one.picture) for one in found], latents=True) if found else None


def _picture_prompts(cfg: Timeframe, track: Track) -> PicturePrompts | None:
    """The pictures that an IP-Adapter reads, by their numbers among all."""
    found = track.two_at_a_time("ip_adapter")
    if found is None:
        return None
    number = np.array([track.pictures.index(picture) for picture in found.pictures])
    strength = found.strength_a + found.strength_b
    a = np.where(found.a < 0, 0, number[found.a])
    return PicturePrompts(
        a=a.tolist(),
        b=np.where(found.b < 0, a, number[found.b]).tolist(),
        blend=np.divide(found.strength_b, strength, out=np.zeros(track.count), where=strength > 0).tolist(),
        weight=np.minimum(2.0, cfg.ip_adapter.weight * strength).tolist(),
    )


def _held(cfg: Timeframe, track: Track) -> Sparse:
    """The SparseCtrl's places."""
    at = [one.frame for one in track.sparse(cfg.sparsectrl.every)]
    return Sparse(kind=cfg.sparsectrl.kind, at=at, strength=track.strength_of("sparsectrl"))


def _stylize(cfg: Timeframe, track: Track) -> Stages:
    """The settings of the renderer's ops, the track compiled for the clip."""
    tile, sparse = track.two_at_a_time("tile"), track.sparse(cfg.sparsectrl.every)
    weights = {} if tile is None else dict(zip(TILE, (tile.strength_a, tile.strength_b), strict=True))
    live = {name: values.tolist() for name, values in weights.items() if values.any()}
    return split(
        cfg.stylize,
        cfg.model,
        cfg.compute,
        prompt=cfg.prompt,
        negative_prompt=cfg.negative_prompt,
        track=track.prompts and schedules.with_negative(track.prompts, cfg.negative_prompt),
        seed=cfg.seed,
        controls={name: ControlSettings(kind="tile", weight=cfg.tile.weight) for name in live},
        sparse={SPARSE: _held(cfg, track)} if sparse else {},
        picture_prompts=_picture_prompts(cfg, track),
        per_frame={f"controls.{name}.weight_schedule": values for name, values in live.items()},
        wordless=True,
    )


def _assembly(cfg: Timeframe, track: Track) -> Assemble:
    """The settings of the last stage, with the facts of the render for the movie's metadata."""
    shown = track.prompts.describe() if track.prompts is not None else cfg.prompt
    return with_facts(cfg.assemble, cfg.embed_facts, prompt=shown, seed=cfg.seed, model=cfg.model.name)


def _subject(cfg: Timeframe, track: Track) -> measures.Subject:
    """What metrics must know of the render."""
    base, files = cfg.model.base, files_of(track)
    return measures.Subject(
        prompt=cfg.prompt,
        varies=track.prompts is not None and len(track.prompts.texts) > 1,
        model=cfg.model.name,
        embedded=base.id if base.kind == "embedded" else "",
        reference=cfg.reference or (files[0][1] if files else None),
        original=False,
        pictures=True,
    )
