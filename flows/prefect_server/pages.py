"""Addresses in MLflow's pages, as far as the server that `up` started shows them."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from flows.prefect_server import servers
from tasks.tracking.links import Link
from tasks.tracking.view import VIEW


def shown_at(store: Path, link: Link) -> str:
    """Where to find a render: its page where a server shows it, else where it is logged, in words."""
    server = servers.running(store, "mlflow")
    if link.uri != database(store) or server is None or link.experiment_id is None:
        return str(link)
    page = f"{server.url}/#/experiments/{link.experiment_id}"
    return f"{page}/runs/{link.mlflow_run}" if link.mlflow_run else _view(page)


def renders_page(server: servers.Server, experiment: str) -> str | None:
    """The table of renders with the columns that tell them apart; None where there are none yet."""
    import urllib.request  # with all of ssl

    address = f"{server.url}/api/2.0/mlflow/experiments/get-by-name?experiment_name={quote(experiment)}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback never goes through a proxy
    try:
        with opener.open(address, timeout=10.0) as answer:
            found = json.load(answer)["experiment"]["experiment_id"]
    except (OSError, ValueError, KeyError):
        return None
    return _view(f"{server.url}/#/experiments/{found}")


def database(store: Path) -> str:
    """The address under which renders are logged to the database that `up`'s server shows."""
    return f"sqlite:///{store.absolute() / 'mlflow' / 'mlflow.db'}"


def _view(page: str) -> str:
    return f"{page}/runs?viewStateShareKey={VIEW}&compareRunsMode=TABLE"
