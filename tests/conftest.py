"""What tests share: one real Prefect server for the whole session, and a store of their own each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.runs import server
from reel.store import Store

os.environ |= {"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
os.environ.setdefault("ROTOSCOPE_LOG_NICE", "0")  # tests wait for what is logged, beside other tests


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A real Prefect server on loopback; this process and the ones it starts use it."""
    with server(tmp_path_factory.mktemp("prefect")):
        yield
