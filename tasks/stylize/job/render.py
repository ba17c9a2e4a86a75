"""One denoising: the parts put together and run, from the last checkpoint if there is one."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import numpy as np

from reel.errors import UserError
from reel.op import Context
from tasks.live.picture import watcher
from tasks.networks.kernels import use_kernels
from tasks.networks.memory import free_memory
from tasks.networks.offload import placed
from tasks.stylize.engine import codec, schedulers
from tasks.stylize.engine.buffers import Buffers
from tasks.stylize.engine.clock import Clock
from tasks.stylize.engine.control_weights import soft_weights
from tasks.stylize.engine.controls import Controls, ControlTrack
from tasks.stylize.engine.freeinit import denoise_in_rounds
from tasks.stylize.engine.loop import noised, pure_noise, timesteps_of
from tasks.stylize.engine.network import Network
from tasks.stylize.engine.prompts import Conditioning, TextTrack
from tasks.stylize.engine.reuse import FirstBlock
from tasks.stylize.engine.shown import Shown, weighed
from tasks.stylize.engine.sparse import SparseTrack, all_residuals
from tasks.stylize.job.budget import planned
from tasks.stylize.job.journal import Journal
from tasks.stylize.job.places import outside, regions, source_hold
from tasks.stylize.job.preflight import check_window
from tasks.stylize.job.prepare import Job
from tasks.stylize.models.networks import Networks, load_networks, scheduler_settings
from tasks.stylize.settings.controls import Control
from tasks.stylize.settings.reference import read_picture

log = logging.getLogger(__name__)


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
    scheduler = schedulers.make(cfg.scheduler, scheduler_settings(cfg.model))
    found = load_networks(cfg, device)
    generator = torch.Generator("cpu").manual_seed(cfg.seed)  # a CPU generator draws the same on every device

    def reset() -> Any:
        return timesteps_of(scheduler, cfg.num_inference_steps, cfg.strength, device)

    timesteps, constant = reset(), cfg.noise_type == "constant"
    if job.source:
        source = codec.sample(job.source["mean"], job.source["std"], int(job.encoded["chunk_size"]), generator)
        source = (source * float(job.encoded["scaling_factor"])).transpose(0, 1)[None].to(device)
        latents, noise = noised(source, scheduler, timesteps, generator, constant)
        hold = source_hold(job, source, noise, len(timesteps), scheduler.order)
    else:
        shape = (1, int(found.pipe.unet.config.in_channels), job.count, *job.cells)
        latents, noise, hold = pure_noise(shape, scheduler, generator, device, constant), None, None
    rounds = cfg.free_init.plan()
    steps = len(timesteps) * rounds.iterations
    if (resumed := journal.resume()) is not None:
        log.info("going on after step %d of %d", resumed.step, steps)
        ctx.note(resumed_at_step=resumed.step, work_share=1 - resumed.step / steps)
    with (
        placed(found.modules(), device, offload or _offload(job, ctx)),
        use_kernels(found.modules(), cfg.attention, cfg.compile),
        weighed(found.pipe.unet) if cfg.picture_prompts is not None else contextlib.nullcontext(),
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
            keeper=journal,
            hold=hold,
            noise=noise,
            constant=constant,
            look=watcher(ctx, cfg.model.architecture, cfg.model.base, latents.shape[1], job.meta),
            tick=lambda: bar.update(1),
            clock=clock,
        )
    ctx.note(device=device, steps=len(timesteps), spilled_bytes=network.buffers.spilled)
    if network.first_block is not None:
        ctx.note(first_block_skipped=network.first_block.skipped)
    return latents[0].transpose(0, 1)


def _network(job: Job, found: Networks, ctx: Context, clock: Clock, keep: int | None) -> Network:
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
        all_residuals([_sparse(job, name, found.sparsectrls[name], device) for name in cfg.sparse]),
        guidance_end=cfg.guidance_end,
        first_block=FirstBlock(cfg.first_block_cache) if cfg.first_block_cache else None,
        channels_last=cfg.memory_format == "channels_last",
    )


def _conditioning(job: Job, found: Networks, device: str, dtype: Any) -> Conditioning:
    cfg = job.cfg
    scale = cfg.guidance_scale * np.asarray(cfg.guidance_schedule or np.ones(job.count))
    scale = np.maximum(scale, 1.0)  # at 1 a frame follows the prompt alone; below, it would turn to the negative one
    zeros = np.zeros(job.count, np.int64)
    a, b, blend, mixing = zeros, zeros, np.zeros(job.count), "lerp"
    if cfg.prompts is not None:
        a, b = np.asarray(cfg.prompts.a), np.asarray(cfg.prompts.b)
        blend, mixing = np.asarray(cfg.prompts.blend), cfg.prompts.mixing
    tracks = [
        TextTrack(text, a, b, blend, mixing, pooled)  # type: ignore[arg-type]
        for text, pooled in (_text(job, name, device, dtype) for name in ("positive", "negative"))
    ]
    added: dict[str, Any] = {} if tracks[0].pooled is None else {"time_ids": _sizes(job, device)}
    if cfg.ip_adapter is not None:
        found.pipe.set_ip_adapter_scale(float(cfg.ip_adapter.weight))
        added["image_embeds"] = found.pipe.prepare_ip_adapter_image_embeds(
            read_picture(cfg.ip_adapter), None, device, 1, cfg.guided
        )
    negative, places = tracks[1] if cfg.guided else None, regions(job, tracks[0].texts)
    return Conditioning(tracks[0], negative, scale, added, places, _shown(job, found, device))


def _text(job: Job, name: str, device: str, dtype: Any) -> tuple[Any, Any]:
    """Embeddings ``(K, T, D)`` and, of SDXL, pooled ones ``(K, P)``."""
    pooled = job.texts.get(f"pooled_{name}")
    return job.texts[name].to(device, dtype), None if pooled is None else pooled.to(device, dtype)


def _sizes(job: Job, device: str) -> Any:
    """SDXL's sizes ``(S, 6)``: the picture's own, nothing cropped, the picture's own (height before width)."""
    import torch

    height, width = float(job.meta["height"]), float(job.meta["width"])
    return torch.tensor([[height, width, 0, 0, height, width]] * (2 if job.cfg.guided else 1), device=device)


