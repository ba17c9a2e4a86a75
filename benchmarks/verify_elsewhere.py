"""`rotoscope verify` in another environment: is its grade the one that the pictures themselves say?

    python -m benchmarks.verify_elsewhere diffusers==0.42.0 opencv-python-headless==4.14.0.94

Renders the sample clip with the embedded family, short and small, then verifies it with another number of threads, and
with each of the packages in a virtual environment of its own, which has that one version and takes the rest from this
one. The same render made there as any other is held against the first, frame by frame, by this script's own sums: the
grade must be what they say, and `differs` must name what was changed. The exit code is 1 where one is not.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.runs import ROOT, last_record, server
from reel.clip import Clip
from reel.store import Store

SMALL = [
    *("extract.max_frames=4", "stylize.num_inference_steps=2", "control=[pose]"),
    *("measure=none", "tracking=none", "compute.dtype=float32", "assemble.side_by_side=false", "live.every=0"),
]
GRADES = {0: "bit-identical", 3: ">= 50 dB", 4: "different"}


@dataclass(frozen=True)
class Elsewhere:
    """Another environment.

    Attributes:
        differs: what `verify` must name.
        python: its interpreter.
        settings: beside the render's own.
    """

    name: str
    differs: str
    python: Path = Path(sys.executable)
    settings: list[str] = field(default_factory=list)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.python), "-m", "flows.cli", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def environment(requirement: str, folder: Path) -> Elsewhere:
    """A virtual environment with one package of its own, everything else being this one's."""
    place = folder / re.sub(r"\W+", "-", requirement)
    venv.create(place, symlinks=True)
    python = place / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", requirement]
    subprocess.run(install, check=True)
    # Only now, or pip would take this environment's version for the other's own. Its own packages come first.
    own = Path(sysconfig.get_path("purelib", "venv", {"base": str(place), "platbase": str(place)}))
    (own / "rest.pth").write_text("\n".join(dict.fromkeys(sysconfig.get_path(one) for one in ("purelib", "platlib"))))
    return Elsewhere(requirement, f"packages.{requirement.partition('==')[0]}: ", python)


def render(where: Elsewhere, side: int, store: Path) -> Clip:
    """The frames of the render as an environment makes it."""
    settings = [*SMALL, f"extract.short_side={side}", "compute.threads=1", *where.settings]
    done = where.run("dance", *settings, f"paths.store={store}", f"paths.output={store}-out")
    if done.returncode:
        raise RuntimeError(f"{where.name}: the render failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return Clip.open(Store(store), last_record(store)["pictures"]["frames"])


def worst(one: Clip, other: Clip) -> tuple[float, float]:
    """dB of the frame that differs most, and by how much the most different number of all does (of 255)."""
    apart = one.array().astype(np.float64) - other.array()
    squares = (apart**2).mean((1, 2, 3)).max()
    return float(10 * np.log10(255**2 / squares)) if squares else float("inf"), float(np.abs(apart).max())


def graded(where: Elsewhere, side: int, then: Clip, store: Path) -> bool:
    """Verify there, and say whether the grade is right."""
    psnr, apart = worst(then, render(where, side, store.parent / re.sub(r"\W+", "-", where.name)))
    expected = 0 if psnr == float("inf") else 3 if psnr >= 50 else 4
    done = where.run("verify", "last", *where.settings, f"--store={store}")
    right = done.returncode == expected and f"differs  {where.differs}" in done.stdout
    grade, told = GRADES.get(done.returncode, "failed"), done.stdout if done.returncode in GRADES else done.stderr
    print(f"{where.name}: {grade}; a render there: {psnr:.1f} dB, {apart:.0f} of 255 at most")
    print("\n".join([*(f"  {line}" for line in told.splitlines()), "  right" if right else "  WRONG"]), flush=True)
    return right


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", metavar="NAME==VERSION", help="from the package index, a few megabytes")
    parser.add_argument("--threads", type=int, default=2, help="of the other render, which has 1; 0: none")
    parser.add_argument("--side", type=int, default=64, help="px of the frames")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rotoscope-elsewhere-"))
    count = options.threads
    threads = Elsewhere(f"{count} threads", "environment.threads: ", settings=[f"compute.threads={count}"])
    try:
        others = [*([threads] if count else []), *(environment(one, folder) for one in options.packages)]
        with server(folder / "home"):
            then = render(Elsewhere("here", ""), options.side, folder / "store")
            found = [graded(one, options.side, then, folder / "store") for one in others]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
