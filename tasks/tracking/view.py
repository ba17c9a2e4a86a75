"""What MLflow's pages show of renders: the columns of the table of runs, and a run's description.

The columns are a *shared view* of MLflow's: a tag of the experiment that holds what its page shows, and that a link
names. The page's own view stays as whoever uses it has set it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from reel.history import summary
from reel.history.comparison import place_of
from reel.history.record import RenderRecord
from reel.measure import describe
from tasks.tracking.client import allowed

VIEW = "renders"
"""Name of the shared view; ``#/experiments/<id>/runs?viewStateShareKey=renders`` opens it."""
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
KIND_TAG = "mlflow.experimentKind"
"""Without it MLflow asks what the experiment is for before it shows it."""
_KIND = "custom_model_development"
_NOTE_TAG = "mlflow.note.content"
_NOTE = (
    "Renders of Rotoscope. A run's description shows its contact sheet; `identity.json` among its artifacts says what "
    "its bytes were made of. `rotoscope runs`, `why` and `compare` know the same renders."
)
SUBJECT_TAG = "clip"
"""Tag that holds what a render is made from: a file's name without its folder."""
MOST = 12
"""Columns of metrics at most."""


def experiment_tags(tags: dict[str, str], record: RenderRecord) -> dict[str, str]:
    """Tags that an experiment lacks so that its page shows such a render as `VIEW`.

    Args:
        tags: those that it has: columns of earlier renders stay.
    """
    found = {KIND_TAG: _KIND} if KIND_TAG not in tags else {}
    if _NOTE_TAG not in tags:
        found[_NOTE_TAG] = _NOTE
    known = _columns(tags.get(VIEW_TAG, ""))
    wanted = list(dict.fromkeys([*known, *columns(record)]))
    if wanted != known:
        found[VIEW_TAG] = json.dumps(_state(_sorted(wanted)))
    return found


def columns(record: RenderRecord) -> list[str]:
    """Columns that tell a render from others: of which clip, with which words, weights, each metric's main number."""
    weights = [f"controls.{name}.weight" for name in summary.weights(record)]
    words = "prompt_schedule" if record.config.get("prompt_schedule") else "prompt"
    return [
        _column("tags", SUBJECT_TAG),
        _column("params", words),
        *(_column("params", allowed(key)) for key in weights),
        *(_column("metrics", allowed(key)) for key in _headlines(record.metrics)),
    ]


def _headlines(metrics: Iterable[str]) -> list[str]:
    """The first number of each metric, in the order of what they look at."""
    found = []
    for key in sorted(metrics, key=place_of):
        known = describe(key)
        if known is not None and known[0].values.index(known[1]) == 0:
            found.append(key)
    return found[:MOST]


def _column(kind: str, key: str) -> str:
    return f"{kind}.`{key}`"


def _columns(state: str) -> list[str]:
    try:
        return [str(one) for one in json.loads(state)["selectedColumns"]]
    except (ValueError, KeyError, TypeError):
        return []


def _sorted(wanted: list[str]) -> list[str]:
    order = ("tags.", "params.`prompt", "params.", "metrics.")
    return sorted(wanted, key=lambda one: next(rank for rank, head in enumerate(order) if one.startswith(head)))


def _state(wanted: list[str]) -> dict[str, Any]:
    return {
        "selectedColumns": wanted,
        "columnOrder": wanted,
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
    }


def note(record: RenderRecord, mlflow_run: str) -> str:
    """A run's description, in Markdown: the sheet, the words, and the command that takes the render up again."""
    parts = []
    if record.reason:
        parts.append(f"**{record.status}:** {record.reason}")
    for item in record.outputs:
        if item.role == "sheet":
            path = quote(f"contact_sheet/{item.name.rpartition('/')[2]}", safe="")
            parts.append(f"![contact sheet](get-artifact?path={path}&run_uuid={mlflow_run})")
    words = summary.prompt(record)
    if words:
        parts.append(f"> {words[:500]}")
    if record.output:
        parts.append(f"Files: `{record.output}`")
    again = f"rotoscope {record.flow.replace('_', '-')} --from {shlex.quote(record.run)}"
    parts.append(f"Again, with what you change: `{again} seed=3`")
    return "\n\n".join(parts)
