"""How long extraction takes in this checkout and in another one, in turn.

    python -m benchmarks.extract_speed --base DIR [--rounds 5] [--long-rounds 3] [--seconds 120]

The sample clip at its own size, and a 1080p clip of two minutes (24 a second, H.264, made here) at a short side of 256
px, each with facts that are not known yet (``cold``) and known (``warm``). Every run is a process of its own, and the
checkouts take turns, so that other load on the machine hits both. The best of the rounds counts: seconds by the clock
of `extract` alone, without imports of what both need.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tasks.media import ffmpeg

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "source" / "sample.mp4"
ONCE = """
import json, sys, tempfile, time
from pathlib import Path
from reel.config import parse
from reel.op import Context
from reel.store import Store
from tasks.extract import Extract, extract
from tasks.media.source import source_digest

clip, settings = Path(sys.argv[1]), parse(Extract, json.loads(sys.argv[2]))
took = {}
for name in ("cold", "warm"):
    with tempfile.TemporaryDirectory(dir=sys.argv[3]) as folder:
        started = time.perf_counter()
        digest = source_digest(clip)
        extract(settings, {"source": digest}, Context(Store(Path(folder)), files={"source": clip}))
        took[name] = time.perf_counter() - started
print(json.dumps(took))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long-rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=120, help="length of the 1080p clip")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        long = _long(Path(place) / "long.mp4", args.seconds)
        result = {
            "sample": _compared(SAMPLE, {}, args.base, args.rounds, place),
            "1080p": _compared(long, {"short_side": 256}, args.base, args.long_rounds, place),
        }
    print(json.dumps(result, indent=2))
    return 0


def _compared(clip: Path, settings: dict[str, int], base: Path, rounds: int, place: str) -> dict[str, object]:
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, root in (("base", base), ("here", ROOT)):
            with tempfile.TemporaryDirectory(dir=place) as cache:
                took = _once(root, clip, settings, place, cache)
            for kind, seconds in took.items():
                best[f"{name} {kind}"] = min(seconds, best.get(f"{name} {kind}", seconds))
    ratios = {kind: round(best[f"here {kind}"] / best[f"base {kind}"], 3) for kind in ("cold", "warm")}
    return {"seconds": {name: round(value, 3) for name, value in best.items()}, "ratio": ratios}


def _once(root: Path, clip: Path, settings: dict[str, int], place: str, cache: str) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPATH": str(root), "ROTOSCOPE_CACHE": cache}
    command = [sys.executable, "-P", "-c", ONCE, str(clip), json.dumps(settings), place]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=True)
    took: dict[str, float] = json.loads(done.stdout)
    return took


def _long(path: Path, seconds: int) -> Path:
    moving = f"testsrc2=s=1920x1080:r=24:d={seconds}"
    subprocess.run(
        [ffmpeg.binary(), "-v", "error", "-nostdin", "-f", "lavfi", "-i", moving, "-f", "lavfi", "-i",
         f"sine=d={seconds}", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", str(path)],
        check=True,
    )  # fmt: skip
    return path


if __name__ == "__main__":
    sys.exit(main())
