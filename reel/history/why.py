"""Why a stage was computed: which field of its key differs from the nearest earlier run."""

from __future__ import annotations

from dataclasses import dataclass

from reel.keys import differences, entries, recall
from reel.store import Store


@dataclass(frozen=True)
class Reason:
    """Attributes: differences: ``field: then -> now``, empty for the first run of that op; compared_with: a key."""

    differences: tuple[str, ...]
    compared_with: str | None


def explain(store: Store, key: str) -> Reason:
    """Compare a key with the most similar one of the same op that was made before it (the latest of equals)."""
    entry = recall(store, key)
    if entry is None:
        return Reason((), None)
    fields = entry["fields"]
    best: tuple[int, float, str, list[str]] | None = None
    for other, candidate in entries(store):
        if other == key or candidate["fields"]["op"] != fields["op"] or candidate["made"] > entry["made"]:
            continue
        found = differences(fields, candidate["fields"])
        rank = (len(found), -candidate["made"], other, found)
        if best is None or rank[:2] < best[:2]:
            best = rank
    return Reason(tuple(best[3]), best[2]) if best else Reason((), None)
