"""Sweeps: every point is composed and checked first, then a sweeper and a launcher of Hydra's kind run them.

The default sweeper (`flows.sweep.sweeper`) is built on the sweep's manifest (`reel.history.sweep`): the same command
started again does only what is missing, and several processes may work on one sweep. A point that fails does not stop
the others; the sweep then ends with the exit code of the first failure.
"""

from __future__ import annotations

import functools
import logging.config
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flows.config.compose import Composed, compose_points, diagnosed, with_values
from flows.config.diagnose import admitted, checked, chosen, keys_under, parse_overrides
from flows.config.engine import Engine
from flows.config.quoting import hydra_quoted, literal_overrides
from flows.config.root import Root
from flows.edge import exits
from flows.flow import Flow
from flows.sweep import axes as sweeps
from flows.sweep.point import flow_point, plain_point
from flows.sweep.settings import Sweep
from reel.config import from_home
from reel.errors import NoRoom, UserError
from reel.history.sweep import Manifest
from reel.history.sweep_files import Planned, Point
from reel.store import Store

log = logging.getLogger(__name__)

SWEEPER = "hydra_plugins.rotoscope.ManifestSweeper"
"""Class path of the sweeper that resumes (`flows.sweep.sweeper`), as Hydra knows it."""


@dataclass(frozen=True)
class Work:
    """A sweep that was composed and checked.

    Attributes:
        overrides: all of them, as Hydra takes them.
        points: settings of every point, in the manifest's order of values.
        order: numbers of the manifest's points in the order to run them.
    """

    root: Root[Any]
    settings: Sweep
    overrides: Sequence[str]
    manifest: Manifest
    points: Sequence[Composed[Any]]
    order: Sequence[int]


def sweep(engine: Engine, flow: Flow[Any], overrides: Sequence[str]) -> int:
    """Run a flow at every point that the overrides span, inside `flows.config.engine.hydra_ready`.

    Raises:
        UserError: a bad key, or settings of any point that are not valid; nothing has run then.
    """
    parsed = admitted(engine, checked(engine, overrides, multirun=True))
    base = _base(engine, parsed)
    parsed += parse_overrides(engine, _folders_at_home(base))
    if base.hydra.sweeper._target_ != SWEEPER:
        return _foreign(engine, flow.run, parsed, base)
    work = prepare(engine, parsed, base)
    logging.config.dictConfig(work.points[0].job_logging)
    if work.settings.plan:
        from flows.render.render import foresee
        from flows.sweep.plan import show

        show(work, functools.partial(foresee, flow) if flow.plan else None)
        return exits.OK
    return _run(work, engine, flow.run)


def prepare(engine: Engine, parsed: Sequence[Any], base: Any) -> Work:
    """Compose and check every point; with ``sweep.plan`` nothing is written.

    Args:
        parsed: overrides of the command line, admitted (`flows.config.diagnose.admitted`).
        base: the config composed without the axes.

    Raises:
        UserError: the first point that is not valid and how many are not; one output folder for several points.
    """
    root, settings = engine.root, sweeps.settings(base)
    parsed = [*_params(engine, parsed, base), *parsed]
    flow_part = [one for one in parsed if not sweeps.is_own(one)]
    span = sweeps.span(flow_part, settings.pairs)
    own = [one.input_line for one in parsed if sweeps.is_own(one)]
    points = check_points(engine, span, own)
    planned = [
        Planned(index=index, overrides=one.overrides, values=dict(one.values), digest=sweeps.digest(point.config))
        for index, (one, point) in enumerate(zip(span.points, points, strict=True))
    ]
    begin = Manifest.preview if settings.plan else Manifest.start
    store = Store(from_home(base.paths.store))
    manifest = begin(store, root.name, sweeps.identity(root, flow_part, settings.pairs), span.axes, planned)
    by_values = {tuple(sorted(one.values.items())): point for one, point in zip(span.points, points, strict=True)}
    ordered = [by_values[tuple(sorted(point.values.items()))] for point in manifest.planned]
    order = sweeps.run_order(manifest.axes, [point.values for point in manifest.planned])
    return Work(root, settings, [one.input_line for one in parsed], manifest, ordered, order)


