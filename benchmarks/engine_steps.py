"""Seconds per frame-step: the engine against diffusers' own pipelines, on the very same modules in one process.

    python benchmarks/engine_steps.py --size sprite --frames 16 --sides stock,engine --rounds 5
    python benchmarks/engine_steps.py --size sd15 --frames 8 --sides stock,engine --steps 1 --rounds 2
    python benchmarks/engine_steps.py --size sprite --frames 64 --sides freenoise,engine
    python benchmarks/engine_steps.py --size sd15 --frames 64 --sides stock,freenoise,engine --count
    python benchmarks/engine_steps.py --pipeline vace --side-px 64 --count       # or t2v, sparse, sdxl

``freenoise`` has diffusers' own stride of 4 frames. ``engine`` works channels-last, as it does on a CPU; ``contiguous``
is the engine in the stock pipeline's order of memory; ``compile`` has its blocks compiled, in the warm-up; ``flash``
and ``math`` are the engine with that kernel of attention.
``sprite`` is the embedded family; ``sd15`` and ``small`` are random models of the real classes, nothing in them zero.
The sides take turns, ``--rounds`` times after one warm-up each; a JSON line a run, then one with medians and ratios.
Wall time on a machine that does anything else is noise: the process's own CPU seconds stand beside it. ``--count``
counts floating-point operations on tensors without storage instead: exact, and the same on every machine.

``--pipeline`` compares another stock pipeline with our own way to do its work (`benchmarks.engine_pipelines`), always
with small random models, text encoding and VAE left out on both sides: ``t2v`` AnimateDiffPipeline, ``sparse`` with
SparseCtrl, ``sdxl`` AnimateDiffSDXLPipeline, each against the engine; ``vace`` WanVACEPipeline against that very call
as the ops of `animate` replay it. Here ``--count`` runs all steps, and tells how far apart the latents are.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import engine_pipelines
from benchmarks.engine_models import build, work_of
from benchmarks.runs import SPRITE
from tasks.bench.random_models import SIZES, Models
from tasks.bench.sides import Marks, Work, engine, network, pipeline, stock
from tasks.sprite.spec import load as load_spec

SIDES = ("stock", "freenoise", "engine", "contiguous", "compile", "flash", "math")
Took = tuple[float, float]
"""Wall and CPU seconds of all steps."""


def main() -> None:
    args = arguments()
    import torch

    torch.set_num_threads(args.threads)
    if args.count:
        print(json.dumps(count(args) if args.pipeline == "v2v" else engine_pipelines.counted(args)))
        return
    runs = all_sides(args)
    sides = list(runs)
    took: dict[str, list[Took]] = {side: [] for side in sides}
    with torch.inference_mode():
        for number in range(-args.warm, args.rounds):
            for side in sides:
                load = os.getloadavg()[0]
                wall, cpu = one = runs[side]().since()
                if number >= 0:
                    took[side].append(one)
                work = args.frames * args.steps
                each = {"wall": round(wall / work, 4), "cpu": round(cpu / work, 4)}
                print(json.dumps({"side": side, "round": number, **each, "load": round(load, 2)}), flush=True)
    print(json.dumps(summary(args, took)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", choices=("v2v", *engine_pipelines.PIPELINES), default="v2v")
    parser.add_argument("--size", choices=[*SIZES, "sprite"], help="default: sprite; small with another --pipeline")
    parser.add_argument("--frames", type=int, help="default: 16; 17 with --pipeline vace, which makes 4k+1")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--side-px", type=int, default=None, help="width and height (px); its own for sprite, else 256")
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
    args.size = args.size or ("sprite" if args.pipeline == "v2v" else "small")
    args.frames = args.frames or (17 if args.pipeline == "vace" else 16)
    if args.pipeline != "v2v" and (refused := engine_pipelines.refused(args)):
        parser.error(refused)
    args.side_px = args.side_px or (load_spec(SPRITE).frame if args.size == "sprite" else 256)
    return args


def all_sides(args: argparse.Namespace) -> dict[str, Callable[[], Marks]]:
    """What runs each side once."""
    if args.pipeline != "v2v":
        found = engine_pipelines.sides(args)
        return {name: functools.partial(fresh, side, args.device) for name, side in found.items()}
    models = build(args.size, args.dtype, args.device)
    return {side: prepare(args, models, side) for side in args.sides.split(",")}


def fresh(side: Callable[[Marks], Marks], device: str) -> Marks:
    """One run, with marks of its own."""
    return side(Marks(device))


def prepare(args: argparse.Namespace, models: Models, side: str) -> Callable[[], Marks]:
    work = work_of(args)
    if side in ("stock", "freenoise"):
        return functools.partial(stock, work, models, pipeline(work, models), side == "freenoise")
    return functools.partial(by_engine, args, work, models, side)


def by_engine(args: argparse.Namespace, work: Work, models: Models, side: str) -> Marks:
    from tasks.stylize.engine.clock import Clock

    clock = Clock(args.profile, args.device)
    attention = side if side in ("flash", "math") else "auto"
    marks = engine(work, models, attention, side == "compile", side != "contiguous", clock)
    if args.profile:
        print(json.dumps({"profile": clock.report()}))
    return marks


def count(args: argparse.Namespace) -> dict[str, Any]:
    """GFLOP per frame-step of each side, on tensors without storage."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    args.steps, found, sides = 1, {}, args.sides.split(",")
    for side in sides:
        args.device = "meta"
        models = build(args.size, args.dtype, "meta")
        counter = FlopCounterMode(display=False)
        with torch.inference_mode(), counter:
            predict_once(work_of(args), models, side)
        found[side] = round(counter.get_total_flops() / args.frames / 1e9, 1)
    first = found[sides[0]]
    facts = {"size": args.size, "frames": args.frames, "px": args.side_px}
    return {**facts, "gflop_per_frame_step": found, "ratio": {s: round(v / first, 3) for s, v in found.items()}}


