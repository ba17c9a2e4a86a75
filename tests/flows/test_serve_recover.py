"""Deployments on a real Prefect server: runs that were missed, and runs that were interrupted."""

from __future__ import annotations

import asyncio
import datetime
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from flows.serve.state import State
from tests.flows.deployed import WORKER, deployments, now, with_client

END = f"recovered_{WORKER}"
"""Of the names of this module's deployments."""
pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def served(tmp_path_factory, prefect_server):
    return deployments(tmp_path_factory.mktemp("serve"), END)


@pytest.mark.parametrize(("minutes", "made_up_for"), [(2, ["tick_once", "tick_skip"]), (30, ["tick_once"])])
def test_missed_runs(served, minutes, made_up_for):
    """Three hourly runs were due while nothing was served, two of them already on the server.

    The times are reckoned from a full hour, so that the outcome is the same at any minute of the day. Two minutes late
    is late, not missed, by either policy.
    """
    from flows.serve import recover

    last = now().replace(minute=0, second=0, microsecond=0) - datetime.timedelta(hours=1)
    gone, back = last - datetime.timedelta(hours=2, minutes=30), last + datetime.timedelta(minutes=minutes)
    said: list[str] = []

    async def tries(client):
        found = {}
        for name in ("tick_skip", "tick_once"):
            one = served[1][name]
            window = {"start_time": str(gone), "end_time": str(last - datetime.timedelta(minutes=30))}
            await client._client.post(f"/deployments/{one.id}/schedule", json=window)
            for _ in range(2):  # a second start finds nothing more to do
                await recover.catch_up(client, one, gone, back, said.append)
            found[name] = await recover.runs(client, one)
            for run in found[name]:
                await client.delete_flow_run(run.id)
        return found

    found = with_client(tries)
    for name, runs in found.items():
        past = [run for run in runs if run.expected_start_time < back]
        assert len(past) == 2
        assert {run.state.type.value for run in past} == {"CANCELLED"}
        assert all("missed: was due at" in run.state.message for run in past)
        made_up = [run.state.type.value for run in runs if "missed" in run.tags]
        assert made_up == (["SCHEDULED"] if name in made_up_for else [])
        told = f"{name}_{END}: missed " + ("at" if name in made_up_for else "3 runs")
        assert any(told in line for line in said)


def test_interrupted_runs_go_on(served):
    """RUNNING without a process: again. With one: left alone. Too often: given up."""
    from prefect.states import Crashed, Running

    from flows.serve import recover

    one, state = served[1]["box"], State(served[0].paths.store)

    async def tries(client):
        runs = {
            name: await client.create_flow_run_from_deployment(one.id) for name in ("dead", "alive", "often", "oom")
        }
        for run in runs.values():
            await client.set_flow_run_state(run.id, Running(), force=True)
        for _ in range(recover.MAX_STARTS):
            await client.set_flow_run_state(runs["often"].id, Crashed(), force=True)
            await client.set_flow_run_state(runs["often"].id, Running(), force=True)
        await client.set_flow_run_state(runs["oom"].id, Crashed(), force=True)
        before = now() - datetime.timedelta(minutes=1)
        with state.rendering(str(runs["alive"].id)):
            await recover.sweep(client, [one], state, before, print, age=3600)
            assert (await client.read_flow_run(runs["dead"].id)).state.is_running()  # it may be just starting
            await recover.sweep(client, [one], state, before, print)
        after = {name: (await client.read_flow_run(run.id)).state for name, run in runs.items()}
        for run in runs.values():
            await client.delete_flow_run(run.id)
        return after

    after = with_client(tries)
    assert {name: state.type.value for name, state in after.items()} == {
        "dead": "SCHEDULED",
        "alive": "RUNNING",
        "often": "CRASHED",
        "oom": "SCHEDULED",
    }
    assert "given up" in after["often"].message


def test_a_run_that_no_process_gets_to_begin_is_given_up_with_its_reason(served):
    """The server counts runs that were begun: these stay at none, and would be started again for ever."""
    from prefect.states import Crashed

    from flows.serve import recover

    one, state = served[1]["box"], State(served[0].paths.store)

    async def tries(client):
        run = await client.create_flow_run_from_deployment(one.id)
        odd = await client.create_flow_run_from_deployment(one.id)
        before = now() - datetime.timedelta(minutes=1)
        told = []
        for _ in range(recover.MAX_STARTS + 2):
            fresh = await client.read_flow_run(run.id)
            if not fresh.state.is_crashed():
                await client.set_flow_run_state(run.id, Crashed(message="exit code 1"), force=True)
            await recover.sweep(client, [one], state, before, print)
            told.append((await client.read_flow_run(run.id)).state)
        assert (await client.read_flow_run(run.id)).run_count == 0
        odd.parameters["speed"] = 3
        await recover._again(client, one, odd, state, print)
        refused = (await client.read_flow_run(odd.id)).state
        for each in (run, odd):
            await client.delete_flow_run(each.id)
        return told, refused

    told, refused = with_client(tries)
    starts = recover.MAX_STARTS - 1
    assert [state.type.value for state in told] == ["SCHEDULED"] * starts + ["CRASHED"] * 3
    assert told[-1].message == f"given up: its process ended {recover.MAX_STARTS} times, at last with: exit code 1"
    assert refused.message == "given up: dance takes no parameter speed"


STUBBORN = """
import asyncio, os, signal, sys
from prefect.client.orchestration import get_client
from prefect.states import Running

async def main():
    async with get_client() as client:
        print("up", flush=True)
        while True:
            await client.set_flow_run_state(os.environ["PREFECT__FLOW_RUN_ID"], Running(), force=True)
            await asyncio.sleep(0.1)

signal.signal(signal.SIGTERM, signal.SIG_IGN)
asyncio.run(main())
"""


def test_a_run_whose_process_tells_the_server_of_it_to_the_last_is_left_to_be_gone_on_with(served, monkeypatch):
    """As a render does that is told to stop while it begins: its word must not be the last."""
    from flows.serve import recover, supervise

    monkeypatch.setattr(supervise, "GRACE", 0.5)
    monkeypatch.setattr(recover, "MAX_STARTS", 10_000)  # the server counts each of its words as a start
    one = served[1]["box"]
    run = with_client(lambda client: client.create_flow_run_from_deployment(one.id))
    space = {**os.environ, "PREFECT__FLOW_RUN_ID": str(run.id)}
    child = subprocess.Popen([sys.executable, "-c", STUBBORN], env=space, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "up\n"

    async def end():
        supervisor = supervise.Supervisor(served[0], [], os.environ["PREFECT_API_URL"], local=False)
        supervisor.served = [one]
        await supervisor._end(SimpleNamespace(), asyncio.create_task(asyncio.sleep(600)))

    asyncio.run(end())
    assert child.wait(10) == -signal.SIGKILL
    state = with_client(lambda client: client.read_flow_run(run.id)).state
    assert (state.type.value, state.message) == ("SCHEDULED", "interrupted; goes on from the store")
    with_client(lambda client: client.delete_flow_run(run.id))
