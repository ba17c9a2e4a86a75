"""Peak memory of extract, preprocess and assemble at 1,024 frames against 64: it must not grow with the length.

    python -m benchmarks.media_memory [--frames 64 1024] [--side 480]

Each length runs in a fresh process on the sample clip, played over and over. Counted are the peak resident memory of
the Python process and that of its largest child (FFmpeg). Exits with 1 when either grows by more than 15 per cent.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from reel.config import parse
from reel.op import Context, get
from reel.store import Store
from tasks.assemble import Assemble, assemble
from tasks.extract import Extract, extract
from tasks.media import ffmpeg
from tasks.media.source import source_digest

LIMIT = 1.15
SAMPLE = Path(__file__).parents[1] / "data" / "source" / "sample.mp4"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--frames", type=int, nargs=2, default=(64, 1024))
    arguments.add_argument("--side", type=int, default=480, help="px")
    arguments.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.side)))
        return 0
    peaks = {count: in_fresh_process(count, options.side) for count in options.frames}
    short, long = (peaks[count] for count in options.frames)
    growth = {name: round(long[name] / short[name], 3) for name in short}
    print(json.dumps({"peak MiB": peaks, "growth": growth, "limit": LIMIT}, indent=2))
    return int(max(growth.values()) > LIMIT)


def in_fresh_process(count: int, side: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        clip = Path(folder) / "long.mp4"
        loop = [
            *(ffmpeg.binary(), "-v", "error", "-nostdin", "-stream_loop", "-1"),
            "-i",
            str(SAMPLE),
            "-frames:v",
            str(count),
        ]
        subprocess.run([*loop, "-c:a", "copy", "-t", str(count / 24), "-preset", "ultrafast", str(clip)], check=True)
        command = [sys.executable, "-m", "benchmarks.media_memory", "--measure", str(clip), "--side", str(side)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def measure(clip: Path, side: int) -> dict[str, float]:
    """Peak resident memory (MiB) after extraction, three maps and assembly of one clip: this process, its children."""
    context = Context(Store(clip.parent / "store"), files={"source": clip})
    digest = source_digest(clip)
    frames = extract(parse(Extract, {"short_side": side}), {"source": digest}, context)
    poses = preprocess("blazepose", context, frames=frames)
    maps = {
        "map_pose": preprocess("pose_map", context, poses=poses),
        "map_depth": preprocess("figure_depth", context, frames=frames, poses=poses),
        "map_lineart": preprocess("lineart_standard", context, frames=frames),
    }
    inputs = {"frames": frames, "original": frames, "source": digest, **maps}
    assemble(parse(Assemble, {"preset": "veryfast"}), inputs, context)
    who = {"python": resource.RUSAGE_SELF, "ffmpeg": resource.RUSAGE_CHILDREN}
    return {name: round(resource.getrusage(kind).ru_maxrss / 1024, 1) for name, kind in who.items()}


def preprocess(name: str, context: Context, **inputs: str) -> str:
    """One preprocessor at its default settings; the digest of its output."""
    op = get("preprocess", name)
    return op.fn(parse(op.config, {}), inputs, context)


if __name__ == "__main__":
    sys.exit(main())
