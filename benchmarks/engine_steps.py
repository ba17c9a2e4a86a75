"""Seconds per frame-step: the engine against diffusers' own pipelines, on the very same modules in one process.

    python benchmarks/engine_steps.py --size sprite --frames 16 --sides stock,engine --rounds 5
    python benchmarks/engine_steps.py --size sd15 --frames 8 --sides stock,engine --steps 1 --rounds 2
    python benchmarks/engine_steps.py --size sprite --frames 64 --sides freenoise,engine
    python benchmarks/engine_steps.py --size sd15 --frames 64 --sides stock,freenoise,engine --count

``freenoise`` has diffusers' own stride of 4 frames. ``engine`` works channels-last, as it does on a CPU; ``contiguous``
is the engine in the stock pipeline's order of memory; ``compile`` has its blocks compiled, in the warm-up; ``flash``
and ``math`` are the engine with that kernel of attention.
``sprite`` is the embedded family; ``sd15`` and ``small`` are random models of the real classes, nothing in them zero.
The sides take turns, ``--rounds`` times after one warm-up each; a JSON line a run, then one with medians and ratios.
Wall time on a machine that does anything else is noise: the process's own CPU seconds stand beside it. ``--count``
counts floating-point operations on tensors without storage instead: exact, and the same on every machine.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.engine_models import SIZES, Models, build, random_models

SIDES = ("stock", "freenoise", "engine", "contiguous", "compile", "flash", "math")


@dataclass
class Took:
    """One run of all steps."""

    wall: float
    cpu: float


def main() -> None:
    args = arguments()
    import torch

    torch.set_num_threads(args.threads)
    sides = args.sides.split(",")
    if args.count:
        print(json.dumps(count(args, sides)))
        return
    models = build(args)
    runs = {side: prepare(args, models, side) for side in sides}
    took: dict[str, list[Took]] = {side: [] for side in sides}
    with torch.inference_mode():
        for number in range(-args.warm, args.rounds):
            for side in sides:
                load = os.getloadavg()[0]
                one = runs[side]()
                if number >= 0:
                    took[side].append(one)
                each = {name: round(value / (args.frames * args.steps), 4) for name, value in vars(one).items()}
                print(json.dumps({"side": side, "round": number, **each, "load": round(load, 2)}), flush=True)
    print(json.dumps(summary(args, took)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=[*SIZES, "sprite"], default="sprite")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--side-px", type=int, default=None, help="width and height (px); 128 for sprite, else 256")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--block", type=int, default=16, help="engine: frames at a time in the spatial layers")
    parser.add_argument("--window", type=int, default=16, help="frames that motion modules see together")
    parser.add_argument("--overlap", type=int, default=4, help="frames that neighbouring windows share")
    parser.add_argument("--sides", default="stock,engine", help=f"of {', '.join(SIDES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm", type=int, default=1, help="rounds that are not counted")
    parser.add_argument("--profile", action="store_true", help="engine: seconds by kind of work")
    parser.add_argument("--count", action="store_true", help="count operations instead of time")
    args = parser.parse_args()
    args.side_px = args.side_px or (128 if args.size == "sprite" else 256)
    return args


def prepare(args: argparse.Namespace, models: Models, side: str) -> Callable[[], Took]:
    if side not in ("stock", "freenoise"):
        return functools.partial(engine, args, models, side)
    return functools.partial(stock, args, pipeline(args, models), models, side == "freenoise")


def pipeline(args: argparse.Namespace, models: Models) -> Any:
    import torch
    from diffusers import AnimateDiffVideoToVideoControlNetPipeline, AutoencoderKL, DDIMScheduler

    vae = AutoencoderKL(
        block_out_channels=(8,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        latent_channels=models.channels,
    )
    pipe = AnimateDiffVideoToVideoControlNetPipeline(
        vae=vae.to(args.device, getattr(torch, args.dtype)),
        text_encoder=None,
        tokenizer=None,
        unet=models.unet,
        motion_adapter=models.adapter,
        controlnet=models.net,
        scheduler=DDIMScheduler(clip_sample=False),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def stock(args: argparse.Namespace, pipe: Any, models: Models, free_noise: bool) -> Took:
    """All steps of the pipeline, from the first scaling of its latents to the end of the last step."""
    latents, words, maps = inputs(args, models)
    marks: list[Took] = []
    scale = pipe.scheduler.scale_model_input

    def begin(*given: Any, **named: Any) -> Any:
        marks.append(now(args))
        return scale(*given, **named)

    def tick(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        marks.append(now(args))
        return values

    told = {"prompt": None, "prompt_embeds": words[1:], "negative_prompt_embeds": words[:1]}
    if free_noise:
        pipe.enable_free_noise(context_length=args.window)
        every = words.repeat_interleave(args.frames, dim=0)  # one prompt a frame, negative ones first
        pipe._encode_prompt_free_noise = lambda **given: (every, None)  # it takes texts alone
    pipe.scheduler.scale_model_input = begin
    try:
        pipe(
            latents=latents,
            conditioning_frames=[to_picture(frame) for frame in maps],
            controlnet_conditioning_scale=0.8,
            num_inference_steps=args.steps,
            strength=1.0,
            guidance_scale=7.5,
            height=args.side_px,
            width=args.side_px,
            output_type="latent",
            callback_on_step_end=tick,
            **told,
        )
    finally:
        pipe.scheduler.scale_model_input = scale
        if free_noise:  # its `disable_free_noise` stumbles over a middle without motion modules
            for block in (*pipe.unet.down_blocks, *pipe.unet.up_blocks):
                pipe._disable_free_noise_in_block(block)
    return Took(marks[-1].wall - marks[0].wall, marks[-1].cpu - marks[0].cpu)


def network(
    args: argparse.Namespace, models: Models, clock: Any = None, buffers: Any = None, channels_last: bool = True
) -> tuple[Any, Any]:
    """The engine's function of latents and time, and the latents that it begins from."""
    import numpy as np

    from tasks.stylize.engine.buffers import Buffers
    from tasks.stylize.engine.clock import Clock
    from tasks.stylize.engine.controls import Controls, ControlTrack
    from tasks.stylize.engine.network import Network
    from tasks.stylize.engine.prompts import Conditioning, TextTrack
    from tasks.stylize.engine.windows import WindowPlan

    latents, words, maps = inputs(args, models)
    count_ = args.frames
    told = Conditioning(
        TextTrack.constant(words[1:], count_), TextTrack.constant(words[:1], count_), np.full(count_, 7.5), {}
    )
    track = ControlTrack("pose", models.net, maps.__getitem__, np.full(count_, 0.8))
    made = Network(
        models.unet,
        told,
        Controls([track]),
        WindowPlan(args.window, args.overlap),
        block=args.block,
        clock=clock or Clock(),
        buffers=buffers or Buffers(),
        channels_last=channels_last,
    )
    return made, latents


