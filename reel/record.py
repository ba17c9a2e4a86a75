"""One record a render: what ran, on what, how it ended. Records are the truth; MLflow shows a copy of them.

A record is written when the render starts, again after every stage, and closed once. While the render lives it holds
a flock, which the kernel frees however the process ends: a record that says "running" and whose lock is free belongs
to a render that was killed (`reconcile`).
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
import platform
import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reel.errors import DamagedObject, MissingObject, UserError
from reel.keys import canonical, library_version, recall
from reel.store import Store, canonical_json, sha256_bytes, sha256_file, write_atomic

SCHEMA = 1
RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")
LOST = "the process ended without closing the render (killed, or the machine went down)"

Status = Literal["running", "done", "failed", "interrupted"]
Role = Literal["movie", "sheet", "preview", "page", "plot", "other"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class StageLike(Protocol):
    """What a record keeps of a stage; `tasks.cached.Stage` is one."""

    @property
    def op(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def reused(self) -> bool: ...
    @property
    def seconds(self) -> float: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...


class PointLike(Protocol):
    """The point of a sweep that a render is; `reel.sweep.Claim` is one."""

    @property
    def sweep(self) -> str: ...
    @property
    def index(self) -> int: ...
    def began(self, run: str) -> None: ...


S = TypeVar("S", bound=StageLike)

_point: contextvars.ContextVar[PointLike | None] = contextvars.ContextVar("point", default=None)


class StageRecord(_Frozen):
    """One op's part in a render."""

    op: str
    key: str
    digest: str
    reused: bool
    seconds: float
    """Wall seconds in this render, look-up included."""
    facts: dict[str, Any] = Field(default_factory=dict)


class Output(_Frozen):
    """An exported file."""

    name: str
    """Path relative to the render's output folder, with `/`."""
    sha256: str
    size: int
    """Bytes."""
    role: Role = "other"
    """What it is to a reader: the film, the contact sheet, the control maps, a page, a plot, anything else."""


class RenderRecord(_Frozen):
    """Everything known about one render; see the module for when it is written."""

    run: str
    """Sortable id: UTC date, time, six hex digits (microseconds and a random one)."""
    flow: str
    parent: str | None = None
    """Run that this one is a part of: the search of a trial, say."""
    title: str | None = None
    """What tells it from the others of its parent, in a few words."""
    status: Status = "running"
    reason: str | None = None
    """Why it failed or was interrupted, one line first."""
    started: datetime
    ended: datetime | None = None
    config: dict[str, Any]
    """The resolved settings, canonical."""
    stages: tuple[StageRecord, ...] = ()
    metrics: dict[str, float] = Field(default_factory=dict)
    output: str | None = None
    """Folder that the files were exported to."""
    outputs: tuple[Output, ...] = ()
    peak_memory_mib: float | None = None
    commit: str | None = None
    """Git commit of the checkout."""
    dirty: bool | None = None
    """Whether tracked files differed from that commit."""
    models: dict[str, str] = Field(default_factory=dict)
    """Content id of every model used, by label."""
    packages: dict[str, str] = Field(default_factory=dict)
    """Versions of the distributions that can change the result's bytes, and of Rotoscope."""
    mlflow_run: str | None = None
    sweep: str | None = None
    """Id of the sweep that the render is a point of, or that a comparison is of."""
    point: int | None = None
    """Number of that point; None for a comparison."""
    host: str = ""
    pid: int = 0

    @property
    def reused(self) -> bool:
        """Whether the render finished and nothing in it was computed."""
        return self.status == "done" and bool(self.stages) and all(stage.reused for stage in self.stages)

    @property
    def seconds(self) -> float | None:
        """Wall seconds from start to end; None while it runs."""
        return (self.ended - self.started).total_seconds() if self.ended else None


