"""The Prefect flows that deployments run, one for each file of conf/deployment/: ``flows.serve.served.nightly``.

Runner and workers load them by that name, in a process of their own. The settings are composed when the run begins.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prefect import Flow

from flows.config.compose import settings
from flows.config.root import Root
from flows.flow import Drop
from flows.prefect_server import lost
from flows.serve import request, slots
from flows.serve.settings import Deployment, Serve, file_of, names, read
from flows.serve.state import State
from reel.errors import UserError
from reel.files import sha256_bytes

OVERRIDES = "ROTOSCOPE_SERVE"
"""Environment variable with the overrides that `serve` was called with, a JSON list, for the processes it starts."""


AGAIN = 4
"""How often a run is begun again that the Prefect server's absence ended."""

PAUSE = 5.0
"""Seconds, times the number of tries before, that a run then waits first."""

ALONE = 10.0
"""Seconds that a run's process may take for telling the server of its end when `serve` is gone."""

log = logging.getLogger(__name__)

_made: dict[str, Flow[..., Any]] = {}
"""Flows of this process. Prefect loads them again in threads of its own, and Hydra composes in one at a time only."""


def __getattr__(name: str) -> Flow[..., Any]:
    if name in _made:
        return _made[name]
    if name.startswith("_"):
        raise AttributeError(name)
    settings = load()
    if name not in names(settings):
        raise AttributeError(f"no deployment {name!r} in {settings.folder}")
    return flow_of(settings, name)


def load() -> Serve:
    """The settings of `serve`, as the one that registered the deployments had them."""
    overrides = json.loads(os.environ.get(OVERRIDES, "[]"))
    return settings(Root("serve", Serve), overrides, literal=False).config


def flow_of(settings: Serve, name: str) -> Flow[..., Any]:
    """The Prefect flow of a deployment.

    Raises:
        UserError: its file is not as it should be.
    """
    deployment = read(settings, name)

    takes = request.target(settings, deployment.flow).drop
    drop = takes.key if takes else None

    def deployed(*, experiment: str | None = None, overrides: list[str] | None = None, **dropped: str | None) -> str:
        file = dropped.get(drop) if drop else None
        return perform(settings, name, experiment=experiment, overrides=overrides or [], dropped=file)

    deployed.__name__ = name
    deployed.__signature__ = _signature(drop)  # type: ignore[attr-defined]  # Prefect takes no other parameters
    hooks = [failure_hook(name, deployment)] if deployment.on_failure else []
    _made[name] = Flow(
        deployed,
        name=deployment.flow,
        description=deployment.description or f"{file_of(settings, name)}",
        retries=deployment.retries,
        retry_delay_seconds=deployment.retry_delay_seconds,
        persist_result=False,
        log_prints=True,
        on_failure=hooks,
        on_crashed=hooks,
    )
    return _made[name]


def _signature(drop: str | None) -> inspect.Signature:
    """Of the function that a deployment runs: experiment, overrides, and the key that a dropped file sets."""
    kinds = {"experiment": str | None, "overrides": list[str] | None, **({drop: str | None} if drop else {})}
    named = inspect.Parameter.KEYWORD_ONLY
    return inspect.Signature(
        [inspect.Parameter(name, named, default=None, annotation=kind) for name, kind in kinds.items()]
    )


def perform(
    settings: Serve, name: str, *, experiment: str | None, overrides: Sequence[str], dropped: str | None = None
) -> str:
    """One run of a deployment: check, compose, wait for the slot, render.

    Args:
        dropped: the file that was dropped.

    Returns:
        the output folder.

    Raises:
        UserError: something to put right; it is not tried again.
    """
    from prefect.runtime import flow_run

    from flows.edge.job import Job, call

    state = State(settings.paths.store)
    _not_alone(str(flow_run.id), state)
    with state.rendering(str(flow_run.id)):
        try:
            deployment = read(settings, name)
            chosen = request.target(settings, deployment.flow)
            own = _own(settings, name, deployment, chosen.drop, dropped, overrides)
            point = request.composed(
                settings, deployment, chosen, experiment=experiment, overrides=overrides, dropped=dropped, own=own
            )
            _there(point.config, chosen.drop.key if chosen.drop else "")
            for line in request.cut(point.config):
                print(line)
            job = Job(deployment.flow, point.overrides, dict(point.choices))

            def work() -> Any:
                with slots.held(deployment.slot, settings.slots.get(deployment.slot or "", 1)):
                    return call(chosen.run, point.config, job)

            done = _in_spite_of_the_server(work)
            state.forget_restarts(str(flow_run.id))
        except UserError:
            _no_retry(str(flow_run.id))
            raise
    return str(getattr(done, "output", "") or "")


