"""Looking renders up in MLflow: a filter in its own language gives the ids of their records."""

from __future__ import annotations

from reel.errors import UserError
from reel.store import Store
from tasks.tracking.client import connect
from tasks.tracking.record import RUN_TAG
from tasks.tracking.settings import Tracking

_PAGE = 1000
_SYNTAX = "metrics.`flicker.mean` < 0.1 and params.`controls.pose.weight` = '0.6' and attributes.status = 'FINISHED'"


def search(store: Store, tracking: Tracking, query: str) -> list[str]:
    """Ids of the renders that a filter finds, oldest first.

    Args:
        query: as in MLflow's search field:
            https://mlflow.org/docs/latest/ml/search/search-runs/; empty: all.

    Raises:
        UserError: MLflow cannot be reached or does not understand the filter, there is no such experiment, or nothing
            fits.
    """
    from mlflow.exceptions import MlflowException

    try:
        client = connect(store, tracking.uri)
        experiments = {one.name: one.experiment_id for one in client.search_experiments()}
    except Exception as error:  # whatever a server or a database comes up with
        raise UserError(
            f"filter: MLflow at {tracking.uri} does not answer ({str(error).strip().splitlines()[0][:200]})",
            fix="start it (rotoscope up), set tracking.uri, or name the renders: runs=[...]",
        ) from None
    if tracking.experiment not in experiments:
        raise UserError(
            f"filter: MLflow at {tracking.uri} has no experiment {tracking.experiment!r}",
            fix=f"tracking.experiment= one of: {', '.join(sorted(experiments)) or 'none yet'}",
        )
    found, token = [], None
    while True:
        try:
            page = client.search_runs(
                [experiments[tracking.experiment]], query, max_results=_PAGE, order_by=["attributes.start_time ASC"],
                page_token=token,
            )  # fmt: skip
        except MlflowException as error:
            raise UserError(f"filter: {error.message.splitlines()[0]}", fix=f"for example: {_SYNTAX}") from None
        found += page
        token = page.token
        if not token:
            break
    renders = [run.data.tags[RUN_TAG] for run in found if RUN_TAG in run.data.tags]
    return list(dict.fromkeys(renders))