class Recorder:
    """Keeps the record of a render that is going on. Made by `begin`; not for use from several threads."""

    def __init__(self, store: Store, record: RenderRecord, root: Path | None = None) -> None:
        self.store = store
        self.record = record
        self._held = contextlib.ExitStack()
        self._held.enter_context(store.lock(_lock_name(record.run)))
        commit, dirty = git_state(root)
        self._update(commit=commit, dirty=dirty)

    @property
    def run(self) -> str:
        return self.record.run

    def stage(self, stage: S) -> S:
        """Note a finished stage, with the models and library versions of its key; hands it back."""
        fields = (recall(self.store, stage.key) or {}).get("fields", {})
        noted = StageRecord(
            op=stage.op,
            key=stage.key,
            digest=stage.digest,
            reused=stage.reused,
            seconds=round(stage.seconds, 4),
            facts=dict(stage.facts),
        )
        self._update(
            stages=(*self.record.stages, noted),
            models={**self.record.models, **fields.get("models", {})},
            packages={**self.record.packages, **fields.get("libraries", {})},
        )
        return stage

    def metric(self, **values: float) -> None:
        """Note numbers that describe the result, such as ``joint_error_px=3.2``."""
        self._update(metrics={**self.record.metrics, **{name: float(value) for name, value in values.items()}})

    def of_sweep(self, sweep: str) -> None:
        """Note that this is not a point of a sweep but about all of it."""
        self._update(sweep=sweep)

    def output(self, path: Path, role: Role = "other") -> None:
        """Note an exported file, which must lie in the record's output folder; written with the next change."""
        if self.record.output is None:
            raise ValueError("this render has no output folder")
        name = path.absolute().relative_to(Path(self.record.output)).as_posix()
        noted = Output(name=name, sha256=sha256_file(path), size=path.stat().st_size, role=role)
        self.record = self.record.model_copy(update={"outputs": (*self.record.outputs, noted)})

    def finish(self, status: Status, reason: str | None = None, **fields: Any) -> RenderRecord:
        """Close the record, once: it never changes again."""
        self._update(status=status, reason=reason, ended=_now(), **fields)
        (self.store.root / "locks" / f"{_lock_name(self.run)}.lock").unlink(missing_ok=True)
        self._held.close()
        return self.record

    def _update(self, **fields: Any) -> None:
        if self.record.status != "running":
            raise ValueError(f"the record of {self.run} is closed")
        self.record = RenderRecord.model_validate({**dict(self.record), **fields})
        save(self.store, self.record)


def begin(
    store: Store,
    flow: str,
    config: Mapping[str, Any],
    *,
    output: Path | None = None,
    run: str | None = None,
    parent: str | None = None,
    title: str | None = None,
) -> Recorder:
    """Open the record of a render that starts now; until `Recorder.finish` it counts as running.

    Args:
        config: the resolved settings, plain data.
        output: folder that files will be exported to.
        run: an id from `new_run_id`, where the caller needed it before (a folder's name).
        parent, title: see `RenderRecord`.
    """
    settings = canonical(config)
    root = settings.get("paths", {}).get("root") if isinstance(settings.get("paths"), Mapping) else None
    point = _point.get()
    record = RenderRecord(
        run=run or new_run_id(),
        flow=flow,
        parent=parent,
        title=title,
        started=_now(),
        config=settings,
        output=str(output.absolute()) if output else None,
        packages={"rotoscope": library_version("rotoscope")},
        sweep=point.sweep if point else None,
        point=point.index if point else None,
        host=platform.node(),
        pid=os.getpid(),
    )
    if point:
        point.began(record.run)
    return Recorder(store, record, Path(root) if root else None)


@contextlib.contextmanager
def as_point(point: PointLike) -> Iterator[None]:
    """The render that begins inside is that point of a sweep: its record says so, and the point gets its id."""
    token = _point.set(point)
    try:
        yield
    finally:
        _point.reset(token)


def new_run_id() -> str:
    """Sortable to the microsecond; the last digit keeps two processes apart."""
    now = _now()
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond:05x}{secrets.token_hex(1)[0]}"


def record_path(store: Store, run: str) -> Path:
    return store.root / "records" / f"{run}.json"


def save(store: Store, record: RenderRecord) -> Path:
    """Write the record whole, with a checksum of its own."""
    path = record_path(store, record.run)
    write_atomic(path, dump(record))
    return path


def dump(record: RenderRecord) -> bytes:
    data = record.model_dump(mode="json")
    envelope = {"schema": SCHEMA, "sha256": sha256_bytes(canonical_json(data)), "record": data}
    return json.dumps(envelope, indent=1, ensure_ascii=False).encode() + b"\n"


def load(path: Path) -> RenderRecord:
    """Read a record back.

    Raises:
        UserError: no such file, not a whole record, or written by another version; the file is named.
    """
    try:
        return parse_record(path.read_bytes(), path)
    except FileNotFoundError:
        raise UserError(f"there is no record {path}", fix="see what there is: rotoscope runs") from None


