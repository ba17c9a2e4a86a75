"""A render killed at 60 % of its denoising, for every scheduler: steps done again, digest, cost of checkpoints.

    python -m benchmarks.engine_resume --schedulers all --frames 4 --steps 20

Each render is a process of its own on the embedded family; it is killed by SIGKILL when 60 % of its steps are done, and
started again. ``redone`` is the rerun's part of all steps (to be at most 0.45), ``same`` whether both digests agree,
``cost`` the share of the denoising's time that its checkpoints took.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedulers", default="all", help="comma-separated, or all that the family works with")
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.store:
        child(args)
        return
    import yaml

    every = yaml.safe_load((ROOT / "conf" / "model" / "sprite.yaml").read_text())["schedulers"]
    for name in every if args.schedulers == "all" else args.schedulers.split(","):
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(killed(name, args, Path(folder))), flush=True)


def killed(name: str, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One scheduler: the whole render, a killed one, and its rerun."""

    def start(store: str) -> subprocess.Popen[str]:
        own = [sys.executable, "-m", "benchmarks.engine_resume", "--schedulers", name, "--store", str(folder / store)]
        own += ["--frames", str(args.frames), "--steps", str(args.steps)]
        return subprocess.Popen(own, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT)

    def read(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
        assert process.stdout is not None
        for steps, line in enumerate(process.stdout):
            if line.startswith("{"):
                return steps, json.loads(line)
        raise RuntimeError(f"{name}: the render ended without a result")

    total, whole = read(start("whole"))
    process = start("killed")
    assert process.stdout is not None
    for _ in range(-(-total * 6 // 10)):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    steps, again = read(start("killed"))
    return {
        "scheduler": name,
        "steps": total,
        "redone": round(steps / total, 3),
        "same": again["digest"] == whole["digest"],
        "resumed_at": again.get("resumed_at_step"),
        "checkpoints": whole["written"],
        "cost": round(whole["cost"], 4),
    }


def child(args: argparse.Namespace) -> None:
    """Renders, and prints a line for each step and one at the end."""
    from benchmarks.engine_meaning import Bench, pose
    from reel.store import Store
    from tasks.stylize.engine import network
    from tasks.stylize.job import render
    from tasks.stylize.job.journal import Journal

    facts: dict[str, Any] = {"written": 0, "cost": 0.0}
    save, write, predict, run = Journal.save, Journal.write, network.Network.__call__, render.run

    def timed(self: Any, *state: Any) -> None:
        began = time.perf_counter()
        save(self, *state)
        facts["cost"] += time.perf_counter() - began

    def counted(self: Any, *state: Any) -> None:
        write(self, *state)
        facts["written"] += 1

    def told(self: Any, *given: Any) -> Any:
        print("step", flush=True)
        return predict(self, *given)

    def noted(job: Any, ctx: Any, *rest: Any, **more: Any) -> Any:
        began = time.perf_counter()
        found = run(job, ctx, *rest, **more)
        facts.update(ctx.facts, seconds=time.perf_counter() - began)
        return found

    Journal.save, Journal.write, network.Network.__call__, render.run = timed, counted, told, noted  # type: ignore[assignment]
    bench = Bench(1, 20270000, args.steps, Store(args.store), None, 2)
    dancer = bench.dancer(0, args.frames)
    pictures, _ = bench.render(dancer, {"pose": pose()}, scheduler=args.schedulers)
    digest = hashlib.sha256(pictures.tobytes()).hexdigest()
    print(json.dumps({**facts, "digest": digest, "cost": facts["cost"] / facts["seconds"]}))


if __name__ == "__main__":
    main()
