"""The renders of a store as the gallery's page shows them: plain data, newest first, without this machine's folders."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flows.compare.portable import without_folders
from flows.edge.text import local
from reel.errors import UserError
from reel.files import sha256_bytes
from reel.history import marks, summary
from reel.history.comparison import ABSENT, Comparison, compare, of_runs, settings, telling, text
from reel.history.record import RenderRecord, load, record_path
from reel.history.recorder import reconcile
from reel.live import PREVIEW, read_progress
from reel.store import Store
from tasks.compare.page import label
from tasks.networks.journal import unfinished

HIDDEN = ("compare", "search")
"""Flows whose records are about other renders; their own pages show them."""
TRIAL = "trial"
"""Flow of a search's attempts, often with few frames and steps: shown only when somebody looks for them."""


class Catalogue:
    """The records of a store; each is read once, and again when its file has changed."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: dict[str, tuple[str, RenderRecord]] = {}
        self._shown: tuple[str, dict[str, Any]] = ("", {})
        self._one = threading.Lock()

    def records(self) -> list[RenderRecord]:
        """All readable records of renders, oldest first; those whose process was killed are closed before."""
        reconcile(self.store)
        found: dict[str, tuple[str, RenderRecord]] = {}
        for name, stamp in self._stamps("records"):
            known = self._known.get(name)
            with contextlib.suppress(UserError):  # `rotoscope runs` tells of a damaged one
                found[name] = known if known and known[0] == stamp else (stamp, load(record_path(self.store, name)))
        self._known = found
        return [record for _, record in found.values()]

    def _stamps(self, folder: str) -> list[tuple[str, str]]:
        """Of every file there its name without ending, and another text whenever it has changed; sorted by name."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.store.root / folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.name.endswith(".json"):
                        facts = entry.stat()
                        found.append((entry.name[:-5], f"{facts.st_mtime_ns} {facts.st_size}"))
        return sorted(found)

    def record(self, run: str) -> RenderRecord | None:
        """A render that `records` has found."""
        known = self._known.get(run)
        return known[1] if known else None

    def version(self) -> str:
        """Another text whenever the page would show something else."""
        return sha256_bytes(repr([self._stamps("records"), self._stamps("marks")]).encode())[:16]

    def running(self) -> dict[str, Any]:
        """How far the renders are that go on, by run."""
        return {
            record.run: _progress(self.store, record)
            for _, record in self._known.values()
            if record.status == "running"
        }

    def data(self) -> dict[str, Any]:
        """All that the page shows."""
        with self._one:
            records = self.records()
            if self._shown[0] != (version := self.version()):
                comparison = compare("", of_runs(records), axes=[]) if records else None
                self._shown = (version, shown(self.store, records, comparison))
            data, at = self._shown[1], self.running()
            renders = [{**one, "progress": at[one["run"]]} if one["run"] in at else one for one in data["renders"]]
            return {**data, "version": version, "renders": renders}


def shown(store: Store, records: Sequence[RenderRecord], comparison: Comparison | None) -> dict[str, Any]:
    """What the page shows of records, newest first."""
    earlier, said = summary.before_each(records), marks.read_all(store)
    kept = {run: steps for run, (steps, _) in unfinished(store).items()}
    flat = {record.run: _settings(record) for record in records if record.flow not in HIDDEN}
    common = _common(list(flat.values()))
    metrics = comparison.metrics if comparison else ()
    return {
        "metrics": [asdict(metric) for metric in metrics],
        "common": common,
        "pages": _pages(records),
        "renders": [
            {
                **_shown(record, earlier.get(record.run), kept.get(record.run)),
                **asdict(said.get(record.run, marks.Marks())),
                "settings": {key: value for key, value in flat[record.run].items() if common.get(key) != value},
                "progress": None,
            }
            for record in reversed(records)
            if record.run in flat and _worth_showing(record)
        ],
    }


