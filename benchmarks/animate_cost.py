"""What the machinery of `animate` costs and saves against bare diffusers: time and peak memory of a process each.

    python -m benchmarks.animate_cost --steps 8 --threads 1

A family of LTX-Video's own classes with random weights is written first: a transformer of 302 million numbers, a T5
encoder of 338 million, a VAE of LTX's geometry. The bare script loads the stock pipeline, draws and writes the film.
Then come a first `animate`, one with another seed, one with another decode setting; with Prefect's server, no tracking.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runs import ROOT, last_record, server

FRAMES, SIDE = 25, 256
PROMPT = "she waves slowly"


def write_family(folder: Path, layers: int = 8, text_layers: int = 7) -> None:
    """Random weights; what they draw is noise, what they cost is not.

    Args:
        layers, text_layers: of the transformer and of the text encoder.
    """
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel
    from transformers import T5Config, T5EncoderModel

    from tests.tasks.animate_models import ltx_vae, tokenizer

    torch.manual_seed(0)
    LTXVideoTransformer3DModel(
        num_attention_heads=24,
        attention_head_dim=64,
        cross_attention_dim=1536,
        num_layers=layers,
        caption_channels=2048,
    ).save_pretrained(folder / "transformer")
    config = {"d_model": 2048, "d_ff": 5120, "d_kv": 64, "num_heads": 32, "num_layers": text_layers}
    T5EncoderModel(T5Config(vocab_size=256, feed_forward_proj="gated-gelu", **config)).save_pretrained(
        folder / "text_encoder"
    )
    ltx_vae((64, 128, 256, 256), 2, timestep_conditioning=False).save_pretrained(folder / "vae")
    tokenizer().save_pretrained(folder / "tokenizer")
    FlowMatchEulerDiscreteScheduler().save_pretrained(folder / "scheduler")


def bare(family: Path, picture: Path, steps: int, output: Path) -> None:
    """The same film with nothing around it."""
    import av
    import torch
    from diffusers import (
        AutoencoderKLLTXVideo,
        FlowMatchEulerDiscreteScheduler,
        LTXConditionPipeline,
        LTXVideoTransformer3DModel,
    )
    from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
    from PIL import Image
    from transformers import AutoTokenizer, T5EncoderModel

    pipe = LTXConditionPipeline(
        transformer=LTXVideoTransformer3DModel.from_pretrained(family / "transformer"),
        vae=AutoencoderKLLTXVideo.from_pretrained(family / "vae"),
        text_encoder=T5EncoderModel.from_pretrained(family / "text_encoder"),
        tokenizer=AutoTokenizer.from_pretrained(family / "tokenizer"),
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(family / "scheduler"),
    )
    pipe.set_progress_bar_config(disable=True)
    frames = pipe(
        prompt=PROMPT,
        conditions=[LTXVideoCondition(image=Image.open(picture))],
        width=SIDE,
        height=SIDE,
        num_frames=FRAMES,
        frame_rate=24,
        num_inference_steps=steps,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
    ).frames[0]
    with av.open(str(output), "w") as file:
        stream = file.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for frame in (frames * 255).round().astype("uint8"):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        file.mux(stream.encode())


@dataclass(frozen=True)
class Took:
    """Seconds and peak resident memory (MiB) of one process."""

    wall: float
    memory: float


def timed(arguments: list[str]) -> Took:
    started = time.perf_counter()
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{arguments[:4]}: ended with {status}")
    return Took(time.perf_counter() - started, used.ru_maxrss / 1024)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the family is written; kept for the next run")
    parser.add_argument("--bare", type=Path, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        bare(options.bare[0], options.bare[1], options.steps, options.bare[2])
        return 0
    folder = options.folder or Path(tempfile.mkdtemp(prefix="rotoscope-animate-"))
    family, picture = folder / "models" / "random_ltx", folder / "key.png"
    if not (family / "scheduler").is_dir():
        write_family(family)
        import numpy as np
        from PIL import Image

        Image.fromarray(np.random.RandomState(0).randint(0, 255, (SIDE, SIDE, 3), np.uint8)).save(picture)
    store = Path(tempfile.mkdtemp(prefix="rotoscope-animate-store-"))
    os.environ |= {"ROTOSCOPE_MODELS": str(folder / "models"), "OMP_NUM_THREADS": str(options.threads)}
    base = "{kind: embedded, id: random_ltx, files: [transformer/*, vae/*, text_encoder/*, tokenizer/*, scheduler/*]}"
    settings = [
        *("model=ltx_2b", f"model.base={base}", f"picture={picture}", f"prompt={PROMPT}", f"frames={FRAMES}"),
        *(
            f"width={SIDE}",
            f"height={SIDE}",
            f"animate.num_inference_steps={options.steps}",
            "animate.guidance_scale=1",
        ),
        *("animate.extra_frames=0", "animate.picture_noise=0.15", "measure=none", "assemble.side_by_side=false"),
        *("compute.dtype=float32", "tracking=none", f"paths.store={store}", f"compute.threads={options.threads}"),
    ]
    script = [sys.executable, "-m", "benchmarks.animate_cost", "--steps", str(options.steps), "--bare"]
    script += [str(family), str(picture), str(folder / "bare.mp4")]
    ours = [sys.executable, "-m", "flows.cli", "animate", *settings]
    timed(script)  # files into the page cache
    size = f"{FRAMES} frames of {SIDE}x{SIDE}, {options.steps} steps, {options.threads} threads"
    print(f"{size}, load {os.getloadavg()[0]:.1f}")
    with server(store / "home"):
        timed([*ours, "width=64", "height=64", "frames=9", "prompt=she turns"])  # databases are made once
        stock = timed(script)
        print(f"{'bare diffusers':28} {stock.wall:7.1f} s         {stock.memory:7.0f} MiB")
        for what, more in (("animate, first", []), ("animate, another seed", ["seed=1"]),
                           ("animate, another decoding", ["seed=1", "animate.decode_tiling=true"])):  # fmt: skip
            took = timed([*ours, *more])
            ran = [stage["op"] for stage in last_record(store)["stages"] if not stage["reused"]]
            share, memory = took.wall / stock.wall, took.memory / stock.memory
            print(
                f"{what:28} {took.wall:7.1f} s {share:6.2f}x {took.memory:7.0f} MiB {memory:6.2f}x   {', '.join(ran)}"
            )
    shutil.rmtree(store, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