def check_points(engine: Engine, span: sweeps.Span, own: Sequence[str]) -> list[Composed[Any]]:
    """Settings of all points, composed and checked.

    Args:
        own: those of the overrides that set Hydra's own part.

    Raises:
        UserError: as `prepare`.
    """
    good: list[Composed[Any]] = []
    bad: list[tuple[int, UserError]] = []
    plan = [one.overrides for one in span.points]
    for number, point in enumerate(compose_points(engine, plan, own)):
        if isinstance(point, UserError):
            bad.append((number, point))
        else:
            good.append(point)
    if bad:
        number, first = bad[0]
        raise UserError(
            f"point #{number} of the sweep: {first.message}"
            + (f"\n({len(bad)} of {len(plan)} points are not valid; nothing has run)" if len(plan) > 1 else ""),
            fix=first.fix,
        )
    outputs = [one.config.paths.output for one in good if getattr(one.config, "paths", None) is not None]
    folders = [folder for folder in outputs if folder is not None]
    if len(set(folders)) < len(folders):
        raise UserError(
            f"paths.output: {len(folders)} points of the sweep would write to the same folder {folders[0]}",
            fix="leave paths.output out: each point gets a folder of its own; hydra.sweep.dir=... moves them all",
        )
    return good


def _base(engine: Engine, parsed: Sequence[Any]) -> Any:
    """The config composed without what varies, Hydra's own part included."""
    fixed = _fixed(engine, parsed)
    groups = chosen(engine, fixed)
    picks, values = [one.input_line for one in groups], [one for one in fixed if one not in groups]
    return diagnosed(engine, lambda: with_values(engine, picks, values), [one.input_line for one in fixed])


def _fixed(engine: Engine, parsed: Sequence[Any]) -> list[Any]:
    """The overrides that do not vary, but keys that only choices bring which do: every point has those itself."""
    fixed = [one for one in parsed if not one.is_sweep_override()]
    groups = chosen(engine, fixed)
    if len(groups) == len(chosen(engine, parsed)):
        return fixed
    known = set(keys_under(engine, [one.input_line for one in groups]))
    return [
        one
        for one in fixed
        if one in groups or sweeps.is_own(one) or one.type.name != "CHANGE" or one.key_or_group in known
    ]


def _folders_at_home(base: Any) -> list[str]:
    """Overrides for folders that are written with ``~/``: Hydra itself makes the sweep's folder in one of them."""
    written = {name: folder for name, folder in base.paths.items() if str(folder).startswith("~/")}
    return [f"paths.{name}={hydra_quoted(str(from_home(folder)))}" for name, folder in written.items()]


def _params(engine: Engine, parsed: Sequence[Any], base: Any) -> list[Any]:
    """The axes that config files set (``hydra.sweeper.params``) and the command line does not."""
    params = base.hydra.sweeper.get("params") or {}
    given = {one.key_or_group for one in parsed}
    lines = [f"{key}={value}" for key, value in params.items() if key.lstrip("+~") not in given]
    if not lines:
        return []
    lines = literal_overrides(lines, engine.shape.texts, multirun=True)
    return admitted(engine, checked(engine, lines, multirun=True))


