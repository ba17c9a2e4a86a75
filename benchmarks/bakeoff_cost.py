"""What a bakeoff costs beside its ops: seconds, memory while one animator follows another, text encoders loaded.

    python -m benchmarks.bakeoff_cost --steps 8

Two families of LTX-Video's own classes with random weights, a large one and one a quarter its size, make films of two
seeds each in one bakeoff; with Prefect's server, no tracking, no metrics. The largest alone is a first `animate` in a
store of its own. Memory is that of the command with all processes that it has started, shared pages counted once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.animate_cost import FRAMES, PROMPT, SIDE, write_family
from benchmarks.runs import ROOT, server
from reel.history.record import RenderRecord, list_records
from reel.store import Store
from tasks.weights.files import sha256_of

FAMILIES = {"ltx_13b": (8, 7), "ltx_2b": (2, 2)}
"""Layers of transformer and text encoder; the first is the larger one."""
SECONDS, AN_ANIMATOR, MEMORY = 1.03, 1.0, 1.1
"""Bars: times the ops' seconds, seconds an animator on top; times the largest one's own memory."""

PAUSE = 0.2
"""Seconds between two looks at the memory."""


@dataclass(frozen=True)
class Took:
    """Wall seconds of a command, and the most memory that it and its processes had at once, MiB."""

    wall: float
    memory: float


def watched(words: Sequence[str]) -> Took:
    """Run the program, looking at its memory all the while.

    Raises:
        RuntimeError: it failed.
    """
    started, most, ended = time.perf_counter(), 0, threading.Event()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([sys.executable, "-m", "flows.cli", *words], cwd=ROOT,
                                   stdout=said, stderr=subprocess.STDOUT)  # fmt: skip
        top = psutil.Process(process.pid)

        def look() -> None:
            nonlocal most
            while not ended.wait(PAUSE):
                most = max(most, held(top))

        looking = threading.Thread(target=look)
        looking.start()
        process.wait()
        wall = time.perf_counter() - started
        ended.set()
        looking.join()
        said.seek(0)
        if process.returncode:
            raise RuntimeError(f"{words[0]} failed:\n{said.read()[-4000:]}")
    return Took(wall, most / 2**20)


def held(top: psutil.Process) -> int:
    """Bytes of a process and all below it, as the kernel shares them out."""
    total = 0
    with contextlib.suppress(psutil.Error):
        for process in [top, *top.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total


def settings(folder: Path, steps: int, threads: int) -> list[str]:
    """What is asked of all."""
    return [
        *(f"picture={folder / 'key.png'}", f"prompt={PROMPT}", f"frames={FRAMES}", f"width={SIDE}", f"height={SIDE}"),
        *(f"animate.num_inference_steps={steps}", "animate.guidance_scale=1", "animate.extra_frames=0"),
        *("animate.timesteps=null", "measure=none", "assemble.side_by_side=false", "compute.dtype=float32"),
        *("tracking=none", f"compute.threads={threads}"),
    ]


def base(name: str) -> str:
    files = "[transformer/*, vae/*, text_encoder/*, tokenizer/*, scheduler/*]"
    return f"{{kind: embedded, id: random_{name}, files: {files}}}"


def written(folder: Path) -> None:
    """The families and the picture, once; weights are read for their digests, as they are once after a download."""
    import numpy as np
    from PIL import Image

    for name, layers in FAMILIES.items():
        if not (place := folder / "models" / f"random_{name}").joinpath("scheduler").is_dir():
            write_family(place, *layers)
            time.sleep(3)  # or their digests are not kept: they could still be written to
        for weights in place.rglob("*.safetensors"):
            sha256_of(weights)
    Image.fromarray(np.random.RandomState(0).randint(0, 255, (SIDE, SIDE, 3), np.uint8)).save(folder / "key.png")


def ops_seconds(records: Sequence[RenderRecord]) -> float:
    return sum(stage.seconds for record in records for stage in record.stages if not stage.reused)


def texts_embedded(records: Sequence[RenderRecord], *, first: bool) -> int:
    """How often films of the first seed, or of later ones, loaded a text encoder."""
    films = [one for one in records if one.flow == "animate" and (one.config["seed"] == 0) == first]
    return sum(stage.op == "animate.embed" and not stage.reused for film in films for stage in film.stages)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the families are written (4 GB); kept for the next run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rotoscope-bakeoff-", ignore_cleanup_errors=True) as work:
        return measured(Path(work), options)


def measured(work: Path, options: argparse.Namespace) -> int:
    """Exit code: whether all bars are met."""
    folder = options.folder or work / "files"
    written(folder)
    os.environ |= {"ROTOSCOPE_MODELS": str(folder / "models"), "OMP_NUM_THREADS": str(options.threads)}
    asked = settings(folder, options.steps, options.threads)
    each = ", ".join(f"{name}: {{model.base: {base(name)}}}" for name in FAMILIES)
    largest = next(iter(FAMILIES))
    bakeoff = ["bakeoff", *asked, f"animators=[{','.join(FAMILIES)}]", f"each={{{each}}}", "seeds=2"]
    alone = ["animate", *asked, f"model={largest}", f"model.base={base(largest)}", "snap=nearest"]
    size = f"{FRAMES} frames of {SIDE}x{SIDE}, {options.steps} steps, {options.threads} threads"
    print(f"{size}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    with server(work / "home"):
        own = watched([*alone, f"paths.store={work / 'own'}", f"paths.output={work / 'own-out'}"])
        print(f"the largest alone     {own.wall:7.1f} s {own.memory:7.0f} MiB", flush=True)
        all_of_them = watched([*bakeoff, f"paths.store={work / 'store'}", f"paths.output={work / 'out'}"])
    records = list_records(Store(work / "store"))[0]
    ops = ops_seconds(records)
    allowed = SECONDS * ops + AN_ANIMATOR * len(FAMILIES)
    share = all_of_them.memory / own.memory
    first, later = (texts_embedded(records, first=which) for which in (True, False))
    print(f"the bakeoff           {all_of_them.wall:7.1f} s {all_of_them.memory:7.0f} MiB")
    over = f"{all_of_them.wall / ops:.3f} times, or {(all_of_them.wall - ops) / len(FAMILIES):.1f} s an animator more"
    print(f"seconds of its ops    {ops:7.1f}; allowed {allowed:.1f}; the whole is {over}")
    print(f"memory over the largest one's own: {share:.3f}; allowed {MEMORY}")
    print(f"text encoders loaded: {first} for the first seed, {later} for the second; allowed {len(FAMILIES)} and 0")
    return 0 if all_of_them.wall <= allowed and share <= MEMORY and (first, later) == (len(FAMILIES), 0) else 1


if __name__ == "__main__":
    sys.exit(main())
