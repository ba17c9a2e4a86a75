"""Deployments on a real Prefect server: what it refuses, and what is done about records that somebody changed there."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import signal

import pytest

from flows.serve.settings import Serve
from tests.flows.deployed import SAMPLE, WORKER, deployments, with_client

END = f"guarded_{WORKER}"
"""Of the names of this module's deployments."""
pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def served(tmp_path_factory, prefect_server):
    return deployments(tmp_path_factory.mktemp("serve"), END)


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
