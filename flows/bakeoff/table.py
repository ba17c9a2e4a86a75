"""What came of a bakeoff, film by film, as rows for the table: outcome, size, time, memory, metrics."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flows.sweep.point import out_of_memory
from reel.clip import Clip
from reel.errors import NoRoom, UserError
from reel.history.comparison import place_of
from reel.history.record import RenderRecord
from reel.history.sweep import Manifest
from reel.history.sweep_files import Point
from reel.keys import recall
from reel.measure import describe
from reel.store import Store

COLUMNS: Mapping[str, str] = {
    "animator": "animator",
    "seed": "seed",
    "outcome": "outcome",
    "size": "px",
    "frames": "frames",
    "fps": "fps",
    "film_seconds": "film s",
    "seconds": "render s",
    "seconds_a_frame": "s a frame",
    "starting_seconds": "of it starting s",
    "host_mib": "host MiB",
    "device_mib": "device MiB",
}
"""Columns of the CSV before the metrics, with what they are called in the Markdown."""


KINDS: Mapping[str, str] = {"died": "ended", "left": "not tried", NoRoom.__name__: "no room"}
"""How films ended of which nothing is to be known about their animator, by what the manifest has as their error."""


@dataclass(frozen=True)
class Row:
    """A film.

    Attributes:
        values: by the names of `COLUMNS`; what is not known is not in it.
        metrics: numbers by key, as records have them.
        reason: why there is none.
    """

    values: Mapping[str, Any]
    metrics: Mapping[str, float]
    reason: str = ""


def rows(manifest: Manifest, records: Mapping[str, RenderRecord]) -> list[Row]:
    """All films of a bakeoff, in the order in which animators joined it."""
    return [_row(point, records.get(point.run or ""), manifest.store) for point in manifest.points]


def _row(point: Point, record: RenderRecord | None, store: Store) -> Row:
    known = {"animator": point.values["model"], "seed": int(point.values["seed"]), "outcome": outcome(point)}
    if point.status != "done" or record is None:
        return Row(known, {}, (point.reason or "").partition("\n")[0])
    film = _film(record, store)
    return Row({**known, **film, **_cost(record, store, film.get("frames"))}, record.metrics)


def outcome(point: Point) -> str:
    """How a film ended, in a word or two."""
    if point.status != "failed":
        return point.status
    kind = point.state.kind or ""
    if kind not in KINDS and out_of_memory(point.reason or ""):
        return "out of memory"
    return KINDS.get(kind, "refused" if kind == UserError.__name__ else "failed")


def _film(record: RenderRecord, store: Store) -> dict[str, Any]:
    try:
        clip = Clip.open(store, record.pictures["frames"])
    except (KeyError, UserError):  # the store was cleared
        return {}
    seconds = float(clip.count / clip.fps)
    return {
        "size": f"{clip.width}x{clip.height}",
        "frames": clip.count,
        "fps": float(clip.fps),
        "film_seconds": seconds,
    }


def _cost(record: RenderRecord, store: Store, frames: int | None) -> dict[str, Any]:
    """What the film took from nothing: every stage's seconds when it was computed, whichever render that was."""
    stages = [stage for stage in record.stages if not stage.measures]
    entries = [recall(store, stage.key) or {} for stage in stages]
    found: dict[str, Any] = {}
    if all("seconds" in entry for entry in entries):
        found["seconds"] = sum(entry["seconds"] for entry in entries)
        work = [entry.get("work", {}) for entry in entries]
        found["starting_seconds"] = sum(one.get("importing", 0.0) + one.get("loading", 0.0) for one in work)
        if frames:
            found["seconds_a_frame"] = found["seconds"] / frames
    for column, fact in (("host_mib", "peak_memory_mib"), ("device_mib", "peak_device_memory_mib")):
        peaks = [stage.facts[fact] for stage in stages if fact in stage.facts]
        if peaks:
            found[column] = max(peaks)
    return found


def as_csv(found: Sequence[Row]) -> str:
    """Every number in full, one film a line, with a line of names."""
    metrics = _metrics(found)
    file = io.StringIO()
    writer = csv.DictWriter(file, [*COLUMNS, *metrics, "reason"], lineterminator="\n")
    writer.writeheader()
    for row in found:
        writer.writerow({**row.values, **row.metrics, "reason": row.reason})
    return file.getvalue()


def as_markdown(title: str, found: Sequence[Row], moved: Iterable[str]) -> str:
    """A table to read: numbers short, the main one of every metric, reasons and what was moved below it.

    Args:
        moved: what was asked of all and is otherwise at one, in words.
    """
    metrics = [key for key in _metrics(found) if _is_main(key)]
    heads = [*COLUMNS.values(), *(_called(key) for key in metrics)]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for row in found:
        cells = [_short(row.values.get(name)) for name in COLUMNS]
        lines.append(_line([*cells, *(_short(row.metrics.get(key)) for key in metrics)]))
    reasons = [
        f"- {row.values['animator']}, seed {row.values['seed']}, {row.values['outcome']}: {row.reason}"
        for row in found
        if row.reason
    ]
    below = [*reasons, *(f"- {one}" for one in moved)]
    return "\n".join([f"# {title}", "", *lines, *([""] if below else []), *below]) + "\n"


def _metrics(found: Sequence[Row]) -> list[str]:
    return sorted({key for row in found for key in row.metrics}, key=place_of)


def _is_main(key: str) -> bool:
    known = describe(key)
    return known is None or known[0].values[0] == known[1]


def _called(key: str) -> str:
    """A metric's name, and which way is better."""
    known = describe(key)
    if known is None:
        return key
    arrow = {"higher": " ↑", "lower": " ↓"}.get(known[1].better or "", "")
    unit = f" ({known[1].unit})" if known[1].unit else ""
    return f"{known[1].label}{unit}{arrow}"


def _short(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
