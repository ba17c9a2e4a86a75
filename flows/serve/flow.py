"""serve: renders on a schedule and out of watched folders, as conf/deployment/*.yaml say.

    rotoscope serve                              all deployments, until Ctrl-C
    rotoscope serve deployments=[nightly]        one of them
    rotoscope serve check=true                   read and check everything, and stop there
    rotoscope serve work_pool=gpu                hand the runs to a work pool's workers

The Prefect server is the one that PREFECT_API_URL names, or the project's own (`rotoscope up`), started if need be.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flows.edge import exits
from flows.edge.entry import run_flow
from flows.edge.job import current
from flows.edge.text import table
from flows.flow import Flow
from flows.prefect_server import servers
from flows.serve import request
from flows.serve.settings import Serve
from reel.errors import UserError

if TYPE_CHECKING:
    from flows.serve.register import Plan

_served: list[int] = []
"""Exit code of a process that has served; what `_leave` goes by."""


def run(cfg: Serve) -> None:
    """Serve deployments until Ctrl-C or SIGTERM.

    Raises:
        UserError: a deployment that is wrong, another `serve` on this store, or a Prefect server that does not answer.
    """
    from flows.serve import register, served
    from flows.serve.state import State

    if current().num is not None:
        raise UserError("serve: takes no -m; it serves all deployments at once", fix="deployments=[a,b]")
    plans = register.check(cfg)
    if cfg.check:
        _show(plans)
        return
    os.environ[served.OVERRIDES] = json.dumps(list(current().overrides))
    with State(cfg.paths.store).sole():
        _serve(cfg, plans)


def _serve(cfg: Serve, plans: Sequence[Plan]) -> None:
    """Find or start the server, say what is served, and serve in a second thread until this one is interrupted."""
    from prefect.settings import temporary_settings

    from flows.serve.api_server import check_pool, reach, start_local, unreachable
    from flows.serve.supervise import Supervisor, say

    own = servers.running(cfg.paths.store, "prefect")
    url = os.environ.get("PREFECT_API_URL")
    local = url is None or (own is not None and own.is_at(url))
    os.environ["PREFECT_API_URL"] = url = start_local(cfg.paths.store, say) if url is None or local else url
    with temporary_settings(reach(url)):
        if why := asyncio.run(unreachable()):
            raise UserError(
                f"the Prefect server at {url} does not answer ({type(why).__name__}: {str(why) or 'no answer'})",
                fix="start it, or put PREFECT_API_URL right; without that variable serve starts a server of its own",
            )
        if cfg.work_pool:
            asyncio.run(check_pool(cfg.work_pool))
    _served[:] = [exits.FAILED]
    _show(plans)
    print(f"Prefect: {url.removesuffix('/api')}   {'' if cfg.work_pool else 'stop with Ctrl-C'}", flush=True)
    supervisor = Supervisor(cfg, plans, url, local=local)
    failed: list[BaseException] = []
    thread = threading.Thread(target=supervisor.run, args=(failed,), name="serve", daemon=True)
    thread.start()
    try:
        while not supervisor.over.wait(0.5):  # Python 3.11 takes a thread for ended whose `join` is interrupted
            pass
    except KeyboardInterrupt:
        print("\nstopping; what is under way goes on from the store at the next start", file=sys.stderr, flush=True)
        supervisor.stop()
        while not supervisor.over.wait(0.5):  # a second Ctrl-C ends this wait
            supervisor.stop()  # the first was too early where it had not begun to serve
    if failed:
        raise failed[0]


def _show(plans: Sequence[Plan]) -> None:
    """What is served, and when next."""
    rows = []
    for plan in plans:
        wanted = plan.deployment
        when = [one.text for one in wanted.schedules]
        when += [f"watches {wanted.watch.folder}"] if wanted.watch else []
        dates = [asyncio.run(one.next()) for one in wanted.schedules]
        due = [date for date in dates if date]
        for number, (one, date) in enumerate(zip(wanted.schedules, dates, strict=True)):
            if date is None:
                told = f"{plan.file}: schedules.{number}: {one.text} is over: it starts nothing any more"
                print(f"warning: {told}", file=sys.stderr, flush=True)
        following = f"{min(due).astimezone():%a %Y-%m-%d %H:%M:%S}" if due else "never" if dates else ""
        rows.append((f"{wanted.flow}/{plan.name}", wanted.experiment or "", following, "; ".join(when) or "by hand"))
    print(table(rows, ("deployment", "experiment", "next", "when")), flush=True)
    for plan in plans:
        for line in request.cut(plan.point.config):
            print(f"{plan.name}: {line}", flush=True)


def main(argv: Sequence[str]) -> int:
    """``rotoscope serve``."""
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO")  # a run's log belongs on the server's page
    atexit.register(_leave)  # before Prefect is imported: what it does at the end comes first
    code = run_flow(FLOW, argv)
    if _served:
        _served[:] = [code]
    return code


def _leave() -> None:
    """End without Python's own clean-up.

    Prefect's daemon threads live to the end, and one that wakes while Python takes itself apart is ended by force, at
    times within compiled code. `serve` was seen to abort so, with all its work done and told.
    """
    if _served:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_served[0])


FLOW = Flow(
    "serve",
    Serve,
    run,
    about=__doc__,
    examples=("rotoscope serve check=true", "rotoscope serve deployments=[nightly,inbox]"),
    main=main,
)