def predict_once(work: Work, models: Models, side: str) -> None:
    """The networks' part of one step, as each side calls them."""
    import torch

    made, latents = network(work, models)
    made.controls.tracks[0].read = lambda numbers: torch.empty(len(numbers), work.px, work.px, 3).numpy()
    if side == "engine":
        made(latents, torch.tensor(500, device="meta"), 0, 1)
        return
    if side == "freenoise":
        pipe = pipeline(work, models)
        pipe.enable_free_noise(context_length=work.window)
        models.unet.to("meta")
    both = torch.cat([latents] * 2)
    words = torch.empty(2 * work.frames, 77, models.words, device="meta")
    picture = torch.empty(2 * work.frames, 3, work.px, work.px, device="meta")
    flat = both.transpose(1, 2).flatten(0, 1)
    down, middle = models.nets[0](flat, 500, words, controlnet_cond=picture, return_dict=False)
    models.unet(both, 500, words, down_block_additional_residuals=list(down), mid_block_additional_residual=middle)


def summary(args: argparse.Namespace, took: dict[str, list[Took]]) -> dict[str, Any]:
    """Medians and minima in seconds per frame-step, and every side's ratio to the first."""
    work = args.frames * args.steps
    found: dict[str, Any] = {
        name: getattr(args, name)
        for name in ("pipeline", "size", "frames", "steps", "side_px", "dtype", "device", "threads", "block")
    }
    for side, runs in took.items():
        for kind, which in (("wall", 0), ("cpu", 1)):
            values = [run[which] / work for run in runs]
            found[f"{side}_{kind}"] = {"median": round(statistics.median(values), 4), "min": round(min(values), 4)}
    first, *others = took
    for side in others:
        for kind, which in (("wall", 0), ("cpu", 1)):
            pairs = [b[which] / a[which] for a, b in zip(took[first], took[side], strict=True)]
            found[f"{side}/{first}_{kind}"] = {
                "median_of_pairs": round(statistics.median(pairs), 3),
                "of_minima": round(found[f"{side}_{kind}"]["min"] / found[f"{first}_{kind}"]["min"], 3),
            }
    found["peak_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    return found


if __name__ == "__main__":
    main()
