"""Whether ``sweep.plan=true`` foretells what a sweep then takes: ten renders, forecast from three others.

    python -m benchmarks.forecast [--folder FOLDER] [compute.threads=1 ...]

Renders the sample clip three times with the embedded family, in a store of its own, in lengths and steps of their own.
Then ten further configurations (4 to 16 frames, 2 to 16 steps, one to three controls, with and without guidance, other
sizes) are planned as one sweep, and run. Prints the forecast of each beside its wall time; the bar is a factor of 1.5
for eight of ten, on an idle machine. A FOLDER is kept, and a benchmark that was stopped goes on there. Further settings
go to all renders.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runs import ROOT
from reel.history.record import RenderRecord, list_records
from reel.store import Store

BEFORE = [(5, 3), (14, 6), (9, 14)]
"""Frames and steps of the three renders that the forecast stands on."""
KEYS = ("extract.max_frames", "stylize.num_inference_steps", "control", "stylize.guidance_scale", "extract.short_side")
POINTS = [
    (4, 8, "[pose]", 4, 128),
    (16, 16, "[pose,lineart]", 3, 96),
    (8, 2, "[lineart]", 1, 144),
    (12, 4, "[pose,depth]", 5, 112),
    (6, 12, "[pose,lineart,depth]", 6, 136),
    (10, 6, "[depth]", 0.5, 160),
    (15, 10, "[tile]", 7, 120),
    (7, 15, "[lineart,depth]", 0, 64),
    (5, 5, "[pose,lineart,tile]", 2, 80),
    (13, 3, "[pose,tile]", 8, 104),
]
"""The ten configurations. They are one axis of a sweep, in which no setting may have a value twice."""
BAR, ALLOWED = 1.5, 8
ROW = re.compile(
    r"^(?P<point>\d+) .*? (?P<seconds>[\d.]+) \((?P<low>[\d.]+)-(?P<high>[\d.]+)\)(?: \+ \?)? +(?P<basis>\w+)"
)
"""A point in the plan's table."""


@dataclass(frozen=True)
class Forecast:
    """What the plan says of a point, in seconds."""

    seconds: float
    low: float
    high: float
    basis: str


@dataclass(frozen=True)
class Place:
    """Where the benchmark's renders stand, and what is set in all of them."""

    folder: Path
    settings: Sequence[str]

    def dance(self, *arguments: str) -> str:
        """Runs `rotoscope dance` in a process of its own; gives what it prints."""
        where = [f"paths.store={self.folder / 'store'}", f"paths.renders={self.folder / 'renders'}", "tracking=none"]
        command = [sys.executable, "-m", "flows.cli", "dance", *arguments, *self.settings, *where]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"dance failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def rendered(self) -> list[RenderRecord]:
        return [record for record in list_records(Store(self.folder / "store"))[0] if record.status == "done"]


def render_before(place: Place) -> None:
    """The three renders, but for those that stand in the store already."""
    configs = [record.config for record in place.rendered()]
    done = {(config["extract"]["max_frames"], config["stylize"]["num_inference_steps"]) for config in configs}
    for frames, steps in BEFORE:
        if (frames, steps) not in done:
            place.dance(f"extract.max_frames={frames}", f"stylize.num_inference_steps={steps}")


def sweep() -> list[str]:
    """Arguments of the sweep over the ten configurations."""
    axes = [f"{key}={','.join(map(str, values))}" for key, values in zip(KEYS, zip(*POINTS, strict=True), strict=True)]
    return ["-m", *axes, f"sweep.paired=[{','.join(KEYS)}]"]


def planned(place: Place) -> dict[int, Forecast]:
    """The forecast of each point; made before any of them runs, and kept."""
    kept = place.folder / "plan.txt"
    if not kept.exists():
        kept.write_text(place.dance(*sweep(), "sweep.plan=true"), "utf-8")
    rows = [match for line in kept.read_text("utf-8").splitlines() if (match := ROW.match(line))]
    if len(rows) != len(POINTS):
        raise RuntimeError(f"{kept} has a forecast for {len(rows)} of {len(POINTS)} points")
    return {
        int(row["point"]): Forecast(float(row["seconds"]), float(row["low"]), float(row["high"]), row["basis"])
        for row in rows
    }


def report(place: Place, forecasts: dict[int, Forecast]) -> int:
    """Prints forecast and wall time of each point; gives how many lie within the bar."""
    taken = {record.point: record.seconds or 0.0 for record in place.rendered() if record.sweep is not None}
    within = inside = 0
    print(f"{'frames':>6} {'steps':>5} {'controls':24} guidance  px  forecast  range          basis    wall  factor")
    for point, told in sorted(forecasts.items()):
        off = max(told.seconds / taken[point], taken[point] / told.seconds)
        within += off <= BAR
        inside += told.low <= taken[point] <= told.high
        frames, steps, control, guidance, side = POINTS[point]
        settings = f"{frames:6} {steps:5} {control:24} {guidance:8} {side:3}"
        spread = f"{told.low:.1f}-{told.high:.1f}"
        print(f"{settings} {told.seconds:9.1f}  {spread:14} {told.basis:8} {taken[point]:5.1f}  {off:.2f}")
    print(f"within a factor of {BAR}: {within} of {len(POINTS)}; within their ranges: {inside}")
    print(f"all together: {sum(one.seconds for one in forecasts.values()):.1f} s, taken {sum(taken.values()):.1f} s")
    return within


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="keeps the store, to go on where it was stopped")
    parser.add_argument("settings", nargs="*", help="of all renders, such as compute.threads=1")
    options = parser.parse_args()
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="rotoscope-forecast-"))).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    place = Place(folder, options.settings)
    render_before(place)
    forecasts = planned(place)
    place.dance(*sweep())
    within = report(place, forecasts)
    print(f"load {os.getloadavg()[0]:.1f}; the benchmark took {time.perf_counter() - started:.0f} s")
    if options.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if within >= ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
