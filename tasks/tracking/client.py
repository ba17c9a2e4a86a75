"""MLflow's client: how it is opened, how it names things, and what is done when an address does not answer."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from reel.errors import UserError
from reel.masking import masked
from reel.store import Store
from tasks.tracking.links import Link
from tasks.tracking.settings import Tracking

ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",  # seconds; a server that is down must not hold anything up
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


def open_client(uri: str) -> Any:
    """An MlflowClient for an address; the folder of a database is made if it is missing. Nothing is asked of it yet."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=uri)


def connect(store: Store, uri: str) -> Any:
    """`open_client`, and a first answer: renders that share a store must not both create the database's tables.

    Raises:
        Exception: whatever MLflow raises when the address does not answer.
    """
    with store.lock("mlflow"):
        client = open_client(uri)
        client.search_experiments(max_results=1)
    return client


def experiment_id(client: Any, place: Link | Tracking) -> str:
    """Id of the experiment that runs are filed under; it is made, or restored, if need be."""
    known = client.get_experiment_by_name(place.experiment)
    if known:
        if known.lifecycle_stage == "deleted":
            client.restore_experiment(known.experiment_id)
        return str(known.experiment_id)
    artifacts = None if place.uri.startswith("http") else Path(place.artifacts).absolute().as_uri()
    try:
        return str(client.create_experiment(place.experiment, artifact_location=artifacts))
    except Exception:  # another process made it in this moment
        known = client.get_experiment_by_name(place.experiment)
        if known is None:
            raise
        return str(known.experiment_id)


def each_reachable(
    names: Iterable[str], link_of: Callable[[str], Link | None], log: Callable[[str], object]
) -> tuple[list[str], dict[str, str]]:
    """Call ``log`` for each name; an address that did not answer once is not tried again.

    Returns:
        names logged, and the reason by name for the others.
    """
    logged: list[str] = []
    failed: dict[str, str] = {}
    unreachable: dict[str, str] = {}
    for name in names:
        link = link_of(name)
        uri = link.uri if link else ""
        if uri in unreachable:
            failed[name] = unreachable[uri]
            continue
        try:
            log(name)
            logged.append(name)
        except UserError as error:  # its record or manifest is gone or damaged: that says nothing of the address
            failed[name] = error.message
        except Exception as error:  # whatever a server or a database comes up with
            failed[name] = unreachable[uri] = one_line(error)
    return logged, failed


def allowed(key: str) -> str:
    """A key in MLflow's alphabet for names, 250 characters at most."""
    return re.sub(r"[^\w\-./ :]", "_", key)[:250]


def one_line(error: BaseException) -> str:
    """An error in at most 300 characters, secrets masked."""
    lines = masked(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]
