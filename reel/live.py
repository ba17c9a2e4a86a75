"""What a render tells of itself while it works: how far it is, and a small picture of the clip as it stands.

Both are for whoever looks on; no byte of a result depends on them, and a disk that refuses them stops nothing. They are
files, whole or absent::

    <store>/live/<run>.json      how far it is (`Progress`); gone when the render has ended
    <output>/preview.webp        the clip as it stands; gone when the film is there, kept of a render that broke off
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from reel.errors import UserError
from reel.files import explained, read_file
from reel.store import Store

log = logging.getLogger(__name__)
PREVIEW = "preview.webp"
TOLD = 1.0
"""Seconds between two looks at the progress, at least."""
SHARE = 0.01
"""Part of the time that pictures may take."""


@dataclass(frozen=True)
class Progress:
    """How far a render is.

    Attributes:
        stage: what it is at, in a word: ``denoise``.
        unit: what is counted: ``step``, ``frame``.
        done, total: of the stage.
        left: seconds that the stage still takes at its speed so far; None: too early to say.
        expected: seconds that the whole render was to take, as past runs told before it began; None: nothing was known.
        began, updated: seconds since the epoch.
    """

    stage: str
    unit: str
    done: int
    total: int
    left: float | None
    expected: float | None
    began: float
    updated: float


def progress_path(store: Store, run: str) -> Path:
    return store.root / "live" / f"{run}.json"


def read_progress(store: Store, run: str) -> Progress | None:
    """How far a render is; None where it does not say."""
    try:
        data = json.loads(read_file(progress_path(store, run)) or b"")
        return Progress(**{field.name: data[field.name] for field in fields(Progress)})
    except (UserError, ValueError, KeyError, TypeError):
        return None


class Live:
    """Told by a render's work how far it is, and handed a picture of the clip now and then.

    Attributes:
        folder: the render's output folder, where the picture lies.
        every: seconds between two pictures, at least; 0: none are made.
        terminal: how the terminal takes pictures, see `tasks.live.terminal`; ``none``: it is shown none.
    """

    def __init__(
        self,
        store: Store,
        run: str,
        folder: Path,
        *,
        every: float = 0.0,
        terminal: str = "none",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.every = every
        self.terminal = terminal
        self._store = store
        self._path = progress_path(store, run)
        self._clock = clock
        self._began = time.time()
        self._expected: float | None = None
        self._told: tuple[str, float] = ("", 0.0)
        self._next_picture = 0.0
        self._made_folder = False
        self._refused = not store.writable

    def expect(self, seconds: float | None) -> None:
        """Say how long the whole render will take, before it begins."""
        self._expected = seconds

    def step(self, stage: str, unit: str, done: int, total: int, left: float | None) -> None:
        """Say how far a stage is; most calls cost nothing."""
        now = self._clock()
        if self._told[0] == stage and now - self._told[1] < TOLD and done < total:
            return
        self._told = (stage, now)
        found = Progress(stage, unit, done, total, left, self._expected, self._began, time.time())
        self._quietly(lambda: _replace(self._path, lambda draft: draft.write_text(json.dumps(asdict(found)), "utf-8")))

    def picture_is_due(self) -> bool:
        """Whether enough time has gone by since the last picture, also for what that one cost."""
        return self.every > 0 and not self._refused and self._clock() >= self._next_picture

    def picture(self, write: Callable[[Path], object]) -> None:
        """Have the picture written anew; the time of that decides when the next one is due (see `SHARE`).

        Args:
            write: makes the picture and writes it to the path that it is given.
        """
        started = self._clock()
        self._made_folder = self._made_folder or not self.folder.exists()
        self._quietly(lambda: _replace(self.folder / PREVIEW, write))
        ended = self._clock()
        self._next_picture = ended + max(self.every, (ended - started) / SHARE)

    def close(self, *, done: bool) -> None:
        """The render has ended: nothing says how far it is any more, and a film takes the picture's place."""
        for path in (self._path, *([self.folder / PREVIEW] if done else [])):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        if self._made_folder:
            with contextlib.suppress(OSError):  # the files are those of an earlier render, and lie in that one's folder
                self.folder.rmdir()

    def _quietly(self, write: Callable[[], None]) -> None:
        """What the disk refuses is said once; the render goes on."""
        if self._refused:
            return
        try:
            write()
        except (OSError, UserError) as error:
            self._refused = True
            log.warning("no preview and no progress for onlookers: %s", error)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """As `reel.files.write_atomic`, and not synced: what is lost with the machine's power is lost with its render."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(draft)
            draft.replace(path)
        finally:
            with contextlib.suppress(OSError):
                draft.unlink()