def engine(args: argparse.Namespace, models: Models, side: str) -> Took:
    import torch
    from diffusers import DDIMScheduler

    from tasks.networks import kernels
    from tasks.stylize.engine.clock import Clock
    from tasks.stylize.engine.loop import denoise, timesteps_of

    clock = Clock(args.profile, args.device)
    made, latents = network(args, models, clock, channels_last=side != "contiguous")
    scheduler = DDIMScheduler(clip_sample=False)
    timesteps = timesteps_of(scheduler, args.steps, device=args.device)
    attention = side if side in ("flash", "math") else "auto"
    with kernels.use_kernels((models.unet, models.net), attention, side == "compile"):
        began = now(args)
        denoise(made, scheduler, timesteps, latents.float(), torch.Generator())
        ended = now(args)
    if args.profile:
        print(json.dumps({"profile": clock.report()}))
    return Took(ended.wall - began.wall, ended.cpu - began.cpu)


def count(args: argparse.Namespace, sides: list[str]) -> dict[str, Any]:
    """GFLOP per frame-step of each side, on tensors without storage."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    args.steps, found = 1, {}
    for side in sides:
        models = build(args) if args.size == "sprite" else Models(*random_models(args, meta=True))
        args.device = "meta"
        for module in (models.unet, models.net):
            module.to("meta").eval()
        counter = FlopCounterMode(display=False)
        with torch.inference_mode(), counter:
            predict_once(args, models, side)
        found[side] = round(counter.get_total_flops() / args.frames / 1e9, 1)
        args.device = "cpu"
    first = found[sides[0]]
    facts = {"size": args.size, "frames": args.frames, "px": args.side_px}
    return {**facts, "gflop_per_frame_step": found, "ratio": {s: round(v / first, 3) for s, v in found.items()}}


def predict_once(args: argparse.Namespace, models: Models, side: str) -> None:
    """The networks' part of one step, as each side calls them."""
    import torch

    made, latents = network(args, models)
    made.controls.tracks[0].read = lambda numbers: torch.empty(len(numbers), args.side_px, args.side_px, 3).numpy()
    if side == "engine":
        made(latents, torch.tensor(500, device="meta"), 0, 1)
        return
    if side == "freenoise":
        pipe = pipeline(args, models)
        pipe.enable_free_noise(context_length=args.window)
        models.unet.to("meta")
    frames, both = args.frames, torch.cat([latents] * 2)
    words = torch.empty(2 * frames, 77, models.words, device="meta")
    picture = torch.empty(2 * frames, 3, args.side_px, args.side_px, device="meta")
    flat = both.transpose(1, 2).flatten(0, 1)
    down, middle = models.net(flat, 500, words, controlnet_cond=picture, return_dict=False)
    models.unet(both, 500, words, down_block_additional_residuals=list(down), mid_block_additional_residual=middle)


