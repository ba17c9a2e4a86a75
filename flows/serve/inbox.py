"""A watched folder: each file that is dropped there becomes one run of its deployment: a clip, a picture, a story.

A file is taken when it has not grown for a while and is what the flow takes (`flows.flow.Drop`). What was taken is
remembered by content, so that a restart, a copy or another name does not render it again. What lies beside it may say
how it is rendered (`flows.serve.beside`); new words for it are a new run. Files are read, never moved or removed.
"""

from __future__ import annotations

import asyncio
import datetime
import fnmatch
import time
from pathlib import Path
from typing import Any

from flows.flow import Drop
from flows.serve import allow, beside
from flows.serve.recover import REFUSED, Say
from flows.serve.register import Registered
from flows.serve.settings import Serve, Watch
from flows.serve.state import Entry, State
from reel.errors import UserError
from reel.files import sha256_bytes

LOOK_EVERY = 30.0
"""Seconds between two looks at the whole folder, whatever the system tells of changes."""

_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".tmp", ".filepart")

Stamp = tuple[int, int]
"""Size (bytes) and time of change (ns) of a clip and the files beside it: of all together, and of the newest."""


class Inbox:
    """One deployment's folder."""

    def __init__(self, settings: Serve, served: Registered, state: State, say: Say) -> None:
        assert served.plan.deployment.watch
        assert served.plan.target.drop
        self.watch: Watch = served.plan.deployment.watch
        self.drop: Drop = served.plan.target.drop
        self.patterns = self.drop.patterns if self.watch.patterns is None else self.watch.patterns
        self.settings = settings
        self.folder = settings.absolute(self.watch.folder)
        self.served = served
        self.state = state
        self.say = say
        self.name = served.plan.name
        self.entries = state.entries(self.name)
        self.known: dict[str, Stamp] = {
            path: stamp for entry in self.entries.values() for path, stamp in entry.files.items()
        }
        self.growing: dict[Path, tuple[Stamp, float]] = {}  # and since when it is so (seconds)
        self.told: set[tuple[Path, Stamp]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until told to stop; clips that were dropped before are found at once."""
        from watchfiles import awatch

        self.folder.mkdir(parents=True, exist_ok=True)
        looked = 0.0
        changes = awatch(
            self.folder,
            stop_event=stop,
            recursive=False,
            yield_on_timeout=True,
            rust_timeout=1000,
            debounce=400,
            force_polling=self.watch.force_polling,
            watch_filter=None,
        )
        async for change in changes:
            if change or self.growing or time.monotonic() - looked > LOOK_EVERY:
                looked = time.monotonic()
                await self.look()

    async def look(self) -> None:
        """Go through the folder once, and hand over what is ready."""
        now = time.monotonic()
        present = self._candidates()
        self.growing = {path: known for path, known in self.growing.items() if path in present}
        for path, stamp in present.items():
            if self.known.get(str(path)) == stamp or (path, stamp) in self.told:
                self.growing.pop(path, None)
            elif path not in self.growing or self.growing[path][0] != stamp:
                self.growing[path] = (stamp, now)
            elif now - self.growing[path][1] >= self.watch.stable_seconds:
                await self._take(path, stamp)

    def _candidates(self) -> dict[Path, Stamp]:
        found: dict[Path, Stamp] = {}
        for path in sorted(self.folder.iterdir()):
            if path.name.startswith(".") or path.suffix.lower() in _UNFINISHED:
                continue
            if path.suffix.lower() in beside.ENDINGS and not self._fits(path):  # it counts with what it lies beside
                continue
            if path.is_file() and (stamp := _stamp(path)) is not None:
                found[path] = stamp
        return found

    def _fits(self, path: Path) -> bool:
        return any(fnmatch.fnmatchcase(path.name.lower(), pattern.lower()) for pattern in self.patterns)

    async def _take(self, path: Path, stamp: Stamp) -> None:
        if not self._fits(path):
            return self._refuse(path, stamp, f"matches none of {', '.join(self.patterns)}")
        if not path.resolve().is_relative_to(self.folder):
            return self._refuse(path, stamp, "is a link out of the folder")
        deployment, flow = self.served.plan.deployment, self.served.plan.target
        try:
            said = beside.overrides(self.settings, deployment, flow.settings, path)
            allow.check_named(self.settings, deployment, self.drop, path)
            digest = await asyncio.to_thread(self.drop.digest, path)
        except UserError as error:
            return self._refuse(path, stamp, error.message)
        except OSError as error:
            return self._refuse(path, stamp, f"cannot be read ({error.strerror})")
        if _stamp(path) != stamp:  # it grew while it was read
            return None
        if said:
            digest = sha256_bytes("\n".join([digest, *said]).encode())
        await self._hand_over(path, stamp, digest)

    async def _hand_over(self, path: Path, stamp: Stamp, digest: str) -> None:
        entry = self.entries.get(digest)
        if entry is None:
            now = datetime.datetime.now(datetime.UTC)
            entry = Entry(digest=digest, files={str(path): stamp}, submitted=now)
            if not await self._submit(entry, path):
                return
            words = ", ".join(file.name for file in beside.files(path))
            self.say(f"{self.name}: {path.name} is queued{f', with {words}' if words else ''}")
        else:
            entry.files[str(path)] = stamp
            self.say(f"{self.name}: {path.name} holds what was taken before ({entry.submitted:%Y-%m-%d %H:%M})")
        self.state.write(self.name, entry)
        self.entries[digest] = entry
        self.known[str(path)] = stamp
        self.growing.pop(path, None)

    async def _submit(self, entry: Entry, path: Path) -> bool:
        """Make the run for a clip; asked twice, the server makes one. False: not now, the server is away."""
        import httpx
        from prefect.client.orchestration import get_client

        try:
            async with get_client() as client:
                run = await client.create_flow_run_from_deployment(
                    self.served.id,
                    parameters=self._parameters(path),
                    name=f"{self.name} {path.name}",
                    idempotency_key=f"{self.served.id}-{entry.digest}-{entry.attempt}",
                )
        except httpx.HTTPError as error:
            self.say(f"{self.name}: {path.name} waits: the Prefect server does not take it ({error})")
            return False
        entry.flow_run, entry.state = str(run.id), ""
        return True

    def _parameters(self, path: Path) -> dict[str, Any]:
        """Of the clip's run: what lies beside it comes behind the deployment's own overrides."""
        deployment, target = self.served.plan.deployment, self.served.plan.target
        found: dict[str, Any] = {self.drop.key: str(path)}
        if said := beside.overrides(self.settings, deployment, target.settings, path):
            found["overrides"] = [*deployment.overrides, *said]
        return found

    async def follow(self, client: Any) -> None:
        """Tell how the clips' runs ended; make a run anew that the server has lost."""
        from prefect.exceptions import ObjectNotFound

        for entry in list(self.entries.values()):
            if entry.state in ("COMPLETED", "FAILED", "CANCELLED"):
                continue
            path = Path(next(reversed(entry.files)))
            try:
                run = await client.read_flow_run(entry.flow_run)
            except ObjectNotFound:
                if not path.is_file():
                    continue
                await self._anew(entry, path, "the server knows nothing of it")
                continue
            kind = str(run.state.type.value) if run.state else ""
            if kind == "FAILED" and (run.state.message or "").startswith(REFUSED) and path.is_file():
                await self._anew(entry, path, "its run was refused")  # the deployment had been changed
            elif kind != entry.state:
                entry.state = kind
                self.state.write(self.name, entry)
                if kind == "COMPLETED":
                    self.say(f"{self.name}: {path.name} is rendered")
                elif kind in ("FAILED", "CANCELLED"):
                    self.say(f"{self.name}: {path.name} {kind.lower()}: {run.state.message or ''}")

    async def _anew(self, entry: Entry, path: Path, why: str) -> None:
        entry.attempt += 1
        if await self._submit(entry, path):
            self.say(f"{self.name}: {path.name} is queued again: {why}")
            self.state.write(self.name, entry)

    def _refuse(self, path: Path, stamp: Stamp, why: str) -> None:
        self.told.add((path, stamp))
        self.growing.pop(path, None)
        self.say(f"{self.name}: {path.name} is left alone: {why.removeprefix(f'{self.drop.key}: ')}")


def _stamp(path: Path) -> Stamp | None:
    """None for what is gone meanwhile, and for a dangling link."""
    try:
        facts = [one.stat() for one in (path, *beside.files(path))]
    except OSError:
        return None
    return sum(one.st_size for one in facts), max(one.st_mtime_ns for one in facts)
