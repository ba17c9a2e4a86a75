"""A render, whatever its flow: checked, run, exported, measured, recorded, tracked; or foreseen, computing nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from flows.edge import text
from flows.edge.exits import keep_wish_to_stop, keeping
from flows.edge.job import current
from flows.flow import Drop, Flow, HandsOver, RenderPlan
from flows.prefect_server.pages import shown_at
from flows.prefect_server.run import as_flow
from flows.prefect_server.servers import look
from flows.render import locks, measures, past
from flows.render.published import guard, is_published
from flows.render.settings import Looking, Rendering
from reel.config import FIGURES
from reel.errors import UserError
from reel.history.lock import NAME as LOCK
from reel.history.record import RenderRecord, Role, StageRecord
from reel.history.recorder import Recorder, new_run_id
from reel.live import PREVIEW, Live, read_progress
from reel.op import Context
from reel.store import Store
from reel.whole import Coming, short, telling, whole
from tasks.cached import Foreseen, Stage, dry_run, sound
from tasks.live.terminal import known
from tasks.networks.journal import unfinished
from tasks.tracking.links import read_link

R = TypeVar("R", bound=Rendering)

ROLES: dict[str, Role] = {"movie": "movie", "contact_sheet": "sheet", "map_preview": "preview"}
"""What a reader takes an exported file for, by its stem."""


def renders(
    name: str,
    settings: type[R],
    plan: Callable[[R, Store], RenderPlan],
    *,
    about: str | None,
    opening: Callable[[R], Iterable[tuple[str, str]]] | None = None,
    drop: Drop | None = None,
    effort: str | None = None,
    examples: Sequence[str] = (),
) -> Flow[R]:
    """The flow of that name whose run is the render that ``plan`` works out; see `flows.flow.Flow`.

    Args:
        opening: what it says first, as `say_first`.
    """
    run = functools.partial(render, name, plan, opening)
    return Flow(name, settings, run, about=about, plan=plan, drop=drop, effort=effort, examples=examples)


def render(
    name: str,
    plan: Callable[[R, Store], RenderPlan],
    opening: Callable[[R], Iterable[tuple[str, str]]] | None,
    cfg: R,
) -> RenderRecord:
    """One render, recorded and tracked from start to end.

    Args:
        name: of the flow.
        plan: checks the settings and works the render out.
        opening: what is said first, before that; None: nothing.

    Raises:
        UserError: something to put right; found before any model loads wherever that is possible.
    """
    from tasks.media.export import check_writable
    from tasks.tracking.render import tracked

    if opening is not None and current().num in (None, 0):
        say_first(name, opening(cfg))
    store = Store(cfg.paths.store)
    todo = plan(cfg, store)
    run = new_run_id()
    output = cfg.paths.output or cfg.paths.renders / run
    guard(output, cfg.paths.root)
    check_writable(output)
    settings, result = cfg.model_dump(mode="json"), cfg.result_part({FIGURES})
    title = cfg.name or None
    with (
        tracked(store, cfg.tracking, name, settings, output=output, run=run, title=title, result=result) as recorder,
        looked_at(cfg.live, store, run, output) as live,
        keeping(lambda: kept(store, recorder.record, live)),
    ):
        ctx = Context(store, cfg.compute, run=run, told=functools.partial(_tell, recorder), live=live)

        def everything() -> None:
            keep_wish_to_stop()
            recorder.sources({name: source.digest for name, source in todo.sources.items()})
            made = todo.draw(ctx)
            recorder.pictures(**made.pictures)
            _hand_over(todo.assemble(made, ctx), name, cfg, recorder)  # before measuring, which may fail
            measures.run(todo.measures, made, ctx)
            measures.record(store, recorder)
            if isinstance(todo, HandsOver):
                todo.hand_over(made, ctx, recorder)

        found = dry(todo, ctx)
        there = all_there(found, store)
        if not there and all(one.stage.reused for one in found):
            found = dry(todo, ctx)  # what is damaged is out of the way now, and seen to be missing
        if there:
            with dry_run(found), recorder.at_once():
                everything()
        else:
            _check_writable(store, found)
            ctx = dataclasses.replace(ctx, say=say_line)
            up = look() is not None
            recorder.server(up=up)
            with announced(name, found, store, server=up) as seconds:
                live.expect(seconds)
                as_flow(everything, name, run, store)
    figures = measures.lines(todo.measures, list(measures.results(store, recorder.record)))
    say(recorder.record, cfg, figures)
    return recorder.record


def _check_writable(store: Store, found: Sequence[Foreseen]) -> None:
    """Raises:
    UserError: the store takes nothing, and not all of a render is in it.
    """
    if not store.writable:
        raise UserError(
            f"paths.store: {store.root} is read-only, and not all of this render is in it; missing: "
            f"{', '.join(sorted({one.stage.op for one in found if not one.stage.reused})) or 'whole bytes'}",
            fix="make it writable, or copy it and render with paths.store=<the copy>",
        )


def say_first(name: str, lines: Iterable[tuple[str, str]]) -> None:
    """Say what a render is about, on stderr, each line as soon as it is known."""
    for number, line in enumerate(lines):
        if number == 0:  # and not above an error about the clip
            print(name, file=sys.stderr)
        say_line(*line)


def say_line(what: str, told: str) -> None:
    """A line for the person who waits, on stderr; a warning as `--quiet` knows one."""
    if what == "warning":
        return print(f"warning: {told}", file=sys.stderr, flush=True)
    print(f"  {what:<8} {told}", file=sys.stderr, flush=True)


def _tell(recorder: Recorder, stage: Stage) -> None:
    """Note a finished stage, and say so where a render tells how far it is."""
    recorder.stage(stage)
    if (render := whole()) is not None:
        render.end(stage.op, reused=stage.reused)


def foresee(flow: Flow[R], cfg: R) -> list[Foreseen]:
    """The stages of a render with what is cached told from what is to be computed; computes nothing.

    Raises:
        UserError: as `render`, before anything would be computed.
    """
    assert flow.plan is not None
    store = Store(cfg.paths.store)
    return dry(flow.plan(cfg, store), Context(store, cfg.compute))


@contextlib.contextmanager
def looked_at(how: Looking, store: Store, run: str, output: Path) -> Iterator[Live]:
    """What a render tells those who look on, for as long as it works; the film takes the picture's place."""
    live = Live(store, run, output.absolute(), every=how.every, terminal=known(how.terminal))
    try:
        yield live
    except BaseException:
        live.close(done=False)
        raise
    live.close(done=True)


