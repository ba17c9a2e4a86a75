"""compare: renders side by side on one page that plays them in step, with their numbers and settings.

    rotoscope compare sweep=latest
    rotoscope compare runs=[7a4ff9,9d52ed] reference=7a4ff9
    rotoscope compare filter="params.seed = '7'"

The page, compare.html, is one file that loads nothing: open it from disk, send it to somebody, or look at it in MLflow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from flows.compare.gather import gather
from flows.compare.portable import portable, without_folders
from flows.edge import text
from flows.edge.entry import run_flow
from flows.edge.exits import keeping
from flows.flow import Flow
from flows.paths import Paths
from flows.prefect_server.pages import shown_at
from flows.prefect_server.run import as_flow
from flows.render.published import guard
from reel.config import OPERATIONAL, Config, Text
from reel.errors import UserError
from reel.files import write_atomic
from reel.history.comparison import Comparison, places
from reel.history.record import RenderRecord, Role
from reel.history.recorder import new_run_id
from reel.op import Context, get
from reel.progress import progress
from reel.store import Store
from tasks.cached import Stage, call
from tasks.compare.footage import Footage, Reel, clip, find
from tasks.compare.page import Pictures, build, film_budget, label
from tasks.tracking.links import read_link
from tasks.tracking.settings import Tracking

PAGE = "compare.html"
ROLES: dict[str, Role] = {"grid.mp4": "movie", "grid.png": "sheet", PAGE: "page"}
_NO_MAPS = {"pictures": "key pictures", "unmatched": "colours unmatched"}
"""Clips that lie among a render's maps and are none, with what they are called."""


def _id(value: Any) -> Any:
    if isinstance(value, bool | float):
        raise ValueError(f"{value} is read as a number, not as a run's id: write more of the id")
    return str(value) if isinstance(value, int) else value


class Page(Config):
    """How large and how good the clips on the page are."""

    megabytes: float = Field(default=24.0, ge=1, le=500)
    """Size of the page at most (MB); MLflow shows files of up to 50 MiB."""
    max_fps: int = Field(default=30, ge=1, le=60)
    """Frames per second at most."""


class Compare(Config):
    """Settings of `compare`."""

    sweep_id: Text | None = None
    """Id of a sweep, or a part of it that fits no other; `latest`: the newest. For short: sweep=<id>."""
    runs: list[Annotated[str, BeforeValidator(_id)]] = []
    """Ids of renders, or parts of them that fit no other (`rotoscope runs`)."""
    filter: Text | None = None
    """What to look for in MLflow, in its search language."""
    reference: Annotated[str, BeforeValidator(_id)] | None = None
    """The render that the others are held against; empty: the first that is done."""
    axes: list[str] = []
    """Settings that go across and down first; the rest follows."""
    page: Page = Page()
    film: bool = True
    """Also write grid.mp4 and grid.png: the grid with its labels, without the page."""
    plots: bool = True
    """Also write plots/*.png."""
    tracking: Annotated[Tracking, OPERATIONAL]
    paths: Annotated[Paths, OPERATIONAL]

    @model_validator(mode="after")
    def _one_way(self) -> Compare:
        ways = {"sweep": self.sweep_id, "runs": self.runs, "filter": self.filter}
        asked = [name for name, value in ways.items() if value]
        if len(asked) != 1:
            what = " and ".join(asked) if asked else "nothing"
            raise ValueError(f"say what to compare, in one way: sweep=<id>, runs=[<id>,...] or filter=...; got {what}")
        return self


@dataclass(frozen=True)
class Plan:
    """What goes into the films: every clip once, however many points show it.

    Attributes:
        reels: the clips, in the order of their tiles.
        shown: what each point shows.
        fps, frames: of the films.
        short_side: of the previews, px.
    """

    reels: tuple[Reel, ...]
    shown: tuple[Pictures, ...]
    fps: Fraction
    frames: int
    short_side: int


def plan(comparison: Comparison, store: Store, page: Page) -> Plan:
    """Find all pictures and work out how large they can be.

    Raises:
        UserError: not one of the renders has pictures left.
    """
    from tasks.compare.tile_sheet import short_side

    footage = [find(store, point.record) if point.record else Footage() for point in comparison.points]
    results = [item.result for item in footage if item.result]
    if not results:
        reasons = sorted({item.missing for item in footage if item.missing}) or ["none is done"]
        raise UserError(f"no picture is left of these renders: {'; '.join(reasons[:3])}", fix="render them again")
    tiles: dict[str, int] = {}
    reels: list[Reel] = []

    def tile(reel: Reel) -> int:
        if reel.digest not in tiles:
            tiles[reel.digest] = len(reels)
            reels.append(reel)
        return tiles[reel.digest]

    numbers = [tile(item.result) if item.result else None for item in footage]
    shown = [
        Pictures(
            tile=number,
            beside=[*([("source", tile(item.source))] if item.source else []), *_maps(item, tile)],
            missing=without_folders(item.missing),
            clip=str(point.record.config.get("clip", "")) if point.record else "",
            film=told(item.result) if item.result else "",
        )
        for number, item, point in zip(numbers, footage, comparison.points, strict=True)
    ]
    fps = min(max(Fraction(reel.fps).limit_denominator(1001) for reel in results), Fraction(page.max_fps))
    frames = max(math.ceil(round(reel.count / Fraction(reel.fps).limit_denominator(1001) * fps, 6)) for reel in results)
    size = short_side([reel.size for reel in reels], frames, film_budget(page.megabytes))
    return Plan(tuple(reels), tuple(shown), fps, frames, size)


def told(reel: Reel) -> str:
    """Size, length and rate of a film, in words."""
    width, height = reel.size
    return f"{width}x{height}, {reel.count} frames at {reel.fps:.4g} fps, {reel.count / reel.fps:.3g} s"


