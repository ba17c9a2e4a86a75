"""kill -9 at random moments: whatever was killed and when, the rerun gives the digests of an undisturbed run.

    python -m benchmarks.kill_nine --kills 50

Each round takes a fresh store and kills renders of the sample clip at random moments, spread over the whole of an
undisturbed run, until one gets through. Digests must be those of the undisturbed run, every object must verify, and no
draft may be taken for an object. Exits with 1 on the first difference.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.runs import QUICK, ROOT, command, dance, digests, server
from reel.store import Store


def kill_once(store: Path, after: float) -> bool:
    """Start a render and kill it after some seconds; False when it had ended before."""
    process = subprocess.Popen(
        command(store, QUICK), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(after)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True


def reached(store: Path) -> str:
    """The last stage whose output is in a store: where a kill struck."""
    keys = sorted((store / "keys").glob("*.json"), key=lambda path: path.stat().st_mtime)
    if not keys:
        return "before extract"

    return f"after {json.loads(keys[-1].read_bytes())['fields']['op']}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="rotoscope-kill-"))
    with server(folder / "home"):
        dance(folder / "warm", QUICK)
        started = time.perf_counter()
        dance(folder / "whole", QUICK)
        whole, expected = time.perf_counter() - started, digests(folder / "whole")
        killed, struck, rounds = 0, Counter[str](), 0
        while killed < options.kills:
            store = folder / f"round-{rounds}"
            while kill_once(store, rng.uniform(0.2, whole)):
                killed += 1
                struck[reached(store)] += 1
            dance(store, QUICK)
            found = digests(store)
            if found != expected:
                print(f"round {rounds}: digests differ: {found} instead of {expected}")
                return 1
            whole_store = Store(store)
            for digest in whole_store.digests():
                whole_store.verify(digest)
            shutil.rmtree(store)
            rounds += 1
            print(f"{killed} kills, {rounds} stores finished: all digests as expected", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    print(f"an undisturbed run takes {whole:.1f} s; kills by place: {dict(struck)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