def kept(store: Store, record: RenderRecord, live: Live) -> str:
    """What a render that is broken off need not do again, in words."""
    told, at = [], read_progress(store, record.run)
    if (steps := unfinished(store).get(record.run)) is not None:
        told.append(
            f"{steps[0]} of {at.total} denoising steps" if at and at.stage == "denoise" else f"{steps[0]} steps"
        )
    if made := list(dict.fromkeys(short(stage.op) for stage in record.stages if not stage.reused)):
        told.append(f"finished stages: {', '.join(made)}")
    if (picture := live.folder / PREVIEW).is_file():
        told.append(f"the clip as it stood: {picture}")
    return "; ".join(told)


def dry(todo: RenderPlan, ctx: Context) -> list[Foreseen]:
    """The stages of a plan, none of which is computed."""
    quiet = dataclasses.replace(ctx, told=None, live=None, say=None)
    with dry_run() as found:
        made = todo.draw(quiet)
        todo.assemble(made, quiet)
        measures.run(todo.measures, made, quiet)
    return found


def all_there(found: Sequence[Foreseen], store: Store) -> bool:
    """Whether a render is wholly in the store, every byte of it: then it needs no Prefect, see docs/adr/0007."""
    return all(one.stage.reused for one in found) and all(sound(store, one.stage.digest) for one in found)