def _run(work: Work, engine: Engine, fn: Callable[[Any], Any]) -> int:
    from flows.prefect_server import servers
    from flows.prefect_server.run import one_client
    from flows.sweep import sweeper
    from tasks.tracking import render as tracking

    manifest, config = work.manifest, work.points[0].config
    if not work.settings.only_failed:
        manifest.reopen(NoRoom.__name__)
    before = manifest.points
    wanted = ["failed", "pending"] if work.settings.only_failed else ["pending"]
    _announce(work, before)
    sweeper.register()
    fixed = [one.input_line for one in _fixed(engine, parse_overrides(engine, work.overrides))]
    own = [f"hydra.sweeper.id={manifest.id}", f"hydra.sweeper.statuses=[{','.join(wanted)}]", "hydra.mode=MULTIRUN"]
    runner = sweeper.Runner(manifest, work.order, only_failed=work.settings.only_failed)
    if not runner.open():
        return _tell(work, before)
    servers.prepare(manifest.store.root)
    logged = tracking.sweeping(manifest, getattr(config, "tracking", None))
    with logged, sweeper.running(runner), one_client(), exits.keeping(lambda: _done(work)):
        engine.hydra.multirun(
            config_name=work.root.name,
            task_function=flow_point(work.root, fn, len(before)),
            overrides=[*fixed, *own],
            with_log_configuration=False,
        )
    return _tell(work, before)


def _done(work: Work) -> str:
    """How many points need not run again."""
    points = work.manifest.points
    return f"{sum(point.status == 'done' for point in points)} of {len(points)} points of sweep {work.manifest.id}"


def _announce(work: Work, points: Sequence[Point]) -> None:
    total = len(points)
    over = ", ".join(axis.name for axis in work.manifest.axes) or "nothing"
    told = [f"sweep {work.manifest.id}: {total} point{'s' * (total != 1)} over {over}"]
    counts = {name: sum(point.status == name for point in points) for name in ("done", "failed", "running")}
    known = [f"{count} {name}" for name, count in counts.items() if count]
    if known:
        told.append(f"so far {', '.join(known)}")
    if counts["failed"] and not work.settings.only_failed:
        told.append("failed ones are tried again with sweep.only_failed=true")
    print("; ".join(told), file=sys.stderr)


def _tell(work: Work, before: Sequence[Point]) -> int:
    """Say how the sweep stands; returns the exit code."""
    points = work.manifest.points
    failed = [point for point in points if point.status == "failed"]
    counts = {name: sum(point.status == name for point in points) for name in ("done", "failed", "running", "pending")}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    print(f"sweep {work.manifest.id}: {told} of {len(points)} points", file=sys.stderr)
    for point in failed:
        known = before[point.index]
        if known.status == "failed" and known.attempts == point.attempts:
            print(f"  {point.label}: failed before: {(point.reason or '').partition(chr(10))[0]}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(points)} points failed; sweep.only_failed=true tries them again", file=sys.stderr)
    if counts["running"]:
        print("another process runs the others", file=sys.stderr)
    if counts["done"] > 1:
        print(f"side by side on one page: rotoscope compare sweep={work.manifest.id}", file=sys.stderr)
    if not failed:
        return exits.OK
    told_kinds = (UserError.__name__, NoRoom.__name__)
    return exits.USER_ERROR if failed[0].state.kind in told_kinds else exits.FAILED


def _foreign(engine: Engine, fn: Callable[[Any], Any], parsed: Sequence[Any], base: Any) -> int:
    """Another sweeper picks the points: each is checked when it starts, and there is no manifest."""
    ours = [one.input_line for one in parsed if sweeps.is_sweeps(one)]
    if ours:
        raise UserError(
            f"{ours[0]}: needs the default sweeper, not {base.hydra.sweeper._target_}",
            fix="leave out hydra/sweeper, or that setting",
        )
    failed: list[BaseException] = []
    try:
        engine.hydra.multirun(
            config_name=engine.root.name,
            task_function=plain_point(engine.root, fn, failed),
            overrides=[*(one.input_line for one in parsed), "hydra.mode=MULTIRUN"],
        )
    except Exception as error:  # Hydra raises a failed point's error once all have run; in a worker it is told there
        if not failed:
            failed.append(error)
            exits.tell(error, "a point")
    if failed:
        print("sweep: not all points are done", file=sys.stderr)
        return exits.USER_ERROR if isinstance(failed[0], UserError) else exits.FAILED
    return exits.OK
