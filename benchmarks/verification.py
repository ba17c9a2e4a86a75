"""What checking bytes costs a first render: CPU time in SHA-256, of all that the command computes.

    python -m benchmarks.verification                             # eight small frames of the sample, four steps
    python -m benchmarks.verification extract.short_side=256      # other overrides of `dance`

All hashing is counted, that of bytes as they are written too, so what is read and checked costs less. The model's files
are hashed in the first render of a machine alone; here each render is one (a cache of its own).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.runs import QUICK, ROOT

BAR = 0.03


def timed(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """A function that adds the CPU seconds of each call, in its own thread."""

    def call(*arguments: Any, **options: Any) -> Any:
        began = time.thread_time()
        try:
            return function(*arguments, **options)
        finally:
            spent.append(time.thread_time() - began)

    return call


def render(argv: Sequence[str], into: Path) -> int:
    """Run a command in this process; before anything else is imported its hashing is put under the clock."""
    from reel import files

    spent: list[float] = []
    hashlib.file_digest = timed(hashlib.file_digest, spent)  # that of whole files
    files.sha256_bytes = timed(files.sha256_bytes, spent)
    from flows import cli

    code = cli.main(list(argv))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    whole = sum(one.ru_utime + one.ru_stime for one in used)
    into.write_text(json.dumps({"hashing": sum(spent), "calls": len(spent), "whole": whole}))
    return code


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args(argv)
    if options.into:
        return render(options.overrides, options.into)
    shares = []
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="verification-") as work:
            into = Path(work) / "found.json"
            own = ["dance", *QUICK, *options.overrides, f"paths.store={work}/store", f"paths.output={work}/out"]
            command = [sys.executable, "-m", "benchmarks.verification", "--into", str(into), *own]
            space = os.environ | {"ROTOSCOPE_CACHE": f"{work}/cache"}
            subprocess.run(command, cwd=ROOT, env=space, check=True, capture_output=True)
            found = json.loads(into.read_text())
        shares.append(found["hashing"] / found["whole"])
        seconds = f"{found['hashing']:.3f} of {found['whole']:.1f} CPU s"
        print(f"first render {number + 1}: {found['calls']} digests in {seconds}: {shares[-1]:.2%}", flush=True)
    print(f"at most {max(shares):.2%}; the bar is {BAR:.0%}")
    return int(max(shares) > BAR)


if __name__ == "__main__":
    sys.exit(main())