@contextlib.contextmanager
def announced(
    name: str, found: Sequence[Foreseen], store: Store, *, server: bool | None = None
) -> Iterator[float | None]:
    """Say on stderr what a render computes and how long that takes, as far as past runs tell; inside, how far it is.

    A point of a sweep has no lines of its stages: what all points share is taken from the store at each.

    Args:
        server: whether a Prefect server is up; None: not known.

    Yields:
        the seconds that it takes; None: nobody knows.
    """
    from reel.estimate import line
    from reel.forecast import History
    from tasks.cached import used

    coming = [one for one in found if not one.stage.reused]
    estimate = History(store).estimate(name, coming, used(), server=server)
    swept = current().num is not None
    if not swept:
        say_line("to do", ", ".join(dict.fromkeys(short(one.stage.op) for one in coming)))
    if told := line(estimate, text.duration):
        say_line("time", told)
    stages = [Coming(call.op, call.seconds if call.runs else None) for call in estimate.calls]
    with telling(stages, text.duration, (lambda line: None) if swept else None):
        yield None if estimate.unknown else estimate.seconds


def _hand_over(digest: str, name: str, cfg: Rendering, recorder: Recorder) -> None:
    """Export a render's files and its settings; the very same that an earlier render's folder holds stay there."""
    store = recorder.store
    if cfg.paths.output is None and (known := past.of_files(store.root, digest, cfg.paths.renders)) is not None:
        folder = Path(known.output or "")
        recorder.move(folder)
        for one in known.outputs:
            recorder.output(folder / one.name, one.role)
        if not (folder / past.SETTINGS).exists():
            recorder.output(past.write_settings(folder, name, cfg))
        if not (folder / LOCK).exists():
            recorder.output(locks.write(folder, store, recorder.record, type(cfg)))
        return
    output = Path(recorder.record.output or "")
    publish(store, digest, output, recorder)
    if not is_published(output, cfg.paths.root):  # what DVC keeps has its settings in conf/experiment/
        recorder.output(past.write_settings(output, name, cfg))
        recorder.output(locks.write(output, store, recorder.record, type(cfg)))


def publish(store: Store, digest: str, output: Path, recorder: Recorder) -> None:
    """Copy a render's files to the output folder and note them in the record."""
    from tasks.media.export import export

    for name, path in export(store, digest, output).items():
        recorder.output(path, ROLES.get(name.partition(".")[0], "other"))


def say(record: RenderRecord, cfg: Rendering, figures: Iterable[str]) -> None:
    """Tell whether anything was computed, what was measured, and last of all where everything is."""
    computed = [stage.op for stage in record.stages if not stage.reused]
    if computed:
        print(f"\nrendered in {record.seconds:.1f} s; computed: {counted(computed)}")
        print(f"reused: {counted(stage.op for stage in record.stages if stage.reused) or 'nothing'}")
    else:
        print(f"\nnothing rendered anew: all {len(record.stages)} stages came from the store ({record.seconds:.1f} s)")
    for line in figures:
        print(f"  {'metric':<8} {line}")
    if cfg.compute.profile:
        print(f"  {'profile':<8} {profile(record.stages)}")
    print(f"  {'run':<8} {record.run}  (rotoscope why {record.run})")
    if link := read_link(Store(cfg.paths.store), record.run):
        print(f"  {'MLflow':<8} {shown_at(cfg.paths.store, link)}")
    for output in sorted(record.outputs, key=lambda one: one.role == "movie"):
        if output.role != "other":
            print(f"  {output.role:<8} {Path(record.output or '') / output.name}")


def counted(names: Iterable[str]) -> str:
    """Names in the order in which they come, each once: ``animate.embed ×4, film.cut``."""
    return ", ".join(name if count == 1 else f"{name} ×{count}" for name, count in Counter(names).items())


def profile(noted: Sequence[StageRecord]) -> str:
    """Where the denoising's time went, the longest first, as ``compute.profile`` had it measured."""
    for stage in noted:
        if seconds := stage.facts.get("profile_seconds"):
            longest = sorted(seconds.items(), key=lambda kind: -kind[1])
            parts = (f"{kind} {took:.1f} s ({took / sum(seconds.values()):.0%})" for kind, took in longest)
            return f"{', '.join(parts)}{' when it was computed' if stage.reused else ''}"
    return "nothing measured: what came from the store was computed without compute.profile"
