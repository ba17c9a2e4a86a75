"""Searches on disk: what each is about, under ``<store>/searches/<id>/``.

``search.json`` says what is searched, over which space and for what; ``study.log`` is Optuna's journal
(`tasks.search.optuna_study`). The id is worked out from the former, so that the same command
goes on with the same search.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from reel import clock
from reel.canonical import canonical
from reel.config import suggest
from reel.errors import UserError
from reel.files import canonical_json, read_file, sha256_bytes, write_atomic
from reel.keys import differences
from reel.search.goals import Goal, front
from reel.search.search_axes import Axis
from reel.store import Store
from tasks.search.optuna_study import Study

log = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class Definition(BaseModel):
    """What makes a search this one and no other, and what is needed to render one of its points in full."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    id: str
    created: datetime
    about: dict[str, Any]
    """Everything that changes what a trial's numbers are, canonical."""
    settings: dict[str, Any]
    """The whole settings that trials start from, as they were given first."""
    rungs: tuple[str, ...] = ()
    """Levels of effort, cheapest first; the last is the whole clip."""
    space: tuple[Axis, ...] = ()
    goals: tuple[Goal, ...] = ()

    def study(self, store: Store, *, alone: bool = True) -> Study:
        """Its trials.

        Args:
            alone: whether the caller holds the search's lock; otherwise it may only read.
        """
        sampler, seed = self.about["sampler"], self.about["seed"]
        return Study(folder(store, self.id), self.rungs, self.space, self.goals, sampler, seed, alone=alone)


def folder(store: Store, id: str) -> Path:
    return store.root / "searches" / id


def lock(store: Store, id: str) -> contextlib.AbstractContextManager[bool]:
    """Held by the process that works on a search; yields whether it was free."""
    return store.lock(f"search-{id}", wait=False)


def new(name: str, about: Mapping[str, Any], settings: Mapping[str, Any]) -> Definition:
    """A search that is not on disk yet.

    Args:
        name: chosen by the user; empty: worked out from ``about``.

    Raises:
        UserError: the name is none.
    """
    plain = canonical(about)
    id = name or _id(plain)
    if not _NAME.fullmatch(id):
        raise UserError(f"search.name: {name!r} is not a valid name", fix="letters, digits, '.', '_' and '-'")
    return Definition(id=id, created=clock.now(), about=plain, settings=canonical(settings))


def opened(store: Store, wanted: Definition) -> Definition:
    """Begin a search, or go on with the one of its name.

    Raises:
        UserError: that one has other settings, or its file is damaged and they are unknown.
    """
    path = folder(store, wanted.id) / "search.json"
    if not path.exists():
        return _write(path, wanted)
    try:
        known = _read(path)
    except UserError as error:
        if wanted.id != _id(wanted.about):
            raise
        log.warning("%s; written again: the search's id says what it was", error.message)
        return _write(path, wanted)
    if known.about != wanted.about:
        changed = differences(wanted.about, known.about)
        shown = "; ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        raise UserError(
            f"search {wanted.id} is one of other settings ({shown}): its trials cannot be compared with new ones",
            fix="another search.name, or the settings that it began with",
        )
    return known


def find(store: Store, name: str) -> Definition:
    """A search by its id or the beginning of it.

    Raises:
        UserError: there is none, or several; the message lists what there is.
    """
    ids = sorted(path.parent.name for path in (store.root / "searches").glob("*/search.json"))
    fits = [name] if name in ids else [id for id in ids if id.startswith(name)]
    if len(fits) == 1:
        return _read(folder(store, fits[0]) / "search.json")
    listed = ", ".join(ids[:8]) + (" ..." if len(ids) > 8 else "")
    raise UserError(
        f"{len(fits) or 'no'} searches fit {name!r}{suggest(name, ids)}",
        fix=f"search.name=<one of these>: {listed}"
        if ids
        else "run the search first: the same command without promote",
    )


def point(known: Definition, store: Store, number: int) -> Mapping[str, float]:
    """The values of a trial.

    Raises:
        UserError: the search has no such trial; those that went furthest are listed.
    """
    with lock(store, known.id) as free:
        study = known.study(store, alone=free)
    trials = {trial.number: trial for name in known.rungs for trial in study.trials(name) if not trial.failed}
    if number in trials:
        return trials[number].point
    best = front([trial.scored(known.goals) for trial in study.trials(known.rungs[-1]) if not trial.failed])
    shown = ", ".join(str(one) for one in sorted(trials)) or "none yet"
    raise UserError(
        f"promote: search {known.id} has no trial {number}",
        fix=f"on its front: {', '.join(str(one.name) for one in best)}; all: {shown}" if best else f"trials: {shown}",
    )


def _id(about: Mapping[str, Any]) -> str:
    return f"search-{sha256_bytes(canonical_json(about))[:8]}"


def _write(path: Path, definition: Definition) -> Definition:
    data = definition.model_dump(mode="json")
    envelope = {"sha256": sha256_bytes(canonical_json(data)), "search": data}
    write_atomic(path, json.dumps(envelope, indent=1, ensure_ascii=False).encode() + b"\n")
    return definition


def _read(path: Path) -> Definition:
    try:
        data = json.loads(read_file(path) or b"")
        if "search" in data:  # 0.2.0 and before wrote it without a checksum
            if sha256_bytes(canonical_json(data["search"])) != data["sha256"]:
                raise ValueError("its checksum does not fit")
            data = data["search"]
        return Definition.model_validate(data)
    except (ValueError, TypeError, KeyError, RecursionError, ValidationError) as error:
        raise UserError(
            f"{path}: damaged ({str(error).splitlines()[0]})",
            fix="delete its folder: what was rendered stays cached, the search asks for it again",
        ) from None
