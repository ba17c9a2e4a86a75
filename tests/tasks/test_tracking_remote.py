"""Tracking to another place: a real MLflow server over http whose artifacts lie in an S3 bucket (moto's server)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from reel.history.recorder import as_point
from tasks.tracking.links import read_sweep_link
from tasks.tracking.render import sweeping, tracked
from tasks.tracking.settings import Tracking
from tests.tasks.test_tracking_sweep import ends, runs, start

BUCKET = "films"
pytestmark = pytest.mark.skipif(
    not os.environ.get("ROTOSCOPE_TEST_REMOTE"), reason="starts two servers of its own: ROTOSCOPE_TEST_REMOTE=1"
)


@pytest.fixture
def bucket(monkeypatch):
    """An S3 server with one bucket; clients find it by the standard variables."""
    boto3 = pytest.importorskip("boto3")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
    client.create_bucket(Bucket=BUCKET)
    yield client
    server.stop()


@pytest.fixture
def address(bucket, tmp_path):
    """A tracking server of its own, whose clients write artifacts to the bucket themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
    command += ["--no-serve-artifacts", "--default-artifact-root", f"s3://{BUCKET}/renders"]
    space = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    process = subprocess.Popen(
        command, env=space, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    limit = time.monotonic() + 300
    while not up(port):
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def up(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.mark.slow
def test_a_sweep_on_a_tracking_server_elsewhere_with_its_artifacts_in_a_bucket(store, address, bucket, tmp_path):
    tracking = Tracking(uri=address, artifacts=tmp_path / "unused", timeout=250)
    sweep, out = start(store), tmp_path / "out"
    out.mkdir()
    with sweeping(sweep, tracking):
        claim = sweep.claim(0)
        with as_point(claim), tracked(store, tracking, "dance", {}, output=out) as recorder:
            (out / "film.mp4").write_bytes(b"film")
            recorder.output(out / "film.mp4", "movie")
        claim.done()
    parent, children = runs(tracking, sweep.id)
    assert (parent.info.status, ends(children)) == ("KILLED", [("0", "FINISHED")])  # two points are missing
    assert read_sweep_link(store, sweep.id).url.startswith(f"{address}/#/experiments/")
    names = [item["Key"] for item in bucket.list_objects_v2(Bucket=BUCKET)["Contents"]]
    files = sorted(name.rpartition("/")[2] for name in names)
    assert files == ["config.yaml", "film.mp4", "identity.json", "sweep.json"]
    [film] = [name for name in names if name.endswith("clip/film.mp4")]
    assert bucket.get_object(Bucket=BUCKET, Key=film)["Body"].read() == b"film"
    assert not (tmp_path / "unused").exists()
