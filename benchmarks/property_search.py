"""A random search over every property test of the suite, for faults that the suite's fixed examples miss.

``python -m benchmarks.property_search --minutes 30`` runs all Hypothesis tests again and again, each time with another
random seed, until the minutes are over or one fails. The suite itself tries the same examples in every run
(`tests/conftest.py`); what a search finds becomes an ``@example`` or a test of its own.
"""

from __future__ import annotations

import argparse
import itertools
import os
import secrets
import subprocess
import sys
import time

from benchmarks.runs import ROOT


def files() -> list[str]:
    """Test files that hold property tests, so that a round imports no others."""
    return sorted(str(path) for path in (ROOT / "tests").rglob("test_*.py") if "@given" in path.read_text("utf-8"))


def one_round(seed: int, workers: str) -> int:
    """All property tests with one seed; pytest's exit code."""
    options = ["-m", "hypothesis", "--hypothesis-profile=search", f"--hypothesis-seed={seed}"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", workers, *options, *files()]
    return subprocess.run(command, cwd=ROOT, env={"OMP_NUM_THREADS": "1", **os.environ}).returncode


def search(minutes: float, workers: str) -> int:
    """Rounds with a seed each until the minutes are over; the exit code of the first that fails, else 0."""
    begun = time.monotonic()
    for number in itertools.count(1):
        seed = secrets.randbits(64)
        print(f"round {number}, seed {seed}", flush=True)
        if code := one_round(seed, workers):
            print(f"failed; the same again: python -m benchmarks.property_search --seed {seed}")
            return code
        if time.monotonic() - begun >= minutes * 60:
            print(f"nothing failed in {number} rounds, {(time.monotonic() - begun) / 60:.1f} minutes")
            break
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5, help="no further round begins after them")
    parser.add_argument("--workers", default="auto", help="processes, as pytest-xdist's -n")
    parser.add_argument("--seed", type=int, help="one round with this seed, to see a failure again")
    options = parser.parse_args()
    if options.seed is not None:
        return one_round(options.seed, options.workers)
    return search(options.minutes, options.workers)


if __name__ == "__main__":
    sys.exit(main())
