"""Seconds per frame-step: the engine against diffusers' own pipelines, on random models of the real classes.

    python benchmarks/engine_steps.py --size sd15 --frames 16 --sides stock,engine [--dtype bfloat16]
    python benchmarks/engine_steps.py --size sd15 --frames 64 --sides freenoise,engine

Each side runs in a process of its own, in turn, ``--rounds`` times; one JSON line a run. A machine that does anything
else gives wrong figures: the load before each run is in its line.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SIZES = {
    "small": {"block_out_channels": (64, 128, 256, 256), "cross_attention_dim": 128, "tokens": 77},
    "sd15": {"block_out_channels": (320, 640, 1280, 1280), "cross_attention_dim": 768, "tokens": 77},
}


def main() -> None:
    args = arguments()
    if args.side:
        print(json.dumps(measure(args)))
        return
    for number in range(args.rounds):
        for side in args.sides.split(","):
            own = [sys.executable, __file__, *sys.argv[1:], "--side", side]
            env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(args.threads)}
            load = os.getloadavg()[0]
            line = subprocess.run(own, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
            print(json.dumps({**json.loads(line), "round": number, "load_before": round(load, 2)}), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--side-px", type=int, default=256, help="width and height (px)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--block", type=int, default=16, help="engine: frames at a time in the spatial layers")
    parser.add_argument("--sides", default="stock,engine", help="of stock, freenoise, engine")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--profile", action="store_true", help="engine: seconds by kind of work")
    parser.add_argument("--side", choices=("stock", "freenoise", "engine"), help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(args: argparse.Namespace) -> dict[str, Any]:
    import torch

    torch.set_num_threads(args.threads)
    unet, adapter, net = build(args)
    run = engine(args, unet, net) if args.side == "engine" else stock(args, unet, adapter, net)
    with torch.inference_mode():
        seconds, more = run()
    return {
        "side": args.side,
        "size": args.size,
        "frames": args.frames,
        "steps": args.steps,
        "px": args.side_px,
        "dtype": args.dtype,
        "device": args.device,
        "threads": args.threads,
        "seconds_per_frame_step": round(seconds / (args.frames * args.steps), 4),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        **more,
    }


def build(args: argparse.Namespace) -> tuple[Any, Any, Any]:
    """UNetMotionModel with the shape of a v3 adapter, the adapter for FreeNoise, a ControlNet; nothing stays zero."""
    import torch
    from diffusers import ControlNetModel, MotionAdapter, UNet2DConditionModel, UNetMotionModel

    size = SIZES[args.size]
    widths, words = size["block_out_channels"], size["cross_attention_dim"]
    kinds = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
    dtype = getattr(torch, args.dtype)
    torch.set_default_dtype(dtype)
    adapter = MotionAdapter(
        block_out_channels=widths, motion_layers_per_block=2, motion_max_seq_length=32, use_motion_mid_block=False
    )
    base = UNet2DConditionModel(
        sample_size=64,
        block_out_channels=widths,
        cross_attention_dim=words,
        down_block_types=kinds,
        attention_head_dim=8,
    )
    unet = UNetMotionModel.from_unet2d(base, adapter)
    del base
    net = ControlNetModel(
        block_out_channels=widths, cross_attention_dim=words, down_block_types=kinds, attention_head_dim=8
    )
    torch.set_default_dtype(torch.float32)
    for seed, module in enumerate((unet, net)):
        redraw(module, seed)
        module.eval().requires_grad_(False).to(args.device)
    return unet, adapter if args.side == "freenoise" else None, net


def redraw(module: Any, seed: int) -> None:
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, parameter[0].numel() ** -0.5, generator=generator)


def stock(args: argparse.Namespace, unet: Any, adapter: Any, net: Any) -> Any:
    import torch
    from diffusers import AnimateDiffVideoToVideoControlNetPipeline, AutoencoderKL, DDIMScheduler

    vae = AutoencoderKL(
        block_out_channels=(8,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        latent_channels=4,
    )
    pipe = AnimateDiffVideoToVideoControlNetPipeline(
        vae=vae.to(args.device, getattr(torch, args.dtype)),
        text_encoder=None,
        tokenizer=None,
        unet=unet,
        motion_adapter=adapter,
        controlnet=net,
        scheduler=DDIMScheduler(clip_sample=False),
    )
    pipe.set_progress_bar_config(disable=True)
    if args.side == "freenoise":
        pipe.enable_free_noise(context_length=16, context_stride=12)
    latents, words, maps = inputs(args)
    marks: list[float] = []

    def tick(pipe: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        marks.append(now(args))
        return values

    def run() -> tuple[float, dict[str, Any]]:
        told = (
            {"prompt": None, "prompt_embeds": words[1:], "negative_prompt_embeds": words[:1]}
            if args.side == "stock"
            else {"prompt_embeds": words[1:].repeat(args.frames, 1, 1), "negative_prompt_embeds": words[:1]}
        )
        pipe(
            latents=latents,
            conditioning_frames=[to_picture(frame) for frame in maps],
            controlnet_conditioning_scale=0.8,
            num_inference_steps=args.steps + 1,
            strength=1.0,
            guidance_scale=7.5,
            height=args.side_px,
            width=args.side_px,
            output_type="latent",
            callback_on_step_end=tick,
            **told,
        )
        return marks[-1] - marks[0], {}  # the first step warms up

    return run


def engine(args: argparse.Namespace, unet: Any, net: Any) -> Any:
    import numpy as np
    import torch
    from diffusers import DDIMScheduler

    from tasks.stylize.engine.clock import Clock
    from tasks.stylize.engine.controls import Controls, ControlTrack
    from tasks.stylize.engine.loop import Network, denoise, timesteps_of
    from tasks.stylize.engine.prompts import Conditioning, TextTrack

    latents, words, maps = inputs(args)
    count = args.frames
    told = Conditioning(
        TextTrack.constant(words[1:], count), TextTrack.constant(words[:1], count), np.full(count, 7.5), {}
    )
    track = ControlTrack("pose", net, maps.__getitem__, np.full(count, 0.8))
    clock = Clock(args.profile, args.device)
    network = Network(unet, told, Controls([track]), block=args.block, clock=clock)
    scheduler = DDIMScheduler(clip_sample=False)
    timesteps = timesteps_of(scheduler, args.steps + 1, device=args.device)
    marks: list[float] = []

    def run() -> tuple[float, dict[str, Any]]:
        denoise(network, scheduler, timesteps, latents.float(), torch.Generator(), tick=lambda: marks.append(now(args)))
        return marks[-1] - marks[0], {"block": args.block, **({"profile": clock.report()} if args.profile else {})}

    return run


def inputs(args: argparse.Namespace) -> tuple[Any, Any, Any]:
    import numpy as np
    import torch

    generator, dtype = torch.Generator().manual_seed(0), getattr(torch, args.dtype)
    side, size = args.side_px // 8, SIZES[args.size]
    latents = torch.randn(1, 4, args.frames, side, side, generator=generator).to(args.device, dtype)
    words = torch.randn(2, size["tokens"], size["cross_attention_dim"], generator=generator).to(args.device, dtype)
    maps = np.random.default_rng(0).integers(0, 256, (args.frames, args.side_px, args.side_px, 3), dtype=np.uint8)
    return latents, words, maps


def to_picture(frame: Any) -> Any:
    from PIL import Image

    return Image.fromarray(frame)


def now(args: argparse.Namespace) -> float:
    if args.device == "cuda":
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
