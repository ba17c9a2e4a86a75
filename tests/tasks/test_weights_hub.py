"""Hub sources through the real hub client against a hub on loopback. Each case is a process, as the client reads its
settings at import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reel.models.source import ModelSource
from tasks.weights.hub import wanted
from tests.tasks.fake_hub import FakeHub, serving

ROOT = Path(__file__).resolve().parents[2]
CALL = """
import json, sys
from reel.errors import UserError
from reel.models.source import ModelSource
from tasks.weights import fetch as weights
from tasks.weights import files as weights_files
retries = weights_files.with_retries
weights.weights_hub.with_retries = lambda fetch: retries(fetch, first_wait=0.01)
source = ModelSource(**json.loads(sys.argv[1]))
try:
    out = {"before": weights.present(source), "path": str(weights.path(source)), "id": weights.content_id(source),
           "present": weights.present(source)}
except UserError as error:
    out = {"error": type(error).__name__, "message": error.message, "fix": error.fix}
out["torch"] = "torch" in sys.modules
print(json.dumps(out))
"""


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    files = {
        "config.json": b"{}",
        "diffusion_pytorch_model.safetensors": b"weights",
        "diffusion_pytorch_model.fp16.safetensors": b"half",
        "diffusion_pytorch_model.bin": b"pickle",
        "run_me.py": b"import os",
        "unet/config.json": b"[]",
        "unet/model.safetensors": b"unet",
    }
    with serving(FakeHub(files)) as running:
        yield running


def call(hub: FakeHub | None, folder: Path, **source: object) -> dict[str, object]:
    environment = {
        **{key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"},
        "PYTHONPATH": str(ROOT),
        "HF_ENDPOINT": hub.url if hub else "http://127.0.0.1:9",
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "ROTOSCOPE_CACHE": str(folder / "cache"),
        "ROTOSCOPE_MODELS_LOCK": str(folder / "models.lock.json"),
        "NO_PROXY": "127.0.0.1",
    }
    described = json.dumps({"kind": "hub", "id": "owner/model", **source})
    done = subprocess.run([sys.executable, "-c", CALL, described], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_first_download_takes_data_only_and_locks_commit_and_digests(hub: FakeHub, tmp_path: Path) -> None:
    out = call(hub, tmp_path)
    assert out["before"] is False
    assert out["present"] is True
    assert out["torch"] is False
    assert str(out["id"]).startswith(f"hub:owner/model@{'a' * 40}:")
    here = {path.name for path in Path(str(out["path"])).rglob("*") if path.is_file()}
    assert here == {"config.json", "diffusion_pytorch_model.safetensors"}
    lock = json.loads((tmp_path / "models.lock.json").read_text())
    assert lock["commits"] == {"owner/model@default": "a" * 40}
    assert set(lock["files"][f"owner/model@{'a' * 40}"]) == here


def test_later_runs_stay_on_the_locked_commit_and_need_no_hub(hub: FakeHub, tmp_path: Path) -> None:
    first = call(hub, tmp_path)
    hub.commit = "b" * 40
    asked = len(hub.requests)
    assert call(hub, tmp_path) == {**first, "before": True}
    assert len(hub.requests) == asked
    assert call(None, tmp_path) == {**first, "before": True}


def test_another_machine_gets_the_locked_commit_not_the_newest(hub: FakeHub, tmp_path: Path) -> None:
    first = call(hub, tmp_path)
    (tmp_path / "hf").rename(tmp_path / "gone")
    again = call(hub, tmp_path)
    assert again["id"] == first["id"]
    hub.commit, hub.requests[:] = "b" * 40, []
    assert call(hub, tmp_path)["id"] == first["id"]


def test_changed_bytes_of_a_locked_commit_are_refused(hub: FakeHub, tmp_path: Path) -> None:
    call(hub, tmp_path)
    (tmp_path / "hf").rename(tmp_path / "gone")
    hub.files["diffusion_pytorch_model.safetensors"] = b"other weights"
    out = call(hub, tmp_path)
    assert out["error"] == "ModelChanged"
    assert "diffusion_pytorch_model.safetensors has sha256" in str(out["message"])
    assert "models.lock.json says" in str(out["message"])


def test_parts_of_a_repository(hub: FakeHub, tmp_path: Path) -> None:
    sub = call(hub, tmp_path, subfolder="unet")
    assert (Path(str(sub["path"])) / "model.safetensors").read_bytes() == b"unet"
    one = call(hub, tmp_path, file="diffusion_pytorch_model.fp16.safetensors")
    assert Path(str(one["path"])).read_bytes() == b"half"
    half = call(hub, tmp_path, variant="fp16")
    assert len({sub["id"], one["id"], half["id"]}) == 3


def test_of_a_whole_folder_other_programs_weights_are_left_out() -> None:
    there = ["config.json", "model.safetensors", "model.fp16.safetensors", "merges.txt"]
    other = ["model.onnx", "model.onnx_data", "openvino_model.bin", "openvino_model.xml", "flax_model.msgpack"]
    names = [f"text_encoder/{name}" for name in [*there, *other]]
    half = ModelSource(kind="hub", id="owner/model", variant="fp16", files=["text_encoder/*"])
    assert wanted(half, names) == [f"text_encoder/{name}" for name in ("config.json", "merges.txt", there[2])]
    named = ModelSource(kind="hub", id="owner/model", files=["text_encoder/*.onnx"])
    assert wanted(named, names) == ["text_encoder/model.onnx"], "what is named is meant"


def test_trouble_that_passes_is_tried_again(hub: FakeHub, tmp_path: Path) -> None:
    hub.fail_first = 2
    assert "path" in call(hub, tmp_path)


def test_unreachable_hub_says_what_to_do(tmp_path: Path) -> None:
    out = call(None, tmp_path, instead="preprocess=canny")
    assert out["error"] == "ModelAbsent"
    assert "owner/model" in str(out["message"])
    assert "hub cannot be reached" in str(out["message"])
    assert "HF_ENDPOINT" in str(out["fix"])
    assert "preprocess=canny" in str(out["fix"])


@pytest.mark.parametrize(
    ("status", "source", "message"),
    [
        (403, {}, "accept a licence"),
        (None, {"id": "owner/nothing"}, "the hub has no owner/nothing"),
        (None, {"file": "nothing.safetensors"}, "has no file like nothing.safetensors"),
    ],
)
def test_what_the_hub_refuses_is_said_at_once(
    hub: FakeHub, tmp_path: Path, status: int | None, source: dict[str, str], message: str
) -> None:
    hub.status = status
    out = call(hub, tmp_path, **source)
    assert out["error"] == "ModelAbsent"
    assert message in str(out["message"])
    assert len(hub.requests) <= 3


def test_a_damaged_lock_file_is_named(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "models.lock.json").write_text("{ half")
    assert "models.lock.json is not JSON" in str(call(hub, tmp_path)["message"])
