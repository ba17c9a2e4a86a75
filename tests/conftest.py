"""What tests share: one real Prefect server for the whole run, a store of their own each, fixed random examples."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from flows.prefect_server.login import CLIENT
from reel.store import Store
from tests import servers

os.environ |= {"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
os.environ.setdefault("ROTOSCOPE_LOG_NICE", "0")  # tests wait for what is logged, beside other tests

# Property tests try the same examples in every run: a change is judged by itself, not by the luck of the draw. New
# examples are what `python -m benchmarks.property_search` is for.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.register_profile("search", deadline=None, database=None, print_blob=True)
settings.load_profile("fixed")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(autouse=True)
def handlers_of_this_test_alone() -> Iterator[None]:
    """What the program logged to is closed after a test; a later one's line would be told there, without an end, since
    Prefect turns what a flow prints, tracebacks of its logging included, into lines again."""
    yield
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler and handler.stream is not sys.__stderr__:
            root.removeHandler(handler)


@pytest.fixture(autouse=True)
def own_log_in() -> Iterator[None]:
    """A test that has a store's own server used leaves the log-in of the run's server to the others."""
    before = os.environ.get(CLIENT)
    yield
    if before is not None:
        os.environ[CLIENT] = before


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a real Prefect server on loopback; this process and the ones it starts use it."""
    home = servers.common(tmp_path_factory) / "prefect"
    with servers.shared(home):
        # It sets up logging as it is imported, and takes the root's handlers away where another library has done so
        # before (uvicorn): better here than inside a test that looks at the log.
        importlib.import_module("prefect.main")
        yield home


@pytest.fixture(scope="session")
def mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without a run in it, to copy from."""
    return servers.mlflow_tables(tmp_path_factory)
