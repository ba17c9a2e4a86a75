"""What a sweep costs beside its ops: 3 x 3 ControlNet weights over the sample clip in one process, as people run it.

    python -m benchmarks.sweep_cost --frames 16

Prints how often each op was computed and each model loaded (counted, from the records), the wall time against the sum
of the ops' times (allowed: 1.05 x the sum + 1 s a point), and what the same command takes a second time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.runs import ROOT, SPRITE, server
from reel.history.record import RenderRecord, list_records
from reel.store import Store
from tasks.sprite.clips import sampling_of

WEIGHTS = ("controls.pose.weight=0.4,0.6,0.8", "controls.lineart.weight=0.2,0.4,0.6")


def sweep(store: Path, settings: list[str]) -> float:
    """Wall seconds of one run of the sweep's command."""
    command = [sys.executable, "-m", "flows.cli", "dance", "-m", "control=[pose,lineart]", *WEIGHTS, *settings]
    command += [f"paths.store={store}", f"paths.renders={store.parent / 'renders'}"]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the sweep failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return time.perf_counter() - started


def computed(records: list[RenderRecord]) -> Counter[str]:
    return Counter(stage.op for record in records for stage in record.stages if not stage.reused)


def loads(records: list[RenderRecord]) -> Counter[str]:
    """How often each model was loaded, as the ops noted it."""
    return Counter(
        name
        for record in records
        for stage in record.stages
        if not stage.reused
        for name in stage.facts.get("loaded", ())
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--steps", type=int, default=sampling_of(SPRITE).steps)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rotoscope-sweep-"))
    settings = [f"extract.max_frames={options.frames}", f"stylize.num_inference_steps={options.steps}"]
    with server(folder / "home"):
        wall = sweep(folder / "store", settings)
        records = list_records(Store(folder / "store"))[0]
        again = sweep(folder / "store", settings)
        count = len(list_records(Store(folder / "store"))[0])
    ops = sum(stage.seconds for record in records for stage in record.stages if not stage.reused)
    points = len(records)
    allowed = 1.05 * ops + points
    size = f"{options.frames} frames, {options.steps} steps"
    print(f"{points} points, {size}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("computed: " + ", ".join(f"{op} {number}" for op, number in sorted(computed(records).items())))
    print("models loaded: " + (", ".join(f"{name} {n}" for name, n in sorted(loads(records).items())) or "not noted"))
    beside = (wall - ops) / points
    print(f"wall {wall:.1f} s; ops {ops:.1f} s; allowed {allowed:.1f} s; {beside:.2f} s a point beside the ops")
    print(f"the same command again: {again:.1f} s, {count - points} renders")
    shutil.rmtree(folder, ignore_errors=True)
    return 0 if wall <= allowed and count == points else 1


if __name__ == "__main__":
    sys.exit(main())
