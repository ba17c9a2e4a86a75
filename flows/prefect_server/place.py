"""Where the servers are and keep what is theirs: the host, their folder, and what their libraries find in the
environment."""

from __future__ import annotations

from pathlib import Path

HOST = "127.0.0.1"


def folder(store: Path) -> Path:
    return store.absolute() / "servers"


def environment(store: Path) -> dict[str, str]:
    """What Prefect and MLflow must find in the environment, before either is imported: nothing leaks into the home."""
    home = folder(store) / "prefect"
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "none",  # a page that is not the server's own reads nothing of it
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",  # a failed task's traceback; the entry tells the error itself
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_CLI_PROMPT": "false",
    }
