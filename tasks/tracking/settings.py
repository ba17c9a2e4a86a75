"""Settings of tracking: where renders are logged."""

from __future__ import annotations

import re

from pydantic import field_validator

from reel.config import Config, Field, LocalPath, Text, from_home
from reel.masking import without_password

_ADDRESS = re.compile(r"https?://[^/]|sqlite:///.|(?:postgresql|mysql|mssql)(?:\+\w+)?://.|databricks")


class Tracking(Config):
    """Where runs are logged. The store's records are the truth; MLflow can be rebuilt from them."""

    enabled: bool = True
    """Log this run to MLflow."""
    uri: Text
    """MLflow tracking address: sqlite:///<file> or http://host:port. No password: that comes from the environment."""
    experiment: Text = "rotoscope"
    """MLflow experiment that runs are filed under."""
    artifacts: LocalPath
    """Folder of logged files when the address is a database file."""
    log_clip: bool = True
    """Log the film itself; contact sheet, map preview and settings are logged either way."""
    timeout: float = Field(default=3.0, gt=0)
    """How long the end of a render may wait for MLflow (seconds); after that it is logged in the background.
    A render that computed nothing does not wait."""

    @field_validator("uri")
    @classmethod
    def _no_password(cls, uri: str) -> str:
        if without_password(uri) != uri:
            raise ValueError(
                "must hold no password, since settings are recorded, shown in MLflow and pushed to mirrors: set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or write ~/.mlflow/credentials; for a database "
                "PGPASSWORD or ~/.pgpass (docs/security.md)"
            )
        return uri

    @field_validator("uri")
    @classmethod
    def _file_from_home(cls, uri: str) -> str:
        """Most are made of ``paths.store``, and may hold its ``~``."""
        file = uri.removeprefix("sqlite:///")
        return uri if file == uri else f"sqlite:///{from_home(file)}"

    @field_validator("uri")
    @classmethod
    def _address(cls, uri: str) -> str:
        if not _ADDRESS.match(uri):
            raise ValueError(
                "must be an address of MLflow's: sqlite:///<file>, http://host:port, or a database such as postgresql://"
            )
        return uri
