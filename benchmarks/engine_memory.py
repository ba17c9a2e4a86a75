"""Peak memory of a prediction over the clip's length, with and without a limit on what is kept for every frame.

    python benchmarks/engine_memory.py --size small --frames 32,256 --keep-mib 128
    python benchmarks/engine_memory.py --size sd15 --side-px 64 --frames 32,256 --keep-mib 128

Counted is anonymous memory (RssAnon): spilled activations live in files, which the system pages out when it must. Each
length is a process of its own; the last line is the ratio of the longest to the shortest, models included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.engine_load import memory
from benchmarks.engine_models import build, work_of
from tasks.bench.random_models import SIZES
from tasks.bench.sides import network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=[*SIZES, "sprite"], default="small")
    parser.add_argument("--frames", default="32,256")
    parser.add_argument("--side-px", type=int, default=256)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--keep-mib", type=int, default=None, help="activations kept in memory; empty: all")
    parser.add_argument("--block", type=int, default=4)
    parser.add_argument("--window", type=int, default=16)
    parser.add_argument("--overlap", type=int, default=4)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    if "," not in args.frames:
        args.frames = int(args.frames)
        print(json.dumps(measure(args)))
        return
    peaks = {}
    for frames in args.frames.split(","):
        own = [sys.executable, __file__, *sys.argv[1:], "--frames", frames]
        line = subprocess.run(own, check=True, stdout=subprocess.PIPE, text=True, env=os.environ).stdout
        found = json.loads(line.splitlines()[-1])
        peaks[int(frames)] = found["peak_anon_gib"]
        print(json.dumps(found), flush=True)
    first, last = min(peaks), max(peaks)
    print(json.dumps({"ratio": round(peaks[last] / peaks[first], 3), "of": [last, first]}))


def measure(args: argparse.Namespace) -> dict[str, Any]:
    import torch

    from tasks.stylize.engine.buffers import Buffers

    torch.set_num_threads(args.threads)
    models = build(args.size, args.dtype, args.device)
    predict, latents = network(work_of(args), models)
    predict.buffers = buffers = Buffers(None if args.keep_mib is None else args.keep_mib * 2**20)
    before, peak, done = memory()["RssAnon"], [0], threading.Event()

    def watch() -> None:
        while not done.is_set():
            peak[0] = max(peak[0], memory()["RssAnon"])
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    with torch.inference_mode():
        predict(latents.float(), torch.tensor(500), 0, 4)
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    return {
        "frames": args.frames,
        "size": args.size,
        "px": args.side_px,
        "keep_mib": args.keep_mib,
        "models_gib": round(before / 2**20, 3),
        "peak_anon_gib": round(peak[0] / 2**20, 3),
        "kept_gib": round(buffers.peak / 2**30, 3),
        "spilled_gib": round(buffers.spilled / 2**30, 3),
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    main()