def summary(args: argparse.Namespace, took: dict[str, list[Took]]) -> dict[str, Any]:
    """Medians and minima in seconds per frame-step, and every side's ratio to the first."""
    work = args.frames * args.steps
    found: dict[str, Any] = {
        name: getattr(args, name)
        for name in ("size", "frames", "steps", "side_px", "dtype", "device", "threads", "block")
    }
    for side, runs in took.items():
        for kind in ("wall", "cpu"):
            values = [getattr(run, kind) / work for run in runs]
            found[f"{side}_{kind}"] = {"median": round(statistics.median(values), 4), "min": round(min(values), 4)}
    first, *others = took
    for side in others:
        for kind in ("wall", "cpu"):
            pairs = [getattr(b, kind) / getattr(a, kind) for a, b in zip(took[first], took[side], strict=True)]
            found[f"{side}/{first}_{kind}"] = {
                "median_of_pairs": round(statistics.median(pairs), 3),
                "of_minima": round(found[f"{side}_{kind}"]["min"] / found[f"{first}_{kind}"]["min"], 3),
            }
    found["peak_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    return found


def inputs(args: argparse.Namespace, models: Models) -> tuple[Any, Any, Any]:
    """Latents ``(1, C, F, h, w)``, embeddings ``(2, 77, D)`` and maps ``(F, H, W, 3)``, in a file like those of a
    render."""
    import numpy as np
    import torch

    generator, dtype = torch.Generator().manual_seed(0), getattr(torch, args.dtype)
    side = args.side_px // 8
    latents = torch.randn(1, models.channels, args.frames, side, side, generator=generator).to(args.device, dtype)
    text = torch.randn(2, 77, models.words, generator=generator).to(args.device, dtype)
    rng, shape = np.random.default_rng(0), (args.side_px, args.side_px, 3)
    with tempfile.TemporaryFile() as file:
        maps = np.memmap(file, np.uint8, "w+", shape=(args.frames, *shape))
    for frame in range(args.frames):
        maps[frame] = rng.integers(0, 256, shape, dtype=np.uint8)
    return latents, text, maps


def to_picture(frame: Any) -> Any:
    from PIL import Image

    return Image.fromarray(frame)


def now(args: argparse.Namespace) -> Took:
    if args.device == "cuda":
        import torch

        torch.cuda.synchronize()
    return Took(time.perf_counter(), time.process_time())


if __name__ == "__main__":
    main()
