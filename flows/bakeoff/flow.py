"""bakeoff: one picture, several animators: their films, times, memory and figures side by side.

    rotoscope bakeoff picture=a.png prompt="She waves" animators=[ltx_distilled,ltx_13b] seeds=2
    rotoscope bakeoff picture=a.png prompt="She waves" animators=[ltx_distilled,ltx_13b,ltx2] seeds=2   (one is added)
    rotoscope bakeoff picture=a.png prompt="..." animators=[ltx_2b,ltx2] seconds=3 width=704 height=480

Each animator works within its own limits and in a process of its own; one that fails is a line of the table. The same
question asked again makes only what is missing. See docs/bakeoff.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

from flows.bakeoff import table
from flows.bakeoff.plan import Contest, prepare
from flows.bakeoff.run import run
from flows.bakeoff.settings import Bakeoff
from flows.compare import flow as compare
from flows.compare.gather import gather
from flows.compare.portable import portable
from flows.edge.exits import keeping
from flows.flow import Flow
from flows.prefect_server.pages import shown_at
from flows.prefect_server.run import as_flow
from flows.render.published import guard
from reel.config import FIGURES
from reel.errors import UserError
from reel.files import write_atomic
from reel.history.record import RenderRecord, list_records
from reel.history.recorder import Recorder, new_run_id
from reel.op import Context
from reel.store import Store
from tasks.tracking.links import read_link

TABLE = "bakeoff"
"""Stem of the table's files."""


def bake(cfg: Bakeoff) -> RenderRecord:
    """A whole bakeoff, as far as it is not made yet; recorded and tracked, its films under it.

    Raises:
        UserError: something to put right, before any film is begun; or not one film came of it.
    """
    from tasks.media.export import check_writable
    from tasks.tracking.render import sweeping, tracked

    store = Store(cfg.paths.store)
    contest = prepare(cfg, store)
    manifest, name = contest.manifest, new_run_id()
    output = (cfg.paths.output or cfg.paths.renders / manifest.id).absolute()
    guard(output, cfg.paths.root)
    check_writable(output)
    settings, result = cfg.model_dump(mode="json"), cfg.result_part({FIGURES})
    with (
        sweeping(manifest, cfg.tracking),
        tracked(store, cfg.tracking, "bakeoff", settings, output=output, run=name, result=result) as recorder,
        keeping(lambda: f"{manifest.counts['done']} of {len(manifest.planned)} films of {manifest.id}"),
    ):
        recorder.of_sweep(manifest.id)
        _announce(contest)
        run(contest, cfg, output)
        lines = _tables(contest, recorder, output)
        if manifest.counts["done"]:
            _page(contest, cfg, recorder, output)
    print(lines, end="")
    say(recorder.record, contest)
    return recorder.record


def _announce(contest: Contest) -> None:
    counts = {name: count for name, count in contest.manifest.counts.items() if count}
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(f"{contest.manifest.id}: {', '.join(contest.entrants)}; {told}", file=sys.stderr)
    for name, one in contest.entrants.items():
        for moved in one.moved:
            print(f"  {name:<8} {moved}", file=sys.stderr)


def _tables(contest: Contest, recorder: Recorder, output: Path) -> str:
    """Write the table, as CSV and as the Markdown that is given back."""
    store, manifest = contest.manifest.store, contest.manifest
    found = table.rows(manifest, {record.run: record for record in list_records(store)[0]})
    moved = [f"{name}: {what}" for name, one in contest.entrants.items() for what in one.moved]
    text = table.as_markdown(manifest.id, found, moved)
    for suffix, content in (("md", text), ("csv", table.as_csv(found))):
        path = output / f"{TABLE}.{suffix}"
        write_atomic(path, content.encode())
        recorder.output(path)
    return text


def _page(contest: Contest, cfg: Bakeoff, recorder: Recorder, output: Path) -> None:
    """The films on one page, and as a grid."""
    store, manifest = contest.manifest.store, contest.manifest
    found = gather(store, cfg.tracking, sweep=manifest.id)
    comparison = portable(found, [cfg.paths.root, store.root, cfg.paths.renders, Path.cwd()])
    how = compare.Compare(sweep_id=manifest.id, page=cfg.page, tracking=cfg.tracking, paths=cfg.paths)
    todo = compare.plan(comparison, store, cfg.page)
    ctx = Context(store, told=recorder.stage)
    tiles, film = as_flow(lambda: compare.stages(comparison, todo, how, ctx), "bakeoff", recorder.run, store)
    for path in compare.write(comparison, todo, how, store, tiles, film, output):
        recorder.output(path, compare.ROLES.get(path.name, "plot"))


def say(record: RenderRecord, contest: Contest) -> None:
    """Tell where everything is.

    Raises:
        UserError: not one film was made.
    """
    points = [contest.manifest.point(index) for name in contest.entrants for index in contest.points(name)]
    for output in record.outputs:
        if output.role == "page" or output.name.startswith(TABLE):
            print(f"  {output.role:<8} {Path(record.output or '') / output.name}")
    if link := read_link(contest.manifest.store, record.run):
        print(f"  {'MLflow':<8} {shown_at(contest.manifest.store.root, link)}")
    if not any(point.status == "done" for point in points):
        raise UserError(
            f"no animator made a film: {points[0].reason or points[0].status}", fix="again=true tries again"
        )


FLOW = Flow("bakeoff", Bakeoff, bake, about=__doc__)
