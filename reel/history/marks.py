"""What a person thinks of a render: stars and a note, beside its record, which never changes again.

<store>/marks/<run>.json
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from reel.errors import UserError
from reel.files import canonical_json, read_file, write_atomic
from reel.history.record import RUN_ID
from reel.store import Store

STARS = 5
LONGEST = 4000
"""Characters of a note."""


@dataclass(frozen=True)
class Marks:
    """Stars 0 to 5 and a note; none of both: nobody has said anything."""

    stars: int = 0
    note: str = ""

    def __post_init__(self) -> None:
        if type(self.stars) is not int or not 0 <= self.stars <= STARS:
            raise ValueError(f"stars: must be a whole number from 0 to {STARS}")
        if type(self.note) is not str or len(self.note) > LONGEST or "\0" in self.note:
            raise ValueError(f"note: must be a text of at most {LONGEST} characters")


def marks_path(store: Store, run: str) -> Path:
    """Raises:
    UserError: it is no run's id, and would be a path.
    """
    if not RUN_ID.fullmatch(run):
        raise UserError(f"{run!r:.60} is not a run's id", fix="see what there is: rotoscope runs")
    return store.root / "marks" / f"{run}.json"


def read(store: Store, run: str) -> Marks:
    """The marks of a render; none where there are none, or what is there is no such file."""
    try:
        found = json.loads(read_file(marks_path(store, run)) or b"{}")
        return Marks(**{name: found[name] for name in ("stars", "note") if name in found})
    except (UserError, ValueError, TypeError):
        return Marks()


def read_all(store: Store) -> dict[str, Marks]:
    """The marks of all renders that have any."""
    runs = [path.stem for path in (store.root / "marks").glob("*.json") if RUN_ID.fullmatch(path.stem)]
    return {run: read(store, run) for run in runs}


def write(store: Store, run: str, marks: Marks) -> None:
    """Keep the marks of a render.

    Raises:
        UserError: no such render, or the disk refuses.
    """
    path = marks_path(store, run)
    if not (store.root / "records" / f"{run}.json").is_file():
        raise UserError(f"there is no render {run}", fix="see what there is: rotoscope runs")
    if marks == Marks():
        path.unlink(missing_ok=True)
        return
    write_atomic(path, canonical_json(asdict(marks)) + b"\n")