def _worth_showing(record: RenderRecord) -> bool:
    """Whether there is a picture to show, or something to say."""
    films = any(output.role == "movie" for output in record.outputs)
    return record.status != "done" or films or bool(record.pictures) or _is_older(record)


def _is_older(record: RenderRecord) -> bool:
    """Whether it was written before records named their pictures: those are found by what its film was made from."""
    return not record.pictures and any(stage.op == "assemble" for stage in record.stages)


def _shown(record: RenderRecord, before: RenderRecord | None, kept: int | None) -> dict[str, Any]:
    changes = _changes(record, before)
    keys, model = [key for key, _, _ in changes], record.config.get("model")
    left = record.status != "done" and bool(record.output) and (Path(record.output or "") / PREVIEW).is_file()
    return {
        "run": record.run,
        "flow": record.flow,
        "status": "reused" if record.reused else record.status,
        "reason": "; ".join(filter(None, [without_folders(record.reason or ""), _kept(record, kept)])),
        "when": local(record.started),
        "seconds": record.seconds,
        "of": summary.subject(record),
        "prompt": summary.prompt(record),
        "title": record.title or "",
        "model": str(model.get("name", "")) if isinstance(model, Mapping) else "",
        "sweep": record.sweep or (f"search {record.parent}" if record.flow == TRIAL else ""),
        "trial": record.flow == TRIAL,
        "changes": [[label(key, keys), without_folders(was), without_folders(now)] for key, was, now in changes],
        "metrics": {**record.metrics, **({"seconds": record.seconds} if record.seconds else {})},
        "source": "original" in record.pictures or _is_older(record),
        "left": left,
        "film": any(output.role == "movie" for output in record.outputs),
        "command": f"rotoscope {record.flow.replace('_', '-')} --from {record.run}",
    }


def _changes(record: RenderRecord, before: RenderRecord | None) -> list[tuple[str, str, str]]:
    """What is new, the most telling first. The same file by another path is not; of what came or went as a whole, a
    control say, one setting stands for all.
    """
    found = sorted(summary.changes(record, before).items(), key=lambda one: telling(one[0]))
    told, whole = [], set()
    for key, (was, now) in found:
        group = tuple(key.split(".")[:2])
        if (key == "clip" and Path(was).name == Path(now).name) or (ABSENT in (was, now) and group in whole):
            continue
        if ABSENT in (was, now):
            whole.add(group)
        told.append((key, was, now))
    return told


def _kept(record: RenderRecord, steps: int | None) -> str:
    """What the same render need not do again."""
    return f"{steps} denoising steps are kept" if steps and record.status != "running" else ""


def _settings(record: RenderRecord) -> dict[str, str]:
    """Settings that can change the pictures, flat, as text."""
    return {key: without_folders(text(value)) for key, value in settings(record).items()}


def _common(each: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What most renders say, kept once: of every setting the value that occurs most."""
    counted: dict[str, dict[str, int]] = {}
    for one in each:
        for key, value in one.items():
            values = counted.setdefault(key, {})
            values[value] = values.get(value, 0) + 1
    most = {key: max(values, key=lambda value: values[value]) for key, values in counted.items()}
    return {key: value for key, value in most.items() if all(key in one for one in each)}


def _progress(store: Store, record: RenderRecord) -> dict[str, Any] | None:
    """How far a render is, with when its picture was made; None: it says nothing yet."""
    found = read_progress(store, record.run)
    if found is None:
        return None
    picture = Path(record.output or "") / PREVIEW
    made = picture.stat().st_mtime if picture.is_file() else None
    return {**asdict(found), "picture": made}


def _pages(records: Sequence[RenderRecord]) -> list[dict[str, Any]]:
    """The comparisons that there are: id, and the renders that each is of."""
    return [
        {"run": record.run, "runs": sorted(record.config.get("runs") or [])}
        for record in records
        if record.flow == "compare" and record.status == "done" and record.config.get("runs")
    ]
