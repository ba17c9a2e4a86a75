"""Deployments on a real Prefect server: what it refuses, what was missed, what was interrupted, and the inbox."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.serve.settings import Serve
from flows.serve.state import State
from tests.flows.test_serve import settings

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "data/source/sample.mp4"

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")
"""Ends the names of deployments: the workers of a run share one server, and may share the tests of this file."""

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def served(tmp_path_factory, prefect_server):
    """Settings, and deployments as the server knows them: ticking ones of either policy, and an inbox."""
    from flows.serve import register

    folder = tmp_path_factory.mktemp("serve")
    files = folder / "deployment"
    files.mkdir()
    for policy in ("skip", "once"):
        text = f"flow: dance\nmissed: {policy}\nschedules: [{{interval: 3600}}]\n"
        (files / f"tick_{policy}_{WORKER}.yaml").write_text(text)
    (files / f"box_{WORKER}.yaml").write_text(f"flow: dance\nwatch: {{folder: {folder}/inbox, stable_seconds: 0.5}}\n")
    cfg = settings(f"folder={files}", f"paths.store={folder}/store")

    async def known() -> dict[str, register.Registered]:
        plans = register.check(cfg)
        made = [await register.deployment(cfg, plan) for plan in plans]
        return {
            plan.name.removesuffix(f"_{WORKER}"): register.registered(cfg, plan, one, await one.aapply())
            for plan, one in zip(plans, made, strict=True)
        }

    return cfg, asyncio.run(known())


def with_client(action):
    """Run an async function that takes a client of the server."""
    from prefect.client.orchestration import get_client

    async def run():
        async with get_client() as client:
            return await action(client)

    return asyncio.run(run())


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def test_the_server_refuses_what_is_forbidden_before_a_run_exists(served):
    from prefect.exceptions import PrefectHTTPStatusError

    one = served[1]["tick_skip"]

    async def tries(client):
        for parameters in (
            {"overrides": ["paths.store=/x"]},
            {"overrides": ["seed=${oc.env:HOME}"]},
            {"overrides": ["seed=1", "+x=2"]},
            {"experiment": "dance/nothing"},
            {"clip": "http://elsewhere/a.mp4"},
        ):
            with pytest.raises(PrefectHTTPStatusError) as refused:
                await client.create_flow_run_from_deployment(one.id, parameters=parameters)
            assert refused.value.response.status_code in (409, 422), refused.value
        fine = {"overrides": ["seed=1", "prompt=a, ${b}"], "experiment": "dance/traced", "clip": str(SAMPLE)}
        run = await client.create_flow_run_from_deployment(one.id, parameters=fine)
        assert run.parameters["clip"] == str(SAMPLE)
        await client.delete_flow_run(run.id)

    with_client(tries)


def test_what_the_schema_cannot_see_the_run_refuses_and_does_not_try_again(served, tmp_path):
    """A file outside the roots: the run fails at its first step, although the deployment would try three times."""
    from flows.serve import register
    from flows.serve import served as flows_served

    cfg: Serve = served[0].model_copy(update={"folder": tmp_path})
    (tmp_path / "thrice.yaml").write_text("flow: dance\nretries: 3\nretry_delay_seconds: 0\nslot: null\n")
    assert register.check(cfg)
    flow = flows_served.flow_of(cfg, "thrice")
    state = flow(clip="/etc/hostname", return_state=True)
    assert state.is_failed()
    assert "outside the allowed folders" in state.message
    run = with_client(lambda client: client.read_flow_run(state.state_details.flow_run_id))
    assert run.run_count == 1


CHANGES = {
    "entrypoint": "tests.flows.elsewhere.flow",
    "path": "/tmp",
    "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": "/tmp"}}],
    "parameters": {"experiment": None, "overrides": ["seed=1"], "clip": None},
    "enforce_parameter_schema": False,
    "parameter_openapi_schema": {"type": "object", "properties": {}},
    "job_variables": {"env": {"PYTHONPATH": "/tmp"}},
}


def change(one, **fields) -> None:
    """What anybody can do who reaches the server and may log in."""
    from prefect.client.schemas.actions import DeploymentUpdate

    with_client(lambda client: client.update_deployment(one.id, DeploymentUpdate(**fields)))


def test_what_was_registered_is_what_the_server_keeps(served):
    from flows.serve import guard

    said: list[str] = []
    for one in served[1].values():
        assert with_client(lambda client, one=one: guard.hold(client, one, said.append)) == []
    assert said == []


@pytest.mark.parametrize("field", CHANGES)
def test_a_changed_record_is_told_and_put_back(served, field):
    from flows.serve import guard

    one, said = served[1]["tick_skip"], []
    change(one, **{field: CHANGES[field]})
    assert with_client(lambda client: guard.hold(client, one, said.append)) == [field]
    [line] = said
    assert f"somebody changed this deployment on the Prefect server ({field}); it is put back" in line
    record = with_client(lambda client: client.read_deployment(one.id))
    assert guard.differences(one.record, record) == []
    assert with_client(lambda client: guard.hold(client, one, said.append)) == []


def with_failure(one, program: list[str]):
    """The same deployment, with a program that is told of failures."""
    deployment = one.plan.deployment.model_copy(update={"on_failure": program})
    return dataclasses.replace(one, plan=dataclasses.replace(one.plan, deployment=deployment))


def poll(one, flow, said: list[str]) -> None:
    """One look of the runner at what is due, as `serve` has it."""
    from flows.serve.guard import OwnRunner

    before = signal.getsignal(signal.SIGTERM)  # the runner sets its own
    try:
        runner = OwnRunner(said.append, name="rotoscope", limit=1, pause_on_shutdown=False)
        runner._deployment_registry.register_deployment(one.id, one.plan.name)
        runner.guard(one, flow)
        asyncio.run(runner.start(run_once=True))
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("changed", "asked", "why"),
    [
        ({"entrypoint": "tests.flows.elsewhere.flow"}, {}, "its deployment was changed on the server (entrypoint)"),
        (
            {"enforce_parameter_schema": False},
            {"nonsense": 1},
            "its deployment was changed on the server (enforce",
        ),
    ],
)
def test_a_run_under_a_changed_record_is_refused(served, changed, asked, why):
    from flows.serve import guard
    from flows.serve import served as entry_points

    cfg, one, said = served[0], served[1]["tick_once"], []
    told = cfg.folder.parent / f"told-{WORKER}"
    program = ["sh", "-c", f'echo "$ROTOSCOPE_DEPLOYMENT $ROTOSCOPE_MESSAGE" > {told}']
    one = with_failure(one, program)
    change(one, **changed)
    run = with_client(lambda client: client.create_flow_run_from_deployment(one.id, parameters=asked))
    poll(one, entry_points.flow_of(cfg, one.plan.name), said)
    state = with_client(lambda client: client.read_flow_run(run.id)).state
    with_client(lambda client: client.delete_flow_run(run.id))
    assert state.type.value == "FAILED"
    assert state.message.startswith(f"refused: {why}")
    assert state.message.endswith("; nothing was run")
    assert told.read_text() == f"{one.plan.name} {state.message}\n"
    assert any("it is put back" in line for line in said)
    assert guard.differences(one.record, with_client(lambda client: client.read_deployment(one.id))) == []


def test_a_run_with_a_parameter_that_does_not_exist_is_refused(served):
    """Made while the record was changed, due when it was put back."""
    from flows.serve import guard
    from flows.serve import served as entry_points

    cfg, one, said = served[0], served[1]["tick_once"], []
    change(one, enforce_parameter_schema=False)
    run = with_client(lambda client: client.create_flow_run_from_deployment(one.id, parameters={"nonsense": 1}))
    with_client(lambda client: guard.hold(client, one, said.append))
    poll(one, entry_points.flow_of(cfg, one.plan.name), said)
    state = with_client(lambda client: client.read_flow_run(run.id)).state
    with_client(lambda client: client.delete_flow_run(run.id))
    assert state.message == "refused: there is no parameter nonsense; nothing was run"


def test_a_run_is_started_with_our_entry_point_and_not_the_records(served, monkeypatch):
    """Of Prefect: what a starter is told goes before the record, whose entry point would be imported otherwise."""
    from prefect.client.schemas.objects import FlowRun
    from prefect.flow_engine import load_flow

    from flows.serve import served as entry_points
    from flows.serve.guard import OwnRunner

    cfg, one = served[0], served[1]["box"]

    async def starter():
        runner = OwnRunner(print, name="rotoscope", limit=1, pause_on_shutdown=False)
        runner.guard(one, entry_points.flow_of(cfg, one.plan.name))
        async with runner:
            poller = runner._scheduled_run_poller
            assert poller._state_proposer.propose_submitting, "all but the first step is Prefect's own"
            run = FlowRun(flow_id=one.id, deployment_id=one.id)
            hooked = await runner._hook_runner._resolve_flow(run)
            return poller._resolve_starter(run), hooked

    made, hooked = asyncio.run(starter())
    assert made._entrypoint == f"flows.serve.served.{one.plan.name}"
    assert hooked is entry_points.flow_of(cfg, one.plan.name) or hooked.name == "dance"
    monkeypatch.setenv("PREFECT__FLOW_ENTRYPOINT", made._entrypoint)
    monkeypatch.setenv("ROTOSCOPE_SERVE", json.dumps([f"folder={cfg.folder}"]))
    loaded = load_flow(FlowRun(flow_id=one.id, deployment_id=None))  # with no deployment it has no record to look at
    assert loaded.fn.__name__ == one.plan.name


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
        told = f"{name}_{WORKER}: missed " + ("at" if name in made_up_for else "3 runs")
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


def test_the_slot_is_made_and_held(served):
    from flows.serve import slots

    def taken(name: str) -> int:
        return with_client(lambda client: client.read_global_concurrency_limit_by_name(name)).active_slots

    asyncio.run(slots.make({"rotoscope-a": 2}))
    with slots.held("rotoscope-a", 2):
        assert taken("rotoscope-a") == 1
    assert taken("rotoscope-a") == 0
    with slots.held("rotoscope-unknown-to-the-server", 1):  # Prefect would wait for nothing, and say nothing
        assert taken("rotoscope-unknown-to-the-server") == 1


def test_inbox(served):
    from flows.serve import recover
    from flows.serve.inbox import Inbox

    cfg, one = served[0], served[1]["box"]
    state, said = State(cfg.paths.store), []
    folder = cfg.absolute(one.plan.deployment.watch.folder)
    folder.mkdir()

    async def looks(inbox: Inbox, times: int = 4) -> None:
        for _ in range(times):
            await inbox.look()
            await asyncio.sleep(0.3)

    async def runs(client) -> list[str]:
        return sorted(run.name for run in await recover.runs(client, one, types=["SCHEDULED"]))

    async def tries(client):
        inbox = Inbox(cfg, one, state, said.append)
        (folder / "growing.mp4").write_bytes(SAMPLE.read_bytes()[:5000])
        (folder / "notes.odt").write_text("hello")
        (folder / "text.mp4").write_text("hello")
        (folder / ".hidden.mp4").write_bytes(SAMPLE.read_bytes())
        (folder / "coming.mp4.part").write_bytes(SAMPLE.read_bytes())
        for length in (6000, 7000, 8000, 9000):  # slower than the look, for longer than stable_seconds
            (folder / "growing.mp4").write_bytes(SAMPLE.read_bytes()[:length])
            await looks(inbox, 1)
        assert not any("growing" in line for line in said), "a file that grows is left alone"
        shutil.copy(SAMPLE, folder / "growing.mp4")
        os.utime(folder / "growing.mp4", (1, 1))  # an old time of change does not make it older than it is
        await looks(inbox)
        assert await runs(client) == [f"box_{WORKER} growing.mp4"]
        shutil.copy(folder / "growing.mp4", folder / "copy.mp4")
        await looks(inbox)
        await looks(Inbox(cfg, one, state, said.append))  # as after a restart
        assert await runs(client) == [f"box_{WORKER} growing.mp4"]
        [run] = await recover.runs(client, one, types=["SCHEDULED"])
        assert run.parameters["clip"] == str(folder / "growing.mp4")
        await client.delete_flow_run(run.id)  # the server has lost its database
        await Inbox(cfg, one, state, said.append).follow(client)
        assert len(await runs(client)) == 1

    with_client(tries)
    assert sorted(path.name for path in folder.iterdir()) == [
        ".hidden.mp4", "coming.mp4.part", "copy.mp4", "growing.mp4", "notes.odt", "text.mp4",
    ]  # fmt: skip
    text = "\n".join(said)
    assert "notes.odt is left alone: matches none of" in text
    assert "text.mp4 is left alone" in text
    assert "copy.mp4 holds what was taken before" in text
    assert "hidden" not in text
    assert "coming" not in text
    assert len(state.entries(f"box_{WORKER}")) == 1
