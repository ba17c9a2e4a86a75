"""What the machinery costs: `dance` against a bare script that does the same decoding, maps and denoising.

    python -m benchmarks.dance_cost --frames 16

Prints wall and CPU seconds (all processes of a run but the servers), taken one after the other in one run, each in a
process of its own, with Prefect's server up and MLflow on: the bare script, a first `dance`, an unchanged one, one with
another weight, one that also measures (the script does not), an unchanged one without server. What goes on after a
run's end, the logging of an unchanged one, is waited for between them, and not counted.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runs import ROOT, SPRITE, command, last_record, server
from reel.store import Store
from tasks.sprite.clips import sampling_of
from tasks.sprite.spec import load as load_spec
from tasks.tracking.links import pending

HOW = sampling_of(SPRITE)
PROMPT = "a girl with long pink hair in a red top and a blue skirt, green background, dancing"


def bare(frames: int, steps: int, output: Path) -> None:
    """The same work with nothing around it: no store, no keys, no records, no Prefect, no MLflow."""
    import av
    import numpy as np
    import torch
    from diffusers import (
        AnimateDiffVideoToVideoControlNetPipeline,
        AutoencoderKL,
        ControlNetModel,
        DDIMScheduler,
        MotionAdapter,
        UNet2DConditionModel,
    )
    from PIL import Image
    from transformers import CLIPTextModel, CLIPTokenizer

    from tasks.preprocess.blazepose import BlazePose, finder
    from tasks.preprocess.pose_map import draw_poses

    side = load_spec(SPRITE).frame
    with av.open(str(ROOT / "data" / "source" / "sample.mp4")) as file:
        pictures = [frame.to_image().resize((side, side)) for frame in file.decode(video=0)][::3][:frames]
    find = finder(BlazePose())
    maps = [Image.fromarray(draw_poses(find(np.asarray(picture)).people, side, side)) for picture in pictures]
    pipe = AnimateDiffVideoToVideoControlNetPipeline(
        vae=AutoencoderKL.from_pretrained(SPRITE / "vae", torch_dtype=torch.float32),
        text_encoder=CLIPTextModel.from_pretrained(SPRITE / "text_encoder", torch_dtype=torch.float32),
        tokenizer=CLIPTokenizer.from_pretrained(SPRITE / "tokenizer"),
        unet=UNet2DConditionModel.from_pretrained(SPRITE / "unet", torch_dtype=torch.float32),
        motion_adapter=MotionAdapter.from_pretrained(SPRITE / "motion_adapter", torch_dtype=torch.float32),
        controlnet=ControlNetModel.from_pretrained(SPRITE / "controlnet_openpose", torch_dtype=torch.float32),
        scheduler=DDIMScheduler.from_pretrained(SPRITE / "scheduler"),
    )
    pipe.set_progress_bar_config(disable=True)
    done = pipe(
        video=pictures,
        conditioning_frames=maps,
        prompt=PROMPT,
        strength=1.0,
        num_inference_steps=steps,
        guidance_scale=HOW.guidance_scale,
        controlnet_conditioning_scale=1.0,
        generator=torch.Generator("cpu").manual_seed(0),
        output_type="np",
    ).frames[0]
    with av.open(str(output), "w") as file:
        stream = file.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        for picture in (done * 255).round().astype("uint8"):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        file.mux(stream.encode())


@dataclass(frozen=True)
class Took:
    """Seconds of one run."""

    wall: float
    cpu: float


def logged(store: Path) -> None:
    """Wait until MLflow shows all runs of a store."""
    limit = time.monotonic() + 120
    while pending(Store(store)) and time.monotonic() < limit:
        time.sleep(0.2)
    time.sleep(2)  # the logging process ends


def timed(arguments: list[str]) -> Took:
    started, before = time.perf_counter(), _cpu()
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return Took(time.perf_counter() - started, _cpu() - before)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def say(what: str, took: Took, note: str = "") -> None:
    print(f"{what:27} {took.wall:7.1f} s {took.cpu:7.1f} s CPU   {note}", flush=True)


def _computed(store: Path) -> str:
    ran = [stage["op"] for stage in last_record(store)["stages"] if not stage["reused"]]
    return f"computed: {', '.join(ran) or 'nothing'}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--steps", type=int, default=HOW.steps)
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        bare(options.frames, options.steps, options.bare)
        return 0
    folder = Path(tempfile.mkdtemp(prefix="rotoscope-cost-"))
    store = folder / "store"
    settings = [
        *(f"extract.max_frames={options.frames}", f"stylize.num_inference_steps={options.steps}", f"prompt={PROMPT}"),
        *("control=[pose]", "stylize.strength=1.0", f"stylize.guidance_scale={HOW.guidance_scale}", "measure=none"),
    ]
    size = ["--frames", str(options.frames), "--steps", str(options.steps)]
    script = [sys.executable, "-m", "benchmarks.dance_cost", *size, "--bare", str(folder / "bare.mp4")]
    timed(script)  # files into the page cache, wheel members fetched
    with server(folder / "home"):
        timed(command(folder / "first", settings))  # MLflow's and Prefect's databases are made once
        print(f"{options.frames} frames, {options.steps} steps, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        baseline = timed(script)
        say("bare script", baseline)
        whole = timed(command(store, settings))
        extra, allowed = whole.wall - baseline.wall, 8 + 0.03 * baseline.wall
        say("dance, first", whole, f"{extra:+.1f} s; allowed: 8 s + 3 % = {allowed:.1f} s")
        say("dance, unchanged", timed(command(store, settings)), _computed(store))
        logged(store)
        say("dance, another weight", timed(command(store, [*settings, "controls.pose.weight=0.8"])), _computed(store))
        say("dance, first and measured", timed(command(folder / "other", settings[:-1])), "metrics, too")
    say("dance, unchanged, no server", timed(command(store, settings)), _computed(store))
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
