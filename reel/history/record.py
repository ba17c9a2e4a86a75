"""One record a render: what ran, on what, how it ended. Records are the truth; MLflow shows a copy of them.

Here is what a record holds and how it lies in the store; `reel.history.recorder` writes it while the render goes on.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from reel.digest import Digest
from reel.errors import DamagedObject, MissingObject, UserError
from reel.files import canonical_json, read_file, sha256_bytes, sha256_file, write_atomic
from reel.masking import without_password
from reel.store import Store

SCHEMA = 1

RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


def _run_id(value: str) -> str:
    if not RUN_ID.fullmatch(value):
        raise ValueError("must be a run's id, such as 20261129-101500-0a1b2c")
    return value


def _inside(value: str) -> str:
    if value.startswith("/") or ".." in value.split("/"):
        raise ValueError(f"{value} must be a path inside the output folder")
    return value


def _file_name(value: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", value):
        raise ValueError(f"{value!r:.80} must be a name of letters, digits, dots and dashes")
    return value


RunId = Annotated[str, AfterValidator(_run_id)]
"""A record is filed under it, so one that came from elsewhere must not be a path."""

Status = Literal["running", "done", "failed", "interrupted"]

Role = Literal["movie", "sheet", "preview", "page", "plot", "table", "other"]

_BESIDE_RESULT = ("paths", "tracking", "compute", "measure", "deployment", "hydra", "sweep")
"""Groups of settings that records of before 0.2.0 hold and that make no result: folders, addresses, the machine."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class StageRecord(_Frozen):
    """One op's part in a render."""

    op: str
    key: Digest
    digest: Digest
    reused: bool
    seconds: float
    """Wall seconds in this render, look-up included."""
    facts: dict[str, Any] = Field(default_factory=dict)

    @property
    def measures(self) -> bool:
        """Whether it is a metric of the render, and not a part of it."""
        return self.op.startswith("measure.")


class Output(_Frozen):
    """An exported file."""

    name: Annotated[str, AfterValidator(_inside)]
    """Path relative to the render's output folder, with `/`."""
    sha256: Digest
    size: int
    """Bytes."""
    role: Role = "other"
    """What it is to a reader: the film, the contact sheet, the control maps, a page, a plot, a table, anything else."""


class RenderRecord(_Frozen):
    """Everything known about one render; see the module for when it is written."""

    run: RunId
    """Sortable id: UTC date, time, six hex digits (microseconds and a random one)."""
    flow: str
    parent: RunId | None = None
    """Run that this one is a part of: the search of a trial, say."""
    title: str | None = None
    """What a person called it (``name=``), or what tells it from the others of its parent, in a few words."""
    status: Status = "running"
    reason: str | None = None
    """Why it failed or was interrupted, one line first."""
    started: datetime
    ended: datetime | None = None
    config: dict[str, Any]
    """The resolved settings, canonical."""
    result: dict[str, Any] | None = None
    """What of them the result is made of (`reel.config.Config.result_part`); None: not said, as before 0.2.0."""
    stages: tuple[StageRecord, ...] = ()
    metrics: dict[str, float] = Field(default_factory=dict)
    pictures: dict[str, Digest] = Field(default_factory=dict)
    """Digests of clips to look at, by role: ``frames``, ``original``, ``map_<control>``."""
    sources: dict[str, Digest] = Field(default_factory=dict)
    """Digests of the files outside the store that it is made from, by the settings that name them."""
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
    sweep: Annotated[str, AfterValidator(_file_name)] | None = None
    """Id of the sweep that the render is a point of, or that a comparison is of."""
    point: int | None = None
    """Number of that point; None for a comparison."""
    cwd: str = ""
    """Folder that relative paths in the settings start from."""
    host: str = ""
    pid: int = 0
    server: bool | None = None
    """Whether a Prefect server was up already, and none had to be started for it; None: not said."""

    @property
    def made_of(self) -> dict[str, Any]:
        """``result``, or what comes nearest to it in a record that does not say it."""
        if self.result is not None:
            return self.result
        return {name: value for name, value in self.config.items() if name not in _BESIDE_RESULT}

    @property
    def reused(self) -> bool:
        """Whether the render finished and nothing in it was computed."""
        return self.status == "done" and bool(self.stages) and all(stage.reused for stage in self.stages)

    @property
    def seconds(self) -> float | None:
        """Wall seconds from start to end; None while it runs."""
        return (self.ended - self.started).total_seconds() if self.ended else None


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
    data = read_file(path)
    if data is not None:
        record = parse_record(data, path)
        if record.run != path.stem:
            raise _damaged(path, f"it is the record of {record.run}")
        return record
    if path.exists():
        raise _damaged(path, "it is no file")
    raise UserError(f"there is no record {path}", fix="see what there is: rotoscope runs")


def parse_record(data: bytes, path: Path | str) -> RenderRecord:
    """As `load`, from bytes; ``path`` is what messages name."""
    try:
        envelope = json.loads(data)
        schema = envelope["schema"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _damaged(path, "it is not a complete JSON object") from None
    if schema != SCHEMA:
        raise UserError(
            f"{path}: written with record schema {schema}, this version reads {SCHEMA}",
            fix="use the version of Rotoscope that wrote it, or move the file away",
        )
    try:
        if sha256_bytes(canonical_json(envelope["record"])) != envelope["sha256"]:
            raise _damaged(path, "its checksum does not fit")
        record = RenderRecord.model_validate(envelope["record"])
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise _damaged(path, str(error).splitlines()[0]) from None
    return _without_password(record)


def _without_password(record: RenderRecord) -> RenderRecord:
    """A record of 0.2.0 or before may hold the password of a tracking server in its settings: nobody is shown it."""
    tracking = record.config.get("tracking")
    uri = tracking.get("uri") if isinstance(tracking, dict) else None
    if not isinstance(tracking, dict) or not isinstance(uri, str) or without_password(uri) == uri:
        return record
    settings = {**record.config, "tracking": {**tracking, "uri": without_password(uri)}}
    return record.model_copy(update={"config": settings})


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
        known = [run for run in runs if name and (run.startswith(name) or run.endswith(name))]
        fits = [name] if name in runs else known
    if len(fits) != 1:
        what = f"{len(fits)} runs fit {name!r}: {', '.join(fits[:5])}" if fits else f"no run fits {name!r}"
        raise UserError(what, fix="see what there is: rotoscope runs")
    return load(record_path(store, fits[0]))


def latest_with(store: Path, text: str, fits: Callable[[RenderRecord], bool]) -> RenderRecord | None:
    """The latest readable record that holds a text and fits; None: there is none.

    Only those that hold the text are parsed: there may be thousands.

    Args:
        store: the store's folder; it need not be there.
    """
    for path in sorted((store / "records").glob("*.json"), reverse=True):
        data = read_file(path) or b""
        if text.encode() in data:
            with contextlib.suppress(UserError):
                if fits(record := parse_record(data, path)):
                    return record
    return None


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
