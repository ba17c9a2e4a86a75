"""The page of a bakeoff: that of a comparison, with the times and memory that its table has.

A second seed finds models and pictures of the first one ready, and a film that was broken off is made in two renders,
so how long a render took says little about its animator. What the film takes from nothing does.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flows.bakeoff.plan import Contest
from flows.bakeoff.settings import Bakeoff
from flows.bakeoff.table import Row
from flows.compare import flow as compare
from flows.compare.gather import gather
from flows.compare.portable import portable
from flows.prefect_server.run import as_flow, import_prefect
from reel.history.comparison import Comparison, Metric, Point
from reel.history.recorder import Recorder
from reel.op import Context

COSTS = {
    "seconds": ("Render", "s", "Seconds of all stages when they were computed, metrics aside"),
    "seconds_a_frame": ("Render, a frame", "s", "The same by the number of frames"),
    "starting_seconds": ("Imports and loading", "s", "What of it a second seed does not pay again"),
    "host_mib": ("Host memory", "MiB", "Most resident memory of its process"),
    "device_mib": ("Device memory", "MiB", "Most that tensors took on the card"),
}
"""Columns of the table that the page shows as numbers: name, unit, what they mean."""


def ready() -> None:
    """Import what a page takes, while others make the films for it."""
    import_prefect()
    for name in ("matplotlib.figure", "matplotlib.backends.backend_agg"):
        importlib.import_module(name)


def write(contest: Contest, found: Sequence[Row], cfg: Bakeoff, recorder: Recorder, output: Path) -> None:
    """The films on one page, and as a grid.

    Args:
        found: the table's rows.
    """
    store, manifest = contest.manifest.store, contest.manifest
    asked = with_costs(gather(store, cfg.tracking, sweep=manifest.id), found)
    comparison = portable(replace(asked, name=manifest.id), [cfg.paths.root, store.root, cfg.paths.renders, Path.cwd()])
    how = compare.Compare(sweep_id=manifest.id, page=cfg.page, tracking=cfg.tracking, paths=cfg.paths)
    todo = compare.plan(comparison, store, cfg.page)
    ctx = Context(store, told=recorder.stage)
    tiles, film = as_flow(lambda: compare.stages(comparison, todo, how, ctx), "bakeoff", recorder.run, store)
    for path in compare.write(comparison, todo, how, store, tiles, film, output):
        recorder.output(path, compare.ROLES.get(path.name, "plot"))


def with_costs(comparison: Comparison, found: Sequence[Row]) -> Comparison:
    """A comparison whose times and memory are those of the table's rows, which stand in the order of its points."""
    known = [column for column in COSTS if any(column in row.values for row in found)]
    other = [metric for metric in comparison.metrics if metric.aspect != "cost"]
    return replace(
        comparison,
        points=tuple(_priced(point, row) for point, row in zip(comparison.points, found, strict=True)),
        metrics=(*other, *map(_metric, known)),
    )


def _metric(column: str) -> Metric:
    label, unit, about = COSTS[column]
    return Metric(f"render.{column}", label, "lower", unit, about, "cost")


def _priced(point: Point, row: Row) -> Point:
    if point.record is None:
        return point
    costs = {f"render.{column}": row.values[column] for column in COSTS if column in row.values}
    return replace(point, record=point.record.model_copy(update={"metrics": {**point.record.metrics, **costs}}))