def _maps(item: Footage, tile: Callable[[Reel], int]) -> list[tuple[str, int]]:
    return [(_NO_MAPS.get(name, f"{name} map"), tile(reel)) for name, reel in item.maps.items()]


def stages(comparison: Comparison, plan: Plan, cfg: Compare, ctx: Context) -> tuple[str, str | None]:
    """Previews, one a clip; then the page's film and the grid film of them.

    Returns:
        digests of the tile sheet and of the grid film.
    """
    from tasks.compare.preview import Preview
    from tasks.compare.tile_sheet import TileSheet

    preview = get("compare", "preview")
    settings = Preview(short_side=plan.short_side, max_fps=cfg.page.max_fps)
    tiles = {}
    with progress(len(plan.reels), "compare: previews", "clip") as bar:
        for number, reel in enumerate(plan.reels):
            frames = clip(reel, plan.short_side, ctx)
            tiles[f"tile_{number:04d}"] = call(preview, settings, {"frames": frames}, ctx).digest
            bar.update(1)
    how = TileSheet(fps=str(plan.fps), frames=plan.frames, kilobytes=film_budget(cfg.page.megabytes))
    tile_sheet = call(get("compare", "tile_sheet"), how, tiles, ctx).digest
    film = _film(comparison, plan, tiles, ctx).digest if cfg.film else None
    return tile_sheet, film


def _film(comparison: Comparison, plan: Plan, tiles: dict[str, str], ctx: Context) -> Stage:
    from tasks.compare.film import Film

    where = places(comparison)
    cells = {
        f"cell_{number:04d}": (place, f"tile_{tile:04d}")
        for number, place in where.at.items()
        if (tile := plan.shown[number].tile) is not None
    }
    keys = [axis.key for axis in comparison.axes]
    names = [label(key, keys) for key in keys]
    captions = {} if where.is_grid else {name: comparison.points[int(name[5:])].name for name in cells}
    settings = Film(
        fps=str(plan.fps),
        frames=plan.frames,
        columns=[f"{names[0]} {value}"[:200] if where.is_grid else "" for value in where.columns],
        rows=[_row(names[1:], values) for values in where.rows],
        cells={name: place for name, (place, _) in cells.items()},
        captions=captions,
    )
    return call(get("compare", "film"), settings, {name: tiles[tile] for name, (_, tile) in cells.items()}, ctx)


def _row(names: Sequence[str], values: Sequence[str]) -> str:
    return " · ".join(f"{name} {value}" for name, value in zip(names, values, strict=False))[:200]


def run(cfg: Compare) -> RenderRecord:
    """One comparison, recorded and tracked like a render.

    Raises:
        UserError: something to put right; found before any picture is read.
    """
    from tasks.media.export import check_writable
    from tasks.tracking.render import tracked

    store = Store(cfg.paths.store)
    found = gather(
        store, cfg.tracking, sweep=cfg.sweep_id, runs=cfg.runs, query=cfg.filter, axes=cfg.axes, reference=cfg.reference
    )
    comparison = portable(found, [cfg.paths.root, store.root, cfg.paths.renders, Path.cwd()])
    todo = plan(comparison, store, cfg.page)
    name = new_run_id()
    output = (cfg.paths.output or cfg.paths.renders / f"compare-{name}").absolute()
    guard(output, cfg.paths.root)
    check_writable(output)
    settings, result = cfg.model_dump(mode="json"), cfg.result_part()
    with tracked(store, cfg.tracking, "compare", settings, output=output, run=name, result=result) as recorder:
        if comparison.sweep:
            recorder.of_sweep(comparison.sweep)
        ctx = Context(store, told=recorder.stage)
        with keeping(lambda: f"{sum(stage.op == 'compare.preview' for stage in recorder.record.stages)} of the clips"):
            tile_sheet, film = as_flow(lambda: stages(comparison, todo, cfg, ctx), "compare", name, store)
        for path in write(comparison, todo, cfg, store, tile_sheet, film, output):
            recorder.output(path, ROLES.get(path.name, "plot"))
    say(recorder.record, comparison, store)
    return recorder.record


def write(
    comparison: Comparison, plan: Plan, cfg: Compare, store: Store, tile_sheet: str, film: str | None, output: Path
) -> list[Path]:
    """Write the page, the film and the plots into the output folder; returns their paths."""
    from tasks.media.export import export

    page = output / PAGE
    write_atomic(page, build(comparison, plan.shown, store.get(tile_sheet)))
    paths = [page]
    if film is not None:
        paths += export(store, film, output).values()
    if cfg.plots:
        from tasks.compare.plots import draw

        paths += draw(comparison, output / "plots")
    return paths


def say(record: RenderRecord, comparison: Comparison, store: Store) -> None:
    """Tell where everything is."""
    made = sum(not stage.reused for stage in record.stages if stage.op == "compare.preview")
    done = sum(point.status == "done" for point in comparison.points)
    print(
        f"\ncompared {len(comparison.points)} renders ({done} done) in {record.seconds:.1f} s; {made} transcoded anew"
    )
    for output in record.outputs:
        size = f"  ({text.size(output.size)})" if output.role == "page" else ""
        print(f"  {output.role:<8} {Path(record.output or '') / output.name}{size}")
    if link := read_link(store, record.run):
        print(f"  {'MLflow':<8} {shown_at(store.root, link)}")


def main(argv: Sequence[str]) -> int:
    """``sweep=<id>`` is read as ``sweep_id=<id>``: to Hydra, ``sweep`` is the group of the settings of ``-m``."""
    return run_flow(FLOW, [re.sub(r"^sweep=", "sweep_id=", word) for word in argv])


FLOW = Flow("compare", Compare, run, about=__doc__, main=main)
