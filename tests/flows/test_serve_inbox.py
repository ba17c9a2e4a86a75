"""Deployments on a real Prefect server: the slot that holds runs back, and the folder that is watched."""

from __future__ import annotations

import asyncio
import os
import shutil

import pytest

from flows.serve.state import State
from tests.flows.deployed import SAMPLE, WORKER, deployments, with_client

END = f"inbox_{WORKER}"
"""Of the names of this module's deployments."""
pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def served(tmp_path_factory, prefect_server):
    return deployments(tmp_path_factory.mktemp("serve"), END)


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
        assert await runs(client) == [f"box_{END} growing.mp4"]
        shutil.copy(folder / "growing.mp4", folder / "copy.mp4")
        await looks(inbox)
        await looks(Inbox(cfg, one, state, said.append))  # as after a restart
        assert await runs(client) == [f"box_{END} growing.mp4"]
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
    assert len(state.entries(f"box_{END}")) == 1