def parse_record(data: bytes, path: Path | str) -> RenderRecord:
    """As `load`, from bytes; ``path`` is what messages name."""
    try:
        envelope = json.loads(data)
        schema = envelope["schema"]
    except (ValueError, KeyError, TypeError):
        raise _damaged(path, "it is not whole JSON") from None
    if schema != SCHEMA:
        raise UserError(
            f"{path}: written with record schema {schema}, this version reads {SCHEMA}",
            fix="use the version of Rotoscope that wrote it, or move the file away",
        )
    try:
        if sha256_bytes(canonical_json(envelope["record"])) != envelope["sha256"]:
            raise _damaged(path, "its checksum does not fit")
        return RenderRecord.model_validate(envelope["record"])
    except (KeyError, ValueError, ValidationError) as error:
        raise _damaged(path, str(error).splitlines()[0]) from None


def _damaged(path: Path | str, what: str) -> UserError:
    return UserError(
        f"{path}: damaged record ({what})", fix="delete the file; the render itself is unharmed and can be repeated"
    )


def list_records(store: Store) -> tuple[list[RenderRecord], list[UserError]]:
    """All readable records, oldest first, and what is wrong with the others."""
    good: list[RenderRecord] = []
    bad: list[UserError] = []
    for path in sorted((store.root / "records").glob("*.json")):
        try:
            good.append(load(path))
        except UserError as error:
            bad.append(error)
    return good, bad


def find_record(store: Store, name: str) -> RenderRecord:
    """The record of a run, named by its id, an unambiguous beginning or end of it, or ``latest``.

    Raises:
        UserError: none or several fit, or the record is damaged.
    """
    runs = sorted(path.stem for path in (store.root / "records").glob("*.json"))
    if name == "latest":
        fits = runs[-1:]
    else:
        fits = [name] if name in runs else [run for run in runs if run.startswith(name) or run.endswith(name)]
    if len(fits) != 1:
        what = f"{len(fits)} runs fit {name!r}: {', '.join(fits[:5])}" if fits else f"no run fits {name!r}"
        raise UserError(what, fix="see what there is: rotoscope runs")
    return load(record_path(store, fits[0]))


def locate(store: Store, record: RenderRecord, item: Output) -> Path | None:
    """The exported file if it is still what was exported, else the same bytes in the store, else None."""
    exported = Path(record.output or "") / item.name
    if exported.is_file() and sha256_file(exported) == item.sha256:
        return exported
    for stage in reversed(record.stages):
        try:
            stored = store.get(stage.digest)
        except (MissingObject, DamagedObject):
            continue
        for name, sha256 in stored.files.items():
            if sha256 == item.sha256:
                return stored.path(name)
    return None


def alive(store: Store, run: str) -> bool:
    """Whether a render's process still holds its lock."""
    if not (store.root / "locks" / f"{_lock_name(run)}.lock").exists():
        return False
    with store.lock(_lock_name(run), wait=False) as free:
        return not free


def reconcile(store: Store) -> list[RenderRecord]:
    """Close the records of renders whose process is gone; returns those that were closed."""
    closed = []
    for lock in sorted((store.root / "locks").glob("run-*.lock")):  # left only by renders that live or were killed
        run = lock.stem.removeprefix("run-")
        with store.lock(lock.stem, wait=False) as free:
            if not free:
                continue
            with contextlib.suppress(UserError):  # killed before its first record, or a damaged one: nothing to close
                if (record := _lost(store, run)) is not None:
                    closed.append(record)
            lock.unlink(missing_ok=True)
    return closed


def _lost(store: Store, run: str) -> RenderRecord | None:
    path = record_path(store, run)
    record = load(path)
    if record.status != "running":
        return None
    last = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    record = record.model_copy(update={"status": "interrupted", "reason": LOST, "ended": last})
    save(store, record)
    return record


def git_state(root: Path | None = None) -> tuple[str | None, bool | None]:
    """Commit of the checkout and whether tracked files differ from it; (None, None) outside of git."""
    # `describe --dirty` would write the index anew, and a render that dies meanwhile would leave the checkout locked
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit, bool(_git(root, "--no-optional-locks", "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(root: Path | None, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def _lock_name(run: str) -> str:
    return f"run-{run}"


def _now() -> datetime:
    return datetime.now(UTC)
