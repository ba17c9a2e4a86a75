"""What was missed, and what was interrupted.

Prefect makes no runs for times that passed while its server was down, and starts all those at once that were due while
nothing served them. Runs whose process is gone stay "Running" for ever.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Any

from flows.serve.register import Registered
from flows.serve.state import State, plain

GRACE = datetime.timedelta(minutes=5)
"""A run that is late by less is late, not missed."""

MAX_STARTS = 5
"""A run that was begun so often and interrupted each time (retries not counted) is given up."""

GIVEN_UP = "given up"
_SILENT = "without a word (out of memory?)"

STOPPED = "Runner is shutting down."
"""Prefect's message for runs that were under way when it was stopped."""

REFUSED = "refused: "
"""How the message of a run begins that was not started (`flows.serve.guard`)."""

Say = Callable[[str], None]


async def catch_up(client: Any, served: Registered, gone: datetime.datetime, back: datetime.datetime, say: Say) -> None:
    """Bring a deployment's runs in order after a time in which nothing was served.

    At most one run is made up for: the latest that was due, if the deployment says ``missed: once`` or if it is late
    by less than `GRACE`.

    Args:
        gone, back: that time.
    """
    from prefect.states import Cancelled, Scheduled

    wanted = served.plan.deployment
    due = sorted({date for one in wanted.schedules for date in await one.due(gone, back)})
    latest = due[-1] if due else None
    made_up = latest if latest and (wanted.missed == "once" or latest >= back - GRACE) else None
    waiting = [
        run
        for run in await runs(client, served, types=["SCHEDULED"])
        if run.auto_scheduled and run.run_count == 0 and run.state.name != "AwaitingConcurrencySlot"
    ]
    late = [run for run in waiting if run.expected_start_time and run.expected_start_time < back]
    for run in late:
        if made_up is None or abs(run.expected_start_time - made_up) > datetime.timedelta(seconds=1):
            why = f"missed: was due at {plain(run.expected_start_time)}, when nothing was served"
            await client.set_flow_run_state(run.id, Cancelled(message=why), force=True)
    paused = (await client.read_deployment(served.id)).paused
    if made_up and not paused and not await _started_since(client, served, made_up):
        key = f"missed-{served.id}-{made_up.isoformat()}"
        message = f"made up for: was due at {plain(made_up)}"
        await client.create_flow_run_from_deployment(
            served.id, state=Scheduled(message=message), idempotency_key=key, tags=["missed"]
        )
        say(f"{served.plan.name}: missed at {plain(made_up)}, starting it now")
    elif latest and not paused and made_up is None:
        say(f"{served.plan.name}: missed {len(due)} runs, the last at {plain(latest)}; missed: skip")


async def _started_since(client: Any, served: Registered, when: datetime.datetime) -> bool:
    """Whether a run that was due then, or later and already begun, exists."""
    near = when - datetime.timedelta(seconds=1)
    found = await runs(client, served, expected_after=near)
    return any(
        run.state.type != "CANCELLED" and (run.run_count > 0 or abs(run.expected_start_time - when) < GRACE)
        for run in found
        if run.expected_start_time <= datetime.datetime.now(datetime.UTC)
    )


async def sweep(
    client: Any, served: Sequence[Registered], state: State, since: datetime.datetime, say: Say, *, age: float = 0.0
) -> None:
    """Start again what was interrupted: a run whose process is gone goes on from what the store holds of it.

    Args:
        since: crashes before that are not looked at.
        age: seconds that a run must have been in its state, so that one that is just being started is left alone.
    """
    now = datetime.datetime.now(datetime.UTC)
    for one in served:
        for run in await runs(client, one, types=["RUNNING", "PENDING"]):
            if not state.is_rendering(str(run.id)) and (now - run.state.timestamp).total_seconds() >= age:
                await _again(client, one, run, state, say)
        for run in await runs(client, one, types=["CRASHED", "CANCELLED"], ended_after=since):
            if run.state.type == "CRASHED" or run.state.message == STOPPED:
                await _again(client, one, run, state, say)


async def under_way(client: Any, served: Sequence[Registered]) -> bool:
    """Whether the server takes a run of these deployments for running, or about to."""
    return any([await runs(client, one, types=["RUNNING", "PENDING"]) for one in served])


async def _again(client: Any, served: Registered, run: Any, state: State, say: Say) -> None:
    from prefect.states import Crashed, Scheduled

    given_up = run.state.type == "CRASHED" and (run.state.message or "").startswith(GIVEN_UP)
    if given_up:
        return
    await _end_subflows(client, run)
    if unknown := served.unknown(run.parameters):
        message = f"{GIVEN_UP}: {served.plan.deployment.flow} takes no parameter {', '.join(unknown)}"
        await client.set_flow_run_state(run.id, Crashed(message=message), force=True)
        say(f"{served.plan.name}: {run.name} {message}")
        return
    begun = max(run.run_count, state.restarts(str(run.id)) + 1)  # the server counts runs, not processes that end early
    if begun >= MAX_STARTS + served.plan.deployment.retries:
        why = (run.state.message or "").strip() if run.state.type == "CRASHED" else ""
        message = f"{GIVEN_UP}: its process ended {begun} times, {f'at last with: {why}' if why else _SILENT}"
        await client.set_flow_run_state(run.id, Crashed(message=message), force=True)
        state.forget_restarts(str(run.id))
        say(f"{served.plan.name}: {run.name} {message}")
        return
    state.restarted(str(run.id))
    await client.set_flow_run_state(run.id, Scheduled(message="interrupted; goes on from the store"), force=True)
    say(f"{served.plan.name}: {run.name} was interrupted; it goes on from what the store holds")


async def _end_subflows(client: Any, run: Any) -> None:
    """Close what the dead process has left open."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
    from prefect.states import Crashed

    children = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run.id]))
    for child in await client.read_flow_runs(flow_run_filter=children):
        if child.state and not child.state.is_final():
            await client.set_flow_run_state(child.id, Crashed(message="its process has ended"), force=True)


async def runs(
    client: Any,
    served: Registered,
    *,
    types: Sequence[str] | None = None,
    ended_after: datetime.datetime | None = None,
    expected_after: datetime.datetime | None = None,
) -> list[Any]:
    """Runs of a deployment, the latest due first, at most two hundred."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort

    state = types and filters.FlowRunFilterState(
        type=filters.FlowRunFilterStateType(any_=[StateType(name) for name in types])
    )
    wanted = filters.FlowRunFilter(
        deployment_id=filters.FlowRunFilterDeploymentId(any_=[served.id]),
        state=state or None,
        end_time=filters.FlowRunFilterEndTime(after_=ended_after) if ended_after else None,
        expected_start_time=filters.FlowRunFilterExpectedStartTime(after_=expected_after) if expected_after else None,
    )
    found: list[Any] = await client.read_flow_runs(
        flow_run_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=200
    )
    return found
