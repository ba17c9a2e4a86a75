"""What a sweep keeps on disk: its definition (`manifest.json`) and how far each point is (`points/<n>.json`).

`reel.history.sweep` reads and writes these; who holds which point's lock decides there what a state means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from reel.errors import UserError
from reel.files import canonical_json, read_file, sha256_bytes, write_atomic
from reel.store import Store

SCHEMA = 1

PointStatus = Literal["pending", "running", "done", "failed"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Axis(_Frozen):
    """What varies over a sweep, independently of the other axes; paired keys vary together and are one axis."""

    keys: tuple[str, ...]
    """Settings keys or config groups."""
    values: tuple[tuple[str, ...], ...]
    """For each step of the axis the value of every key, as text."""

    @property
    def name(self) -> str:
        return " & ".join(self.keys)


class Planned(_Frozen):
    """A point as it was asked for."""

    index: int
    overrides: tuple[str, ...]
    """The point's settings as Hydra takes them, literal texts quoted."""
    values: dict[str, str]
    """Text of the value by key of every axis, paired keys each on its own."""
    digest: str
    """Digest of the canonical settings and of the files that they name: changed ones make the point pending again."""


class State(_Frozen):
    """How far a point is."""

    status: PointStatus = "pending"
    digest: str = ""
    """Settings that this is about."""
    reason: str | None = None
    """Why it failed, one line first."""
    kind: str | None = None
    """Class of the error that it failed with."""
    run: str | None = None
    """Id of its render record, once it has one."""
    seconds: float | None = None
    """Wall seconds of the last attempt."""
    attempts: int = 0
    """How often it was begun."""
    deaths: int = 0
    """How many processes died at it since it was last done or failed, while the one that drives the sweep lived on."""
    driver: str = ""
    """Id of the process that works on the sweep as a whole and had it begun."""
    started: datetime | None = None
    host: str = ""
    pid: int = 0


@dataclass(frozen=True)
class Point:
    """A point and how far it was when `Manifest.points` looked."""

    planned: Planned
    state: State

    @property
    def index(self) -> int:
        return self.planned.index

    @property
    def overrides(self) -> tuple[str, ...]:
        return self.planned.overrides

    @property
    def values(self) -> Mapping[str, str]:
        """Text of the value by key of every axis."""
        return self.planned.values

    @property
    def status(self) -> PointStatus:
        return self.state.status

    @property
    def reason(self) -> str | None:
        return self.state.reason

    @property
    def run(self) -> str | None:
        """Id of its render record; None while there is none."""
        return self.state.run

    @property
    def seconds(self) -> float | None:
        return self.state.seconds

    @property
    def attempts(self) -> int:
        return self.state.attempts

    @property
    def label(self) -> str:
        """The point in a line: its number and what varies."""
        return f"#{self.index} {' '.join(f'{key}={value}' for key, value in self.values.items())}".rstrip()


class Definition(_Frozen):
    """A sweep as it was asked for."""

    id: str
    flow: str
    overrides: tuple[str, ...]
    axes: tuple[Axis, ...]
    points: tuple[Planned, ...]
    created: datetime


def sweep_id(flow: str, overrides: Sequence[str]) -> str:
    """``<flow>-<8 hex digits>``, from the flow and the overrides that span the sweep, in whatever order they stand."""
    ordered = sorted(overrides, key=lambda text: re.split("=", text.lstrip("+~"), maxsplit=1)[0])
    return f"{flow}-{sha256_bytes(canonical_json([flow, *ordered]))[:8]}"


def sweeps_folder(store: Store) -> Path:
    return store.root / "sweeps"


def sweep_ids(store: Store) -> list[str]:
    """Ids of the store's sweeps, sorted."""
    return sorted(path.parent.name for path in sweeps_folder(store).glob("*/manifest.json"))


def manifest_path(store: Store, id: str) -> Path:
    return sweeps_folder(store) / id / "manifest.json"


def read_definition(path: Path) -> Definition:
    """A sweep's definition.

    Raises:
        FileNotFoundError: there is none.
        UserError: it is damaged, or of another version.
    """
    data = read_file(path)
    if data is None and not path.exists():
        raise FileNotFoundError(path)
    try:
        envelope = json.loads(data or b"")
        if envelope["schema"] != SCHEMA:
            raise ValueError(f"sweep schema {envelope['schema']}, this version reads {SCHEMA}")
        if sha256_bytes(canonical_json(envelope["sweep"])) != envelope["sha256"]:
            raise ValueError("its checksum does not fit")
        return Definition.model_validate(envelope["sweep"])
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        told = str(error).splitlines()[0] if isinstance(error, ValueError) else "it is not a JSON object of a sweep"
        raise UserError(
            f"{path}: damaged manifest ({told})",
            fix="start the sweep's command again: it is written again, and finished points stay finished",
        ) from None


def write_definition(path: Path, definition: Definition) -> None:
    """Write it whole, with a checksum of its own."""
    data = definition.model_dump(mode="json")
    envelope = {"schema": SCHEMA, "sha256": sha256_bytes(canonical_json(data)), "sweep": data}
    write_atomic(path, json.dumps(envelope, indent=1, ensure_ascii=False).encode() + b"\n")


def continued(old: Definition, new: Definition) -> Definition:
    """The sweep in the order of its first start, with overrides and digests of now."""
    found = {_place(point): point for point in new.points}
    if len(found) != len(old.points) or any(_place(point) not in found for point in old.points):
        return new  # glob(*) spans other points now
    points = (
        found[_place(point)].model_copy(update={"index": point.index, "values": point.values}) for point in old.points
    )
    return old.model_copy(update={"points": tuple(points)})


def grown(old: Definition, new: Definition) -> Definition:
    """The sweep with the points of a later start behind those that it had, as they are now; none is taken away.

    Both have the same axes, of which a later start may name other values.
    """
    found = {_place(point): point for point in new.points}
    before = {_place(point) for point in old.points}
    kept = [found.get(_place(point), point).model_copy(update={"index": point.index}) for point in old.points]
    added = [point for point in new.points if _place(point) not in before]
    points = [*kept, *(point.model_copy(update={"index": len(kept) + n}) for n, point in enumerate(added))]
    axes = [
        axis.model_copy(update={"values": tuple(dict.fromkeys([*axis.values, *later.values]))})
        for axis, later in zip(old.axes, new.axes, strict=True)
    ]
    return new.model_copy(update={"points": tuple(points), "axes": tuple(axes), "created": old.created})


def _place(point: Planned) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(point.values.items()))
