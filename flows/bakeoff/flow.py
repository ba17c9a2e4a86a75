"""bakeoff: one picture, several animators: their films, times, memory and figures side by side.

    rotoscope bakeoff picture=a.png prompt="She waves" animators=[ltx_distilled,ltx_13b] seeds=2
    rotoscope bakeoff picture=a.png prompt="She waves" animators=[ltx_distilled,ltx_13b,ltx2] seeds=2   (one is added)
    rotoscope bakeoff picture=a.png prompt="..." animators=[ltx_2b,ltx2] seconds=3 width=704 height=480
    rotoscope bakeoff picture=a.png prompt="..." animators=[ltx_2b,sd15]   (AnimateDiff, held to the picture)

Each animator works within its own limits and in a process of its own; one that fails is a line of the table. The same
question asked again makes only what is missing. See docs/bakeoff.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from flows.bakeoff import page, table
from flows.bakeoff.plan import Contest, prepare
from flows.bakeoff.processes import Processes
from flows.bakeoff.run import run
from flows.bakeoff.settings import Bakeoff
from flows.edge.exits import keeping
from flows.flow import Flow
from flows.prefect_server.pages import shown_at
from flows.render.published import guard
from reel.config import FIGURES
from reel.errors import UserError
from reel.files import write_atomic
from reel.history.record import RenderRecord, list_records
from reel.history.recorder import Recorder, new_run_id
from reel.store import Store
from tasks.tracking.links import read_link

TABLE = "bakeoff"
"""Stem of the table's files."""


def bake(cfg: Bakeoff) -> RenderRecord:
    """A whole bakeoff, as far as it is not made yet; recorded and tracked, its films under it.

    Raises:
        UserError: something to put right, before any film is begun; or not one film came of it.
    """
    store = Store(cfg.paths.store)
    with Processes(store.root, page.ready) as processes:
        return _baked(cfg, store, processes)


def _baked(cfg: Bakeoff, store: Store, processes: Processes) -> RenderRecord:
    from tasks.media.export import check_writable
    from tasks.tracking.render import sweeping, tracked

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
        run(contest, cfg, output, processes.do)
        found = table.rows(manifest, {record.run: record for record in list_records(store)[0]})
        lines = _tables(contest, found, recorder, output)
        if manifest.counts["done"]:
            page.write(contest, found, cfg, recorder, output)
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


def _tables(contest: Contest, found: Sequence[table.Row], recorder: Recorder, output: Path) -> str:
    """Write the table, as CSV and as the Markdown that is given back."""
    moved = [f"{name}: {what}" for name, one in contest.entrants.items() for what in one.moved]
    text = table.as_markdown(contest.manifest.id, found, moved)
    for suffix, content in (("md", text), ("csv", table.as_csv(found))):
        path = output / f"{TABLE}.{suffix}"
        write_atomic(path, content.encode())
        recorder.output(path, "table")
    return text


def say(record: RenderRecord, contest: Contest) -> None:
    """Tell where everything is.

    Raises:
        UserError: not one film was made.
    """
    points = [contest.manifest.point(index) for name in contest.entrants for index in contest.points(name)]
    for output in record.outputs:
        if output.role in ("page", "table"):
            print(f"  {output.role:<8} {Path(record.output or '') / output.name}")
    if link := read_link(contest.manifest.store, record.run):
        print(f"  {'MLflow':<8} {shown_at(contest.manifest.store.root, link)}")
    if not any(point.status == "done" for point in points):
        raise UserError(
            f"no animator made a film: {points[0].reason or points[0].status}", fix="again=true tries again"
        )


FLOW = Flow("bakeoff", Bakeoff, bake, about=__doc__)
