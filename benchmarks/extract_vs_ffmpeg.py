"""How long extraction takes against plain ``ffmpeg -i clip %06d.png`` at the same size.

    python -m benchmarks.extract_vs_ffmpeg [CLIP] [--short-side 512] [--rounds 5]

Both run in turn, so that other load on the machine hits both; the best of the rounds counts. Extraction includes the
probe, hashing, fsync and the manifest; plain FFmpeg has none of that, but its default PNG settings squeeze harder.
Therefore FFmpeg also runs with the settings that extraction uses. Exits with 1 above 1.3 times plain FFmpeg.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from reel.config import parse
from reel.op import Context
from reel.store import Store
from tasks.extract import Extract, extract, prepare
from tasks.media import ffmpeg
from tasks.media.source import source_digest

LIMIT = 1.3
SAMPLE = Path(__file__).parents[1] / "data" / "source" / "sample.mp4"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("clip", type=Path, nargs="?", default=SAMPLE)
    arguments.add_argument("--short-side", type=int, default=None, help="px; without it: the clip's own size")
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    settings = parse(Extract, {"short_side": options.short_side})
    _, job = prepare(settings, options.clip)
    digest = source_digest(options.clip)
    size = ["-vf", f"scale={job.plan.width}:{job.plan.height}"]

    def ours(folder: Path) -> None:
        extract(settings, {"source": digest}, Context(Store(folder), files={"source": options.clip}))

    def plain(folder: Path, *more: str) -> None:
        command = [
            ffmpeg.binary(),
            "-v",
            "error",
            "-nostdin",
            "-i",
            str(options.clip),
            *size,
            "-fps_mode",
            "passthrough",
        ]
        subprocess.run([*command, *more, str(folder / "%06d.png")], check=True)

    def same(folder: Path) -> None:
        plain(folder, "-compression_level", "1", "-pred", "up")

    runs: dict[str, Callable[[Path], None]] = {"extract": ours, "ffmpeg": plain, "ffmpeg, same PNG settings": same}
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(options.rounds):
        for name, run in runs.items():
            with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
                started = time.perf_counter()
                run(Path(folder))
                best[name] = min(best[name], time.perf_counter() - started)
    ratio = best["extract"] / best["ffmpeg"]
    result = {
        "clip": options.clip.name,
        "frames": len(job.expected),
        "size": [job.plan.width, job.plan.height],
        "seconds": {name: round(value, 3) for name, value in best.items()},
        "ratio to plain ffmpeg": round(ratio, 2),
        "ratio to the same PNG settings": round(best["extract"] / best["ffmpeg, same PNG settings"], 2),
        "limit": LIMIT,
    }
    print(json.dumps(result, indent=2))
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
