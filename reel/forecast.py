"""What a render will take, guessed from past ones: seconds, disk and memory of the most similar op calls."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reel.history.record import list_records
from reel.keys import entries
from reel.store import Store

_FREE = ("weight", "seed", "prompt", "metadata", "guidance", "strength", "sigma")
"""Settings that hardly change what an op takes, by the beginning of their last word."""
_CHEAP, _DEAR, _INPUT = 0.01, 1.0, 0.1
"""How much less alike two calls are for a setting that is free, one that is not, and an input of other content."""


@dataclass(frozen=True)
class Guess:
    """What one op call will take.

    Attributes:
        seconds: wall seconds.
        size: bytes of the stored output.
        memory_mib: peak resident memory of the process after it.
        calls: number of past calls that it is the median of; 0: nothing is known, and all figures are None.
    """

    seconds: float | None = None
    size: int | None = None
    memory_mib: float | None = None
    calls: int = 0


class History:
    """Past op calls and renders of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._calls: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for _, entry in entries(store):
            self._calls[entry["fields"]["op"]].append(entry)
        self._records = [record for record in list_records(store)[0] if record.status == "done"]

    def guess(self, fields: Mapping[str, Any]) -> Guess:
        """The median of the past calls of this op whose settings are most alike.

        Args:
            fields: of the cache key, as `reel.keys.make_key` gives them.
        """
        calls = self._calls.get(fields["op"], [])
        if not calls:
            return Guess()
        apart = [_apart(fields, entry["fields"]) for entry in calls]
        near = [entry for entry, far in zip(calls, apart, strict=True) if far <= min(apart) + 5 * _CHEAP]
        memory = [float(entry["facts"]["peak_memory_mib"]) for entry in near if "peak_memory_mib" in entry["facts"]]
        sizes = [size for entry in near if (size := self._size(entry["output"])) is not None]
        return Guess(
            seconds=statistics.median(entry["seconds"] for entry in near),
            size=round(statistics.median(sizes)) if sizes else None,
            memory_mib=statistics.median(memory) if memory else None,
            calls=len(near),
        )

    def overhead(self, flow: str) -> float:
        """Seconds of a render of this flow beside its ops (median of past ones; 0.0 where there are none)."""
        beside = [
            record.seconds - sum(stage.seconds for stage in record.stages)
            for record in self._records
            if record.flow == flow and record.seconds is not None and record.stages
        ]
        return max(0.0, statistics.median(beside)) if beside else 0.0

    def exported(self, flow: str) -> int:
        """Bytes that a render of this flow exports (median of past ones; 0 where there are none)."""
        sizes = [sum(item.size for item in record.outputs) for record in self._records if record.flow == flow]
        return round(statistics.median(sizes)) if sizes else 0

    def _size(self, digest: str) -> int | None:
        folder = self.store.folder(digest)
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        return sum(sizes) if sizes else None


def _apart(now: Mapping[str, Any], then: Mapping[str, Any]) -> float:
    settings = sum(_CHEAP if _free(path) else _DEAR for path in _different(now["config"], then["config"]))
    inputs = sum(digest != then["inputs"].get(name) for name, digest in now["inputs"].items())
    return settings + _INPUT * inputs


def _free(path: str) -> bool:
    return any(part.startswith(_FREE) for part in path.split(".")[-1:])


def _different(now: Any, then: Any, path: str = "") -> list[str]:
    """Dotted paths at which two values differ; a branch that only one of them has counts once."""
    if now == then:
        return []
    if not (isinstance(now, Mapping) and isinstance(then, Mapping)):
        return [path]
    missing = object()
    found: list[str] = []
    for name in now.keys() | then.keys():
        found += _different(now.get(name, missing), then.get(name, missing), f"{path}.{name}" if path else str(name))
    return found