def _shown(job: Job, found: Networks, device: str) -> Shown | None:
    """The reference pictures over the frames, encoded once each."""
    import torch
    from PIL import Image

    own = job.cfg.picture_prompts
    if own is None or job.pictures is None:
        return None
    pipe = found.pipe
    pipe.set_ip_adapter_scale(1.0)  # each frame has a weight of its own
    tokens = []
    for picture in job.pictures:
        told = pipe.prepare_ip_adapter_image_embeds(Image.fromarray(picture), None, device, 1, job.cfg.guided)
        tokens.append(pipe.unet.encoder_hid_proj(told)[0][:, 0])  # (S, T, D)
    a, b, blend, weight = (np.asarray(one) for one in (own.a, own.b, own.blend, own.weight))
    return Shown(torch.stack(tokens), a, b, blend, weight)


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
        control.keyframes(),
        layers,
        outside(job, control.mask, job.mask_files.get(f"mask_{name}")),
        control.control_on,
    )


def _sparse(job: Job, name: str, net: Any, device: str) -> SparseTrack:
    own, pictures = job.cfg.sparse[name], job.sparse[name]
    read, given = (net.config.conditioning_channels, pictures.shape[1])
    if read != given:
        raise UserError(
            f"sparse.{name}: its SparseCtrl reads pictures of {read} channels, these have {given}",
            fix="latents of the family's VAE for a net of the simplified embedding, pixels for others",
        )
    return SparseTrack(name, net, pictures.to(device, net.dtype), own.at, np.asarray(own.strength))


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
