"""One denoising as a job: what is checked before any model loads, and how the parts are put together."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from reel.clip import Clip
from reel.errors import UserError
from reel.op import Context
from reel.pose import Poses
from tasks.stylize import schedulers
from tasks.stylize.control import Control
from tasks.stylize.engine import codec, kernels, models, stored
from tasks.stylize.engine.budget import planned
from tasks.stylize.engine.buffers import Buffers
from tasks.stylize.engine.clock import Clock
from tasks.stylize.engine.controls import Controls, ControlTrack, Keyframe, soft_weights
from tasks.stylize.engine.freeinit import FreeInitPlan, denoise_in_rounds
from tasks.stylize.engine.job import Job, held, regions, without
from tasks.stylize.engine.journal import Journal
from tasks.stylize.engine.loop import Network, noised, timesteps_of
from tasks.stylize.engine.prompts import Conditioning, TextTrack
from tasks.stylize.engine.reuse import FirstBlock
from tasks.stylize.engine.settings import Denoise
from tasks.stylize.memory import free_memory
from tasks.stylize.reference import read_picture
from tasks.stylize.settings import check_lengths, check_loop, check_window, needs_poses

log = logging.getLogger(__name__)


def prepare(cfg: Denoise, inputs: Mapping[str, str], ctx: Context) -> Job:
    """Open the inputs and check them against the settings.

    Raises:
        UserError: lengths, sizes or settings that do not go together.
    """
    source, encoded = stored.take(ctx.store, inputs["latents"], "latents")
    texts, _ = stored.take(ctx.store, inputs["embeddings"], "embeddings")
    meta = {name: encoded[name] for name in stored.TIMES}
    count = int(meta["count"])
    maps = {name: _clip(ctx, inputs, f"map_{name}", f"controls.{name}", meta) for name in cfg.live()}
    places = {f"mask_{name}": (f"controls.{name}", control.mask) for name, control in cfg.live().items()}
    places |= {f"region_{name}": (f"regions.{name}", region.mask) for name, region in cfg.regions.items()}
    files = {
        key: _clip(ctx, inputs, key, setting, meta, still=True)
        for key, (setting, mask) in places.items()
        if mask.region == "file"
    }
    _check(cfg, count, len(texts["positive"]))
    poses = Poses.open(ctx.store, inputs["poses"]) if "poses" in inputs else None
    needs = needs_poses(cfg.composite, cfg.controls, cfg.regions)
    if needs and poses is None:
        raise UserError(f"{needs} needs the poses of the clip", fix="use a pose detector, or no mask")
    if needs and poses is not None and not any(len(people) for people in poses.frames):
        raise UserError(
            f"{needs}: {poses.detector} found nobody in any of the {count} frames",
            fix="a clip in which the person is larger, another stylize.detector, or no mask and no composite",
        )
    return Job(cfg, count, source, encoded, texts, meta, maps, files, poses)


def run(job: Job, ctx: Context, journal: Journal, clock: Clock, keep: int | None = None, offload: str = "") -> Any:
    """Denoise a job, from its last checkpoint if there is one.

    Args:
        keep: bytes of activations on the device, instead of what the budget says.
        offload: instead of `compute.offload`.

    Returns:
        scaled latents ``(F, C, h, w)`` float32.
    """
    import torch

    cfg, device = job.cfg, ctx.compute.device
    scheduler = schedulers.make(cfg.scheduler, models.scheduler_settings(cfg))
    found = models.networks(cfg, device)
    generator = torch.Generator("cpu").manual_seed(cfg.seed)  # a CPU generator draws the same on every device

    def reset() -> Any:
        return timesteps_of(scheduler, cfg.num_inference_steps, cfg.strength, device)

    timesteps = reset()
    source = codec.sample(job.source["mean"], job.source["std"], int(job.encoded["chunk_size"]), generator)
    source = (source * float(job.encoded["scaling_factor"])).transpose(0, 1)[None].to(device)
    latents, noise = noised(source, scheduler, timesteps, generator)
    hold = held(job, source, noise, len(timesteps), scheduler.order)
    rounds = FreeInitPlan(**cfg.free_init.model_dump())
    steps = len(timesteps) * rounds.iterations
    if (resumed := journal.resume()) is not None:
        log.info("going on after step %d of %d", resumed.step, steps)
        ctx.note(resumed_at_step=resumed.step, work_share=1 - resumed.step / steps)
    with (
        models.placed(found.modules(), device, offload or _offload(job, ctx)),
        kernels.chosen(found.modules(), cfg.attention, cfg.compile),
        ctx.progress(steps, "denoise", "step", resumed.step if resumed else 0) as bar,
    ):
        network = _network(job, found, ctx, clock, keep)
        latents = denoise_in_rounds(
            rounds,
            network,
            scheduler,
            reset,
            latents,
            generator,
            resumed=resumed,
            journal=journal,
            hold=hold,
            noise=noise,
            tick=lambda: bar.update(1),
            clock=clock,
        )
    ctx.note(device=device, steps=len(timesteps), spilled_bytes=network.buffers.spilled)
    if network.first_block is not None:
        ctx.note(first_block_skipped=network.first_block.skipped)
    return latents[0].transpose(0, 1)


def _network(job: Job, found: models.Networks, ctx: Context, clock: Clock, keep: int | None) -> Network:
    """The UNet and ControlNets, told everything they need."""
    cfg, device, unet = job.cfg, ctx.compute.device, found.pipe.unet
    most = int(unet.config.motion_max_seq_length)
    check_window(cfg.windows.context_length, job.count, most, "its config.json")
    windows = cfg.windows.plan()
    if windows.context_length > most and job.count <= most:
        windows = type(windows)(context_length=most, context_overlap=0)  # one window; its length does not matter
    conditioning = _conditioning(job, found, device, unet.dtype)
    keep = _activations(job, ctx) if keep is None else keep
    return Network(
        unet,
        conditioning,
        Controls(
            [_track(job, name, control, found.controlnets[name]) for name, control in cfg.live().items()],
            cfg.control_every,
        ),
        windows,
        cfg.windows.window_scope,
        cfg.frame_block,
        Buffers(keep, ctx.store.root / "tmp"),
        clock,
        guidance_end=cfg.guidance_end,
        first_block=FirstBlock(cfg.first_block_cache) if cfg.first_block_cache else None,
        channels_last=cfg.memory_format == "channels_last",
    )


def _conditioning(job: Job, found: models.Networks, device: str, dtype: Any) -> Conditioning:
    cfg = job.cfg
    scale = cfg.guidance_scale * np.asarray(cfg.guidance_schedule or np.ones(job.count))
    scale = np.maximum(scale, 1.0)  # at 1 a frame follows the prompt alone; below, it would turn to the negative one
    zeros = np.zeros(job.count, np.int64)
    a, b, blend, mixing = zeros, zeros, np.zeros(job.count), "lerp"
    if cfg.prompts is not None:
        a, b = np.asarray(cfg.prompts.a), np.asarray(cfg.prompts.b)
        blend, mixing = np.asarray(cfg.prompts.blend), cfg.prompts.mixing
    tracks = [
        TextTrack(job.texts[name].to(device, dtype), a, b, blend, mixing)  # type: ignore[arg-type]
        for name in ("positive", "negative")
    ]
    added: dict[str, Any] = {}
    if cfg.ip_adapter is not None:
        found.pipe.set_ip_adapter_scale(float(cfg.ip_adapter.weight))
        added["image_embeds"] = found.pipe.prepare_ip_adapter_image_embeds(
            read_picture(cfg.ip_adapter), None, device, 1, cfg.guided
        )
    return Conditioning(tracks[0], tracks[1] if cfg.guided else None, scale, added, regions(job, tracks[0].texts))


def _track(job: Job, name: str, control: Control, net: Any) -> ControlTrack:
    clip = job.maps[name]
    layers = control.layer_weights
    if control.soft is not None:
        layers = soft_weights(len(net.controlnet_down_blocks) + 1, control.soft)
    return ControlTrack(
        name,
        net,
        lambda numbers: np.stack([clip.frame(int(i)) for i in numbers]),
        control.weight * np.asarray(control.weight_schedule or np.ones(job.count)),
        control.control_guidance_start,
        control.control_guidance_end,
        [Keyframe(key.at, key.scale, key.interpolate) for key in control.timestep_keyframes],
        layers,
        without(job, control.mask, job.mask_files.get(f"mask_{name}")),
        control.control_on,
    )


def _offload(job: Job, ctx: Context) -> str:
    """`compute.offload`, or layer by layer where the budget asks for it."""
    if ctx.compute.max_memory is None or ctx.compute.offload != "none":
        return ctx.compute.offload
    return planned(job.cfg, ctx.compute, job.meta["width"], job.meta["height"], job.count).offload or "none"


def _activations(job: Job, ctx: Context) -> int | None:
    """Bytes of all frames' activations that may stay in memory: what the budget leaves, or half of what is free."""
    if ctx.compute.max_memory is None:
        return free_memory(ctx.compute.device) // 2
    return planned(job.cfg, ctx.compute, job.meta["width"], job.meta["height"], job.count).keep


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


def _check(cfg: Denoise, count: int, texts: int) -> None:
    """Lengths of everything that has a value per frame, numbers of texts, windows."""
    check_lengths(
        {
            "strength_schedule": cfg.strength_schedule,
            "guidance_schedule": cfg.guidance_schedule,
            "prompts": cfg.prompts.a if cfg.prompts else None,
            **{f"controls.{name}.weight_schedule": control.weight_schedule for name, control in cfg.live().items()},
        },
        count,
    )
    asked = [region.text for region in cfg.regions.values()]
    if cfg.prompts:
        asked += [*cfg.prompts.a, *cfg.prompts.b]
    if max(asked, default=0) >= texts:
        raise UserError(f"prompts, regions: text number {max(asked)} of {texts} (they count from 0)")
    check_window(cfg.windows.context_length, count, cfg.model.motion_window, f"model {cfg.model.name}, its catalogue")
    check_loop(cfg.windows, count)
    if cfg.ip_adapter is not None:
        read_picture(cfg.ip_adapter)