def _in_spite_of_the_server(work: Callable[[], Any]) -> Any:
    """Do the work, and again where the Prefect server was gone meanwhile: what was finished is in the store.

    Prefect waits for a server that it has reached before. A client that is new when the server is away does not; and
    one that waits for its slot is told of whatever happens there as of a slot that cannot be had.
    """
    from prefect.settings import PREFECT_API_URL

    for tried in range(AGAIN):
        try:
            return work()
        except Exception as error:
            if not lost.caused(error) or not lost.answers(str(PREFECT_API_URL.value()), lost.AWAY):
                raise
            log.warning("the Prefect server was away (%s); the run is begun again", type(error).__name__)
            time.sleep(tried * PAUSE)  # it answers before all of it is up
    return work()


def _not_alone(flow_run: str, state: State) -> None:
    """Have a run's own process end soon after the one that started it, but for a render that is under way.

    Prefect would ask a server that is gone, too, for minutes to take note of the run's end. What it does not hear now,
    the next `serve` tells it.
    """
    parent = os.getppid()

    def watch() -> None:
        alone_since = float("inf")
        while time.monotonic() - alone_since < ALONE:
            time.sleep(1.0)
            idle = os.getppid() != parent and not state.is_rendering(flow_run)
            alone_since = min(alone_since, time.monotonic()) if idle else float("inf")
        os._exit(1)

    if os.environ.get("PREFECT__FLOW_RUN_ID") == flow_run:
        threading.Thread(target=watch, name="not alone", daemon=True).start()


def _own(
    settings: Serve,
    name: str,
    deployment: Deployment,
    drop: Drop | None,
    dropped: str | None,
    overrides: Sequence[str],
) -> list[str]:
    """Where this run's things lie: the store of the one that serves, and a folder named after a dropped file and what
    was said beside it."""
    own = [f"paths.{key}={getattr(settings.paths, key)}" for key in ("store", "models", "renders")]
    if deployment.watch and drop and dropped:
        path = settings.absolute(Path(dropped))
        if path.is_file() and path.is_relative_to(settings.absolute(deployment.watch.folder)):
            digest = drop.digest(path)
            if list(overrides) != deployment.overrides:
                digest = sha256_bytes("\n".join([digest, *overrides]).encode())
            own.append(f"paths.output={settings.paths.renders / name / f'{path.stem}-{digest[:8]}'}")
    return own


def _there(config: Any, key: str) -> None:
    """A source that is not there is told before the run waits for its slot, perhaps for hours."""
    from tasks.media.source import open_source

    if isinstance(source := getattr(config, key, None), Path):
        open_source(source)


def _no_retry(flow_run: str) -> None:
    """A wrong setting is as wrong the second time: tell the server to keep the failure."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import FlowRunPolicy

    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run, empirical_policy=FlowRunPolicy(retries=0, retry_delay=0))


def failure_hook(name: str, deployment: Deployment) -> Any:
    """What calls a deployment's ``on_failure`` program, as Prefect calls its hooks."""

    def tell(flow: Any, flow_run: Any, state: Any) -> None:
        facts = {
            "ROTOSCOPE_DEPLOYMENT": name,
            "ROTOSCOPE_FLOW_RUN": str(flow_run.id),
            "ROTOSCOPE_STATE": state.name,
            "ROTOSCOPE_MESSAGE": state.message or "",
        }
        subprocess.run(deployment.on_failure, env={**os.environ, **facts}, timeout=60, check=False)

    return tell
