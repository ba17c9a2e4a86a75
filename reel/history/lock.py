"""render.lock: what a render was made of and what it gave, as one file from which anybody can render it again.

It is made of the render's record and of what the store remembers of its keys, and stands alone: settings, digests of
sources and models, versions, the machine, and the digests of every stage's output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reel.digest import Digest
from reel.errors import UserError
from reel.files import write_atomic
from reel.history.record import RenderRecord, RunId, StageRecord
from reel.keys import differences, recall
from reel.reading import read_small
from reel.store import Store
from reel.values import shortened

NAME = "render.lock"
"""Of the file, in a render's folder."""
_LARGEST = 8_000_000
"""Bytes of a lock; a film of a hundred shots has some hundred thousand."""
_HEADER = "# What the render beside this file is made of. Whether it can be made again: rotoscope verify {name}\n"
BESIDE = ("original", "source", "map_")
"""What inputs of the last stage are called that go beside the picture and are not what is shown."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class LockedStage(_Frozen):
    """An op's part in the render."""

    op: str
    version: int | None = None
    """Of the op; None: the store does not remember it any more."""
    key: Digest
    output: Digest


class RenderLock(_Frozen):
    """What a lock holds."""

    lock: Literal[1] = 1
    flow: str
    run: RunId
    folder: str = ""
    """What relative paths in the settings start from."""
    settings: dict[str, Any]
    """All that can change the result or its files."""
    sources: dict[str, Digest] = Field(default_factory=dict)
    """Files outside the store, by the settings that name them."""
    models: dict[str, str] = Field(default_factory=dict)
    packages: dict[str, str] = Field(default_factory=dict)
    environment: dict[str, str] = Field(default_factory=dict)
    """See `tasks.environment`; where stages were computed on different machines, all that occur."""
    commit: str | None = None
    dirty: bool | None = None
    shown: dict[str, Digest] = Field(default_factory=dict)
    """Stored frames and sound that the film is made of: ``frames``, ``finished``, ``sound``, or a film's shots."""
    stages: tuple[LockedStage, ...]
    files: dict[str, Digest] = Field(default_factory=dict)
    """sha256 of the exported files."""


def of_record(store: Store, record: RenderRecord, settings: Mapping[str, Any]) -> RenderLock:
    """The lock of a render whose stages are done, metrics aside.

    Args:
        settings: of the record's ``config`` those that can change the result or its files.

    Raises:
        UserError: the record holds no stage.
    """
    stages = [stage for stage in record.stages if not stage.measures]
    if not stages:
        raise UserError(f"{record.flow} {record.run}, {record.status}: it made nothing that could be locked")
    entries = [_fields(store, stage) for stage in stages]
    measured = [_fields(store, stage) for stage in record.stages if stage.measures]
    beside = measured if all(entries) else []  # of a stage that is forgotten nobody knows what it is made of
    return RenderLock(
        flow=record.flow,
        run=record.run,
        folder=record.cwd,
        settings=dict(settings),
        sources=record.sources,
        models=_without(record.models, "models", beside, entries),
        packages=_without(record.packages, "libraries", beside, entries),
        environment=_environment(stages),
        commit=record.commit,
        dirty=record.dirty,
        shown=_shown(entries[-1].get("inputs", {}), stages, record),
        stages=tuple(
            LockedStage(op=stage.op, version=fields.get("version"), key=stage.key, output=stage.digest)
            for stage, fields in zip(stages, entries, strict=True)
        ),
        files={output.name: output.sha256 for output in record.outputs if output.role in ("movie", "sheet", "preview")},
    )


def _fields(store: Store, stage: StageRecord) -> Mapping[str, Any]:
    """Fields of a stage's key; none of one that the store does not remember any more."""
    fields: Mapping[str, Any] = (recall(store, stage.key) or {}).get("fields", {})
    return fields


def _without(
    noted: Mapping[str, str], field: str, beside: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """What a record notes of all its stages without what metrics alone brought in: they are not made again.

    Args:
        field: of the keys that says what it is made of.
        beside, kept: fields of the metrics' keys, and of those of the other stages.
    """
    alone = {name for fields in beside for name in fields.get(field, {})}
    alone -= {name for fields in kept for name in fields.get(field, {})}
    return {name: value for name, value in noted.items() if name not in alone}


def _environment(stages: list[StageRecord]) -> dict[str, str]:
    """What the stages say of where they were computed, be it in an earlier render."""
    found: dict[str, dict[str, None]] = {}
    for stage in stages:
        for name, value in stage.facts.get("environment", {}).items():
            found.setdefault(name, {})[value] = None
    return {name: "; ".join(sorted(values)) for name, values in sorted(found.items())}


def _shown(inputs: Mapping[str, str], stages: list[StageRecord], record: RenderRecord) -> dict[str, str]:
    """What the last stage, which writes the files, was given to show; of a forgotten one the drawn frames."""
    made = {stage.digest for stage in stages}
    found = {name: digest for name, digest in inputs.items() if digest in made and not name.startswith(BESIDE)}
    return found or {name: digest for name, digest in record.pictures.items() if name == "frames"}


def write(folder: Path, lock: RenderLock) -> Path:
    """Lay the lock into a render's folder."""
    import yaml

    path = folder / NAME
    text = yaml.safe_dump(lock.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=1000)
    write_atomic(path, (_HEADER.format(name=NAME) + text).encode())
    return path


def read(path: Path) -> RenderLock:
    """Read a lock back.

    Raises:
        UserError: the file is no lock, or one of another version; it is named, and what is wrong with it.
    """
    import yaml

    try:
        data = yaml.safe_load(read_small(path, _LARGEST).decode("utf-8-sig"))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({shortened(str(error))})") from None
    if isinstance(data, dict) and data.get("lock") not in (None, 1):
        raise UserError(
            f"{path}: a lock of version {data['lock']!r:.40}, this Rotoscope reads version 1",
            fix="use the version of Rotoscope that wrote it",
        )
    try:
        return RenderLock.model_validate(data)
    except (ValidationError, RecursionError) as error:
        told = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": "nested too deeply"}
        where = ".".join(map(str, told["loc"]))
        raise UserError(
            f"{path} is not the lock of a render ({where}{': ' if where else ''}{told['msg']})",
            fix=f"give the {NAME} that lies in a render's folder, or the run's id (rotoscope runs)",
        ) from None


def environments(then: RenderLock, now: RenderLock) -> list[str]:
    """What two renders of the same settings were made with that differs, as ``where: then -> now``."""

    def told(lock: RenderLock) -> dict[str, Any]:
        versions = {stage.op: str(stage.version) for stage in lock.stages if stage.version is not None}
        code = {"commit": lock.commit, "changed files": lock.dirty} if lock.commit else {}
        return {"environment": lock.environment, "packages": lock.packages, "models": lock.models, "op": versions,
                "code": code}  # fmt: skip

    return differences(told(now), told(then))


def first_other(then: RenderLock, now: RenderLock) -> str | None:
    """The op of the first stage that gave something else; None: all gave the same."""
    for one, other in zip(then.stages, now.stages, strict=False):
        if one.op != other.op or one.output != other.output:
            return one.op
    return None if len(then.stages) == len(now.stages) else "a stage more or less"
