"""What a search costs against a grid: pose x lineart weights of the embedded family on the sample clip.

    python -m benchmarks.search_vs_grid --store /tmp/grid                 # grid, then five searches
    python -m benchmarks.search_vs_grid --store /tmp/grid --only grid     # a kill loses one render
    python -m benchmarks.search_vs_grid --store /tmp/grid --only rank     # how well proxies order what full renders say

The grid is the 11 x 11 lattice of both weights over 0..1.2 by 0.12, each rendered in full (8 frames, 4 steps, 128 px).
A search looks at the same lattice, so that its full renders are the grid's and come from the store, and its proxies are
those of earlier seeds where they tried the same point; every one is counted all the same, whether it came from the
store or not. Counted are frame-steps denoised: one full render is 8 x 4.

The bar: over five search seeds, at 95 % or more of the grid's hypervolume each search costs at most a quarter of it.
Hypervolumes are of joint error and of 1 - probability of the prompted attributes, scaled to 0..1 by the least and the
greatest of the 121 full renders, from the reference point (1.1, 1.1). A search's is that of its finalists, by their
full renders alone; what is beyond the flicker constraint counts in neither.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.runs import server
from flows.config import compose
from flows.config.root import Root
from flows.search import plan, run
from flows.search.flow import BASE, FLOW
from flows.search.settings import Search
from flows.search.trials import evaluate
from reel.config import parse
from reel.files import write_atomic
from reel.history.recorder import begin
from reel.nested import at, placed
from reel.op import Context
from reel.search.goals import Box, Rung, Scored, front, rung
from reel.store import Store

SIDES = 11
SETTINGS = [
    *("extract.max_frames=8", "stylize.num_inference_steps=4", "tracking=none", "compute.dtype=float32"),
    "search.space={controls.pose.weight:[0,1.2,0.12],controls.lineart.weight:[0,1.2,0.12]}",
]
SEEDS = range(5)


def settings(store: Path, overrides: Sequence[str]) -> Search:
    """Checked settings of `search` for the sample clip."""
    root = Root("search", FLOW.settings)
    return compose.settings(root, [*SETTINGS, f"paths.store={store}", *overrides], literal=False).config


class Bench:
    """The grid's numbers, kept in a file beside the store: a point that is in it is never asked for again."""

    def __init__(self, store: Path, overrides: Sequence[str]) -> None:
        self.overrides = list(overrides)
        self.folder = store
        self.job = plan.prepare(BASE, settings(store, overrides), Store(store))
        self.ctx = Context(Store(store))
        self.path = store / "grid.json"
        self.known: dict[str, dict[str, float]] = json.loads(self.path.read_text()) if self.path.exists() else {}

    def points(self) -> Iterator[dict[str, float]]:
        pose, lineart = self.job.axes
        for i in range(pose.count):
            for j in range(lineart.count):
                yield {pose.key: pose.value(i), lineart.key: lineart.value(j)}

    def numbers(self, point: Mapping[str, float], level: Rung) -> dict[str, float]:
        """The numbers of a point at a rung, from the file, the store, or rendered."""
        name = json.dumps([level.passages, level.steps, sorted(point.items())])
        if name not in self.known:
            cfg = parse(BASE.settings, placed(self.job.settings, {**point, str(BASE.effort): level.steps}))
            self.known[name], _ = evaluate(BASE, cfg, level, self.ctx)
            write_atomic(self.path, json.dumps(self.known).encode())
        return self.known[name]

    def full(self) -> Rung:
        steps, count = int(at(self.job.settings, str(BASE.effort))), self.job.plan.count
        return rung("full", [range(count)], steps, count, steps)

    def grid(self) -> list[tuple[dict[str, float], dict[str, float]]]:
        """Every point of the grid with its numbers."""
        found, began = [], time.perf_counter()
        for number, point in enumerate(self.points(), 1):
            found.append((point, self.numbers(point, self.full())))
            if sys.stderr.isatty() or number % 11 == 0:
                print(f"grid {number}/{SIDES**2}  {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        return found

    def scored(self, numbers: Sequence[Mapping[str, float]], base: Mapping[str, float]) -> list[Scored]:
        """Points by their numbers, with what is beyond the constraint by the given settings' numbers."""
        goals, limits = self.job.goals, self.job.limits
        return [
            Scored(
                place,
                tuple(goal.loss(found[goal.key]) for goal in goals),
                max([0.0, *(one.violation(found[key], base[key]) for one in limits if (key := one.goal.key) in found)]),
            )
            for place, found in enumerate(numbers)
        ]

    def search(self, seed: int) -> tuple[list[dict[str, float]], float]:
        """Full numbers of a search's finalists, and what the search cost in full renders."""
        cfg = settings(self.folder, [*self.overrides, f"search.seed={seed}"])
        store = Store(self.folder)
        job = plan.prepare(BASE, cfg, store)
        recorder = begin(store, "search", cfg.model_dump(mode="json"))
        found = run.search(job, job.begin(), cfg, recorder)
        recorder.finish("done")
        return [dict(trial.values) for trial in found.finalists], found.cost


def against(bench: Bench) -> bool:
    """The table, and whether every seed is over the bar."""
    grid = [numbers for _, numbers in bench.grid()]
    base = bench.numbers(bench.job.given, bench.full())
    scored = bench.scored(grid, base)
    box = Box.around([point.losses for point in scored])
    whole = box.volume([point.losses for point in front(scored)])
    print(f"grid: {len(grid)} renders, front of {len(front(scored))}, hypervolume {whole:.4f}")
    print("| seed | cost (full renders) | of the grid | finalists | hypervolume | of the grid |")
    print("|---|---|---|---|---|---|")
    good = []
    for seed in SEEDS:
        finalists, cost = bench.search(seed)
        best = front(bench.scored(finalists, base))
        share = box.volume([point.losses for point in best]) / whole
        good.append(share >= 0.95 and cost <= SIDES**2 / 4)
        print(
            f"| {seed} | {cost:.2f} | {cost / SIDES**2:.1%} | {len(finalists)} | {share * whole:.4f} | {share:.1%} |",
            flush=True,
        )
    print(f"{sum(good)} of {len(good)} seeds at >= 95 % of the hypervolume for <= 25 % of the cost")
    return all(good)


WAYS = {
    "every other frame, as one clip": [[0, 2, 4, 6]],
    "4 far frames, each alone": [[0], [2], [5], [7]],
    "two runs of 2, as one clip": [[0, 1, 5, 6]],
    "two runs of 2, each a clip": [[0, 1], [5, 6]],
    "one run of 4": [[2, 3, 4, 5]],
    "all 8 frames": [list(range(8))],
}
"""Kinds of proxy: passages, each rendered as a clip of its own."""


def rank(bench: Bench, every: int) -> None:
    """Spearman's correlation of proxies and full renders over a part of the grid, by kind of proxy and steps."""
    from scipy.stats import spearmanr

    chosen = [point for number, point in enumerate(bench.points()) if number % every == 0]
    full = [bench.numbers(point, bench.full()) for point in chosen]
    print(
        f"{len(chosen)} points\n| proxy | steps | cost | {' | '.join(bench.job.keys)} |\n|---|---|---|"
        + "---|" * len(bench.job.keys)
    )
    for name, passages in WAYS.items():
        for steps in (1, 2, 4):
            level = rung(name, passages, steps, bench.job.plan.count, bench.full().steps)
            found = [bench.numbers(point, level) for point in chosen]
            row = []
            for key in bench.job.keys:
                pairs = [(a[key], b[key]) for a, b in zip(found, full, strict=True) if key in a]
                row.append(f"{spearmanr(*zip(*pairs, strict=True)).statistic:.2f}" if len(pairs) > 2 else "-")
            print(f"| {name} | {steps} | {level.cost:.3g} | {' | '.join(row)} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--only", choices=("grid", "rank", "all"), default="all")
    parser.add_argument("--every", type=int, default=5, help="rank: one in so many points of the grid")
    parser.add_argument("overrides", nargs="*", default=[], help="of `search`, such as search.sampler=gp")
    options = parser.parse_intermixed_args()
    store = options.store.absolute()
    store.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    budget = (
        [] if any(one.startswith("search.budget") for one in options.overrides) else [f"search.budget={SIDES**2 / 4}"]
    )
    with server(store / "server"):
        from prefect import flow

        bench = Bench(store, [*budget, *_proxy(options.overrides), *options.overrides])
        work: Mapping[str, Any] = {
            "grid": bench.grid,
            "rank": lambda: rank(bench, options.every),
            "all": lambda: against(bench),
        }
        result = flow(work[options.only], name="search_vs_grid", persist_result=False, validate_parameters=False)()
    return 0 if result is not False else 1


def _proxy(overrides: Sequence[str]) -> list[str]:
    """Half of the 8 frames in two runs: a quarter of a full render, with half of the steps."""
    usual = ["search.proxy.frames=4", "search.proxy.passages=2", "search.reduction=2"]
    return [one for one in usual if not any(other.startswith(one.partition("=")[0]) for other in overrides)]


if __name__ == "__main__":
    sys.exit(main())
