"""Runs that the Prefect server takes for running though their process is gone: they would stand so on its page."""

from __future__ import annotations

import logging
import re
from typing import Any

from reel import clock
from reel.errors import UserError
from reel.history.record import RUN_ID, RenderRecord, load, record_path
from reel.history.recorder import LOST, alive
from reel.store import Store

log = logging.getLogger(__name__)
BEGINNING = 600.0
"""Seconds that a run which no deployment made may take from being known to the server to being under way."""


def close_stale(store: Store) -> None:
    """Tell the server how the runs of this store ended that it still takes for running; once a process.

    A server that does not answer is told the next time.
    """
    from prefect.context import SyncClientContext

    if store.root in _CLOSED:
        return
    _CLOSED.add(store.root)
    try:
        with SyncClientContext.get_or_create() as context:
            for run in _running(context.client):
                state = _ended(store, run)
                if state is not None:
                    context.client.set_flow_run_state(run.id, state, force=True)
    except Exception as error:  # whatever it is, the run that begins now does not depend on it
        log.debug("the Prefect server was not told of runs that have ended: %s", error)


_CLOSED: set[Any] = set()
"""Stores that were looked through."""


def _running(client: Any) -> list[Any]:
    """Runs that no deployment made and that count as running."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType

    kinds = filters.FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING])
    wanted = filters.FlowRunFilter(
        state=filters.FlowRunFilterState(type=kinds),
        deployment_id=filters.FlowRunFilterDeploymentId(is_null_=True),
    )
    found: list[Any] = client.read_flow_runs(flow_run_filter=wanted, limit=200)
    return found


def _ended(store: Store, run: Any) -> Any:
    """The state of a run that has ended; None: it goes on, or is not known here."""
    from prefect.states import Crashed

    if (record := _record(store, run.name)) is not None:
        return _state(record)
    waits = (clock.now() - run.state.timestamp).total_seconds() if run.state else 0.0
    if run.state and run.state.type == "PENDING" and waits > BEGINNING:  # killed before it had a name
        return Crashed(message="its process ended before it began")
    return None


def _record(store: Store, name: str) -> RenderRecord | None:
    """The record that a run's name ends with, if it is of this store and no process works on it."""
    id = name.rpartition(" ")[2]
    if not re.fullmatch(RUN_ID, id) or not record_path(store, id).exists() or alive(store, id):
        return None
    try:
        return load(record_path(store, id))
    except UserError:
        return None


def _state(record: RenderRecord) -> Any:
    from prefect.states import Completed, Crashed, Failed

    if record.status == "done":
        return Completed(message="told later: the server was away when the run ended")
    if record.status == "failed":
        return Failed(message=record.reason)
    return Crashed(message=record.reason or LOST)


__all__ = ["close_stale"]
