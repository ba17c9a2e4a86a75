"""What `tasks.animate.memory` says an animator's stages take, against what they took.

    python -m benchmarks.animate_memory

Denoises and decodes with random weights of a few shapes on the CPU, each in a process of its own, and looks at its
resident memory every few milliseconds: the height less what the process held with the weights loaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from typing import Any

CASES = [
    {"layers": 2, "heads": 8, "size": 256, "frames": 25, "guided": False},
    {"layers": 2, "heads": 16, "size": 384, "frames": 49, "guided": False},
    {"layers": 2, "heads": 16, "size": 256, "frames": 49, "guided": True},
]
CODECS = [
    {"widths": [32, 64, 128, 128], "size": 256, "frames": 25},
    {"widths": [64, 128, 256, 256], "size": 256, "frames": 25},
    {"widths": [64, 128, 128, 128], "size": 384, "frames": 33},
]


class Watch:
    """The largest resident memory while the block ran, less what there was at its start, bytes."""

    def __enter__(self) -> Watch:
        import psutil

        self._process = psutil.Process()
        self._start = self.most = self._process.memory_info().rss
        self._on = True
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def _look(self) -> None:
        while self._on:
            self.most = max(self.most, self._process.memory_info().rss)
            time.sleep(0.002)

    def __exit__(self, *error: object) -> None:
        self._on = False
        self._thread.join()
        self.rise = self.most - self._start


def transformer(case: dict[str, Any]) -> tuple[float, float]:
    """Said and measured bytes of a denoiser's activations."""
    import torch
    from diffusers import LTXVideoTransformer3DModel

    from tasks.animate.memory import HELD, WIDE

    width = case["heads"] * 64
    model = LTXVideoTransformer3DModel(
        num_attention_heads=case["heads"],
        attention_head_dim=64,
        cross_attention_dim=width,
        num_layers=case["layers"],
        caption_channels=64,
    ).eval()
    batch = 2 if case["guided"] else 1
    count = ((case["frames"] - 1) // 8 + 1) * (case["size"] // 32) ** 2

    def run(count: int) -> None:
        with torch.no_grad():
            model(
                hidden_states=torch.randn(batch, count, 128),
                encoder_hidden_states=torch.randn(batch, 16, 64),
                timestep=torch.full((batch, count), 500.0),
                encoder_attention_mask=torch.ones(batch, 16, dtype=torch.bool),
                video_coords=torch.rand(batch, 3, count),
            )

    run(4)
    with Watch() as seen:
        run(count)
    return HELD + WIDE * batch * count * width * 4, seen.rise


def codec(case: dict[str, Any]) -> tuple[float, float]:
    """Said and measured bytes of a decoder's activations."""
    import torch

    from tasks.animate.memory import codec_numbers
    from tests.tasks.animate_models import ltx_vae

    vae = ltx_vae(tuple(case["widths"]), timestep_conditioning=False).eval()
    size, frames = case["size"], case["frames"]
    with torch.no_grad():
        vae.decode(torch.randn(1, 128, 2, 2, 2))
        with Watch() as seen:
            vae.decode(torch.randn(1, 128, (frames - 1) // 8 + 1, size // 32, size // 32))
    pixels = frames * size * size
    return codec_numbers(vae.config, pixels, pixels) * 4, seen.rise


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, case = json.loads(options.one)
        print(json.dumps((transformer if kind == "denoise" else codec)(case)))
        return 0
    for kind, cases in (("denoise", CASES), ("decode", CODECS)):
        for case in cases:
            command = [sys.executable, "-m", "benchmarks.animate_memory", "--one", json.dumps([kind, case])]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            said, seen = json.loads(done.stdout.splitlines()[-1])
            figures = f"said {said / 2**20:.0f} MiB, took {seen / 2**20:.0f} MiB, {said / seen:.2f}x"
            print(f"{kind:8} {case}: {figures}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
