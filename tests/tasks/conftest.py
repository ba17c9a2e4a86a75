"""What tests of tasks share: the toy family where families are looked for, and a model hub's cache on disk."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reel.store import Store
from tests.tasks.tiny_family import write_family

COMMIT = "0" * 39 + "1"


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of embedded families with the toy family `tiny` in it."""
    root = tmp_path_factory.mktemp("models")
    write_family(root / "tiny")
    return root


@pytest.fixture(autouse=True)
def _kernels() -> Iterator[None]:
    """A test leaves the process the kernels that it had: PyTorch's choice is the whole process's, and other tests'
    renders would have other last bits."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None:
        cuda = torch.backends.cuda
        kinds = [cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.math_sdp_enabled()]
        assert all(kinds), f"this test switched off some of attention's kernels: {kinds}"


@pytest.fixture
def world(families: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store, and the toy family where families are looked for."""
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(families))
    monkeypatch.setenv("ROTOSCOPE_CACHE", str(tmp_path / "cache"))
    return Store(tmp_path / "store")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """An offline hub cache; call it with an id and what writes a repository's files into a folder; gives the folder."""
    from huggingface_hub import constants

    lock = tmp_path / "models.lock.json"
    monkeypatch.setenv("ROTOSCOPE_MODELS_LOCK", str(lock))
    monkeypatch.setenv("ROTOSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def serve(repository: str, save: Callable[[Path], object]) -> Path:
        folder = tmp_path / "hub" / f"models--{repository.replace('/', '--')}"
        snapshot = folder / "snapshots" / COMMIT
        snapshot.mkdir(parents=True)
        save(snapshot)
        from tasks.weights.files import sha256_of

        files = {path.name: sha256_of(path) for path in snapshot.iterdir()}
        lock.write_text(
            json.dumps({"commits": {f"{repository}@default": COMMIT}, "files": {f"{repository}@{COMMIT}": files}})
        )
        return snapshot

    return serve
