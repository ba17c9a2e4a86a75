"""A sweep on a real Ray cluster: two nodes on this machine, each with one GPU slot, and one of them is killed."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time

import pytest

from reel.history.sweep import Manifest
from reel.store import Store
from tests.flows.demo_runs import ROOT, ran

pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(
    not os.environ.get("ROTOSCOPE_TEST_RAY"),
    reason="a Ray cluster of two nodes wants an idle machine: ROTOSCOPE_TEST_RAY=1",
)


@pytest.fixture
def space(tmp_path, prefect_server):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROTOSCOPE_")}
    return kept | {
        "DEMO_OUT": str(tmp_path / "out.jsonl"),
        "DEMO_HOOK": "6:once",
        "ROTOSCOPE_STORE": str(tmp_path / "store"),
        "ROTOSCOPE_ROOT": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else Ray takes 127.0.0.1 for this machine's address on the network
        "RAY_agent_register_timeout_ms": "600000",  # where the machine is busy a node must not give its agents up
    }


@pytest.fixture
def cluster(space, monkeypatch):
    """A head without a slot, and two nodes with one each; their workers inherit the environment."""
    for name, value in space.items():
        monkeypatch.setenv(name, value)
    from ray._private import services
    from ray.cluster_utils import Cluster

    asked = services.get_node
    monkeypatch.setattr(services, "get_node", lambda *arguments: patiently(asked, *arguments))
    try:
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **loopback()})
        nodes = [made.add_node(num_cpus=1, resources={"gpu_slot": 1}, wait=False, **loopback()) for _ in range(2)]
        made.wait_for_nodes()
    except Exception as error:  # its own limits are fixed, and short for a machine that is busy
        pytest.skip(f"Ray's nodes do not come up here: {str(error).splitlines()[0]}")
    yield made, nodes
    made.shutdown()


def loopback():
    """Arguments of a node: where its agents' ports are not given it waits 15 s for them, and no longer."""
    names = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in names]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        ports = {name: probe.getsockname()[1] for name, probe in zip(names, probes, strict=True)}
    return {"node_ip_address": "127.0.0.1", "object_store_memory": 100 * 2**20, **ports}


def patiently(get_node, *arguments):
    """Ray itself asks for 30 s whether a node is up."""
    limit = time.monotonic() + 300
    while True:
        try:
            return get_node(*arguments)
        except RuntimeError:
            assert time.monotonic() < limit
            time.sleep(0.5)


def wait_for(condition, seconds=300.0):
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.2)
    return found


def sweep(space, tmp_path, *argv):
    command = [sys.executable, "-m", "tests.flows.demo", "-m", "hydra/launcher=ray", *argv]
    return subprocess.Popen(
        command, cwd=tmp_path, env=space, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.slow
def test_a_node_that_is_killed_loses_its_points_progress_and_nothing_else(cluster, space, tmp_path):
    import psutil

    made, nodes = cluster
    address, slot = f"hydra.launcher.address={made.address}", "hydra.launcher.resources={gpu_slot: 1}"
    output, _ = sweep(space, tmp_path, "steps=4,5", address, slot.replace("1", "2")).communicate(timeout=300)
    assert "a point needs CPU 1, gpu_slot 2, and no node of the Ray cluster has that" in output
    process = sweep(space, tmp_path, "steps=4,5,6,7,8", address, slot)
    store = Store(tmp_path / "store")
    wait_for((tmp_path / "out.jsonl.once").exists)
    found = Manifest.load(store, "latest")
    waiting = found.points[2]
    assert waiting.status == "running"
    above = {parent.pid for parent in psutil.Process(waiting.state.pid).parents()}
    [node] = [one for one in nodes if one.all_processes["raylet"][0].process.pid in above]
    wait_for(lambda: found.counts["done"] == 4)  # by the other node meanwhile
    made.remove_node(node, allow_graceful=False)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    assert [point.status for point in found.points] == ["done"] * 5
    assert [point.attempts for point in found.points] == [1, 1, 2, 1, 1]
    assert sorted(one["steps"] for one in ran(tmp_path)) == [4, 5, 6, 7, 8]
