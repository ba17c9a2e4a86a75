"""What `serve` keeps on disk between its runs, in ``<store>/serve/``.

::

    serve.lock           held by the one that serves from this store
    alive.json           when it was last up, so that the next one knows what was missed
    runs/<flow run>.lock held by the process that renders: free means that nobody does
    restarts/<flow run>  how often an interrupted run was started again
    inbox/<deployment>/<digest>.json   one file a clip that was handed over
"""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from reel.errors import UserError
from reel.files import flocked, read_file, read_regular, write_atomic


class Entry(BaseModel):
    """A clip of a watched folder that was handed over.

    Attributes:
        files: where it lay: path -> size (bytes) and time of change (ns), by which it is known again without reading.
        flow_run: Prefect's run for it; empty until there is one.
        state: that run's last state, as far as it was seen.
    """

    digest: str
    files: dict[str, tuple[int, int]]
    flow_run: str = ""
    attempt: int = 1
    state: str = ""
    submitted: datetime.datetime


class State:
    """The folder and its files."""

    def __init__(self, store: Path) -> None:
        self.folder = store.absolute() / "serve"

    @contextlib.contextmanager
    def sole(self) -> Iterator[None]:
        """Be the only one that serves from this store.

        Raises:
            UserError: another one does.
        """
        with flocked(self.folder / "serve.lock", wait=False) as held:
            if not held:
                raise UserError(
                    f"another `rotoscope serve` is up on this store ({self.folder.parent})",
                    fix="stop that one, or give this one a store of its own: paths.store=...",
                )
            yield

    def last_alive(self) -> datetime.datetime | None:
        """When something was last served from this store."""
        try:
            return datetime.datetime.fromisoformat(json.loads(read_regular(self.folder / "alive.json"))["at"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def alive(self, at: datetime.datetime) -> None:
        write_atomic(self.folder / "alive.json", json.dumps({"at": at.isoformat()}).encode())

    @contextlib.contextmanager
    def rendering(self, flow_run: str) -> Iterator[None]:
        """Held while a flow run's process lives; the kernel frees it however the process ends."""
        with flocked(self._lock(flow_run)):
            try:
                yield
            finally:
                self._lock(flow_run).unlink(missing_ok=True)

    def is_rendering(self, flow_run: str) -> bool:
        path = self._lock(flow_run)
        if not path.exists():
            return False
        with flocked(path, wait=False) as free:
            return not free

    def restarts(self, flow_run: str) -> int:
        """How often a run was started again. The server counts those alone that got as far as to run."""
        data = read_file(self._restarts(flow_run)) or b""
        return int(data) if data.isdigit() else 0

    def restarted(self, flow_run: str) -> None:
        """Count one more."""
        write_atomic(self._restarts(flow_run), str(self.restarts(flow_run) + 1).encode())

    def forget_restarts(self, flow_run: str) -> None:
        """The run has ended by itself."""
        self._restarts(flow_run).unlink(missing_ok=True)

    def _restarts(self, flow_run: str) -> Path:
        return self.folder / "restarts" / flow_run

    def _lock(self, flow_run: str) -> Path:
        return self.folder / "runs" / f"{flow_run}.lock"

    def entries(self, deployment: str) -> dict[str, Entry]:
        """Clips that were handed over, by digest."""
        found: dict[str, Entry] = {}
        for path in sorted((self.folder / "inbox" / deployment).glob("[!.]*.json")):
            with contextlib.suppress(
                OSError, ValidationError
            ):  # written whole or not at all; a foreign file is no entry
                entry = Entry.model_validate_json(read_regular(path))
                found[entry.digest] = entry
        return found

    def write(self, deployment: str, entry: Entry) -> None:
        path = self.folder / "inbox" / deployment / f"{entry.digest}.json"
        write_atomic(path, entry.model_dump_json(indent=1).encode())


def plain(value: Any) -> str:
    """A time for people, on the clock of the wall."""
    return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
