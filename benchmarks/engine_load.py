"""Memory that loading UNet and motion adapter takes: diffusers' own way, and the project's.

    python benchmarks/engine_load.py --size sd15 [--dtype bfloat16]

The weights are files of the right shape and length without content (sparse, zeros), since only bytes are counted. Each
side is a process of its own; every weight is read once after loading. ``anon``: memory that is the process's own;
``all``: with the mapped pages of the files, which the system can drop when it needs them.
"""

from __future__ import annotations

import argparse
import json
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tasks.bench.random_models import KINDS, SIZES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--side", choices=("stock", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(measure(args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write(args.size, Path(folder))
        for side in ("stock", "ours"):
            own = [sys.executable, __file__, *sys.argv[1:], "--side", side, "--folder", folder]
            print(
                subprocess.run(own, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1], flush=True
            )


def write(size: str, folder: Path) -> None:
    """Settings and weight files of both models."""
    from accelerate import init_empty_weights
    from diffusers import MotionAdapter, UNet2DConditionModel

    with init_empty_weights():
        unet = UNet2DConditionModel(down_block_types=KINDS, attention_head_dim=8, **SIZES[size])
        adapter = MotionAdapter(
            block_out_channels=SIZES[size]["block_out_channels"], motion_max_seq_length=32, use_motion_mid_block=False
        )
    for name, model in (("unet", unet), ("motion_adapter", adapter)):
        model.save_config(folder / name)
        hollow(folder / name / "diffusion_pytorch_model.safetensors", model)


def hollow(path: Path, model: Any) -> None:
    """A safetensors file of a model's names and shapes, float32, all zeros and without blocks on the disk."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in model.state_dict().items():
        begin, end = end, end + 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    import torch
    from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel

    from reel.models.animatediff import AnimateDiff
    from tasks.stylize.models.networks import join

    peak, done = {"RssAnon": 0, "VmRSS": 0}, threading.Event()

    def watch() -> None:
        while not done.is_set():
            for name, value in memory().items():
                peak[name] = max(peak[name], value)
            time.sleep(0.005)

    before = memory()
    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    dtype = {"torch_dtype": getattr(torch, args.dtype)}
    unet = UNet2DConditionModel.from_pretrained(args.folder / "unet", **dtype)
    adapter = MotionAdapter.from_pretrained(args.folder / "motion_adapter", **dtype)
    if args.side == "stock":
        model = UNetMotionModel.from_unet2d(unet, adapter)
    else:
        model = join(unet, adapter, AnimateDiff.model_construct(name="random"))
    del unet, adapter
    seconds = time.perf_counter() - began
    loaded = memory()
    read = sum(float(parameter.sum()) for parameter in model.parameters())
    done.set()
    watcher.join()
    gib = {name: round((value - before[name]) / 2**20, 2) for name, value in peak.items()}
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    return {
        "side": args.side,
        "size": args.size,
        "dtype": args.dtype,
        "weights_gib": round(weights / 2**30, 2),
        "peak_anon_gib": gib["RssAnon"],
        "peak_all_gib": gib["VmRSS"],
        "anon_after_loading_gib": round((loaded["RssAnon"] - before["RssAnon"]) / 2**20, 2),
        "seconds": round(seconds, 1),
        "sum": read,
    }


def memory() -> dict[str, int]:
    """This process's memory, KiB."""
    with Path("/proc/self/status").open() as file:
        lines = dict(line.split(":", 1) for line in file if line.startswith(("RssAnon", "VmRSS")))
    return {name: int(value.split()[0]) for name, value in lines.items()}


if __name__ == "__main__":
    main()
