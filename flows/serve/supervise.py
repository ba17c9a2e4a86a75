"""Serving: one Prefect runner, the watched folders, and a look every few seconds at whether all is well.

Nothing here is lost when the Prefect server goes away: a render under way does not need it until its end, runs that
were interrupted go on from the store, and what was due meanwhile is dealt with as its deployment says.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import signal
import threading
import time
import urllib.parse
from collections.abc import Sequence
from typing import Any

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, PREFECT_LOGGING_EXTRA_LOGGERS, temporary_settings

from flows.prefect_server import servers
from flows.serve import api_server, guard, recover, register, served, slots
from flows.serve.guard import OwnRunner
from flows.serve.inbox import Inbox
from flows.serve.register import Plan, Registered
from flows.serve.renders import end_renders
from flows.serve.settings import Serve
from flows.serve.state import State
from reel.errors import UserError

LOOK_EVERY = 3.0
"""Seconds between two looks at the server."""

SWEEP_EVERY = 15.0
"""Seconds between two looks for interrupted runs."""

POLL_EVERY = 5.0
"""Seconds between the runner's questions for runs that are due."""

STARTING = 300.0
"""Seconds that a run may take from being taken to being under way, before it counts as interrupted."""

GRACE = 2.0
"""Seconds that renders have for closing their records before they are killed; either way they go on from the store."""

HAND_BACK = 60.0
"""Seconds that it may take at the end until a busy server knows of every run that it is to be gone on with."""

DEFAULTS: dict[Any, Any] = {
    PREFECT_CLIENT_MAX_RETRIES: 8,  # the server may be away for some minutes
    PREFECT_LOGGING_EXTRA_LOGGERS: ["flows", "tasks", "reel"],  # a run's log is on the server's page
}
"""Prefect's settings here and in the processes of runs, where you set none."""


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def say(text: str) -> None:
    print(f"{now().astimezone():%H:%M:%S} {text}", flush=True)


class Supervisor:
    """Serves plans until it is stopped. `run` blocks; `stop` may be called from another thread."""

    def __init__(self, settings: Serve, plans: Sequence[Plan], url: str, *, local: bool) -> None:
        """
        Args:
            url: address of Prefect's API.
            local: whether that server is the project's own, to be started again when it is gone.
        """
        self.settings = settings
        self.plans = plans
        self.url = url
        self.local = local
        self.state = State(settings.paths.store)
        self.served: list[Registered] = []
        self.inboxes: list[Inbox] = []
        self.began = now()
        self.ready = threading.Event()
        self.over = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def run(self, failed: list[BaseException]) -> None:
        """Serve. To be called in a thread of its own: Ctrl-C must reach the main one only, and no render.

        Args:
            failed: what ended it, if it was not `stop`, is appended here.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # of this thread; its children inherit it
        logging.getLogger("prefect.runner").setLevel(logging.WARNING)  # otherwise a line for each run that must wait
        try:
            with temporary_settings(api_server.reach(self.url), set_defaults=DEFAULTS):
                asyncio.run(self._serve())
        except BaseException as error:
            failed.append(error)
        finally:
            self.over.set()

    def stop(self) -> None:
        if self._loop and self._stop:
            with contextlib.suppress(RuntimeError):  # it is closed: over already
                self._loop.call_soon_threadsafe(self._stop.set)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(_told)
        gone = self.state.last_alive() or self.began
        await slots.make(self.settings.slots)
        while not self._stop.is_set():
            limit = self.settings.processes
            runner = OwnRunner(say, name="rotoscope", limit=limit, query_seconds=POLL_EVERY, pause_on_shutdown=False)
            await self._register(runner)
            await self._settle(gone)
            await self._until_over(runner)
            gone = self.state.last_alive() or self.began

    async def _register(self, runner: OwnRunner) -> None:
        """Tell the server of the deployments, and the runner that it shall run them, unless workers do."""
        self.served = []
        for plan in self.plans:
            made = await register.deployment(self.settings, plan)
            known = await (made.aapply() if self.settings.work_pool else runner.aadd_deployment(made))
            one = register.registered(self.settings, plan, made, known)
            runner.guard(one, served.flow_of(self.settings, plan.name))
            self.served.append(one)
        await self._hold()

    async def _hold(self) -> None:
        """Put back what others changed of the deployments; so also what a registration leaves as it finds it."""
        async with get_client() as client:
            for one in self.served:
                await guard.hold(client, one, say)

    async def _settle(self, gone: datetime.datetime) -> None:
        """After a time without serving: interrupted runs, missed runs, clips that the server forgot."""
        back = now()
        async with get_client() as client:
            if not self.settings.work_pool:  # workers may be elsewhere: what they do is not to be seen from here
                since = gone - datetime.timedelta(minutes=1)
                await recover.sweep(client, self.served, self.state, since, say)
            for one in self.served:
                await recover.catch_up(client, one, gone, back, say)
        self.state.alive(back)

    async def _until_over(self, runner: OwnRunner) -> None:
        """Run until stopped, or until the runner has given up on a server that is away for long."""
        assert self._stop
        self.inboxes = [Inbox(self.settings, one, self.state, say) for one in self.served if one.plan.deployment.watch]
        if self.settings.work_pool and not self.inboxes:  # nothing more to do here
            say(f"registered; the workers of {self.settings.work_pool} run them")
            self._stop.set()
            return
        tasks = [asyncio.create_task(self._watch(inbox)) for inbox in self.inboxes]
        tasks.append(asyncio.create_task(self._look_after()))
        running = None if self.settings.work_pool else asyncio.create_task(runner.start())
        stopped = asyncio.create_task(self._stop.wait())
        self.ready.set()
        try:
            await asyncio.wait([stopped, *([running] if running else [])], return_when=asyncio.FIRST_COMPLETED)
            if running and running.done() and not self._stop.is_set():
                say("the Prefect server was away for too long; waiting for it")
        finally:
            for task in [*tasks, stopped]:
                task.cancel()
            await asyncio.gather(*tasks, stopped, return_exceptions=True)
            if running:
                await self._end(runner, running)
        while not self._stop.is_set() and not await self._answers():
            self._revive()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_EVERY)

    async def _end(self, runner: OwnRunner, running: asyncio.Task[None]) -> None:
        """Stop the renders and the runner, and leave those to be gone on with.

        A render's process tells the server of its run to the last moment, so the server is told what becomes of it when
        no such process is left. Prefect's runner itself would wait for each up to 30 s, one after another.
        """
        runner.stopping = True
        await end_renders(GRACE)
        running.cancel()
        ended = asyncio.gather(running, return_exceptions=True)
        while not ended.done():  # it may have been about to start another one
            await end_renders(0.0)
            await asyncio.wait([ended], timeout=0.1)
        await end_renders(0.0)
        await self._hand_back()
        self.state.alive(now())

    async def _hand_back(self) -> None:
        """Tell the server of what was under way that it waits to be gone on with. A busy server may take a moment to
        answer; what cannot be told now the next start finds out.
        """
        end = time.monotonic() + HAND_BACK
        while time.monotonic() < end:
            with contextlib.suppress(Exception), temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}):
                async with get_client() as client:
                    await recover.sweep(client, self.served, self.state, self.began, say)
                    if not await recover.under_way(client, self.served):
                        return
            if await api_server.unreachable() and (not self.local or self._own() is None):
                return
            await asyncio.sleep(0.5)

    async def _look_after(self) -> None:
        """Notice that the server is away and back; start interrupted runs again; follow the clips."""
        away: datetime.datetime | None = None
        silent: datetime.datetime | None = None
        swept = now()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if not await self._answers():
                self._revive()
                if silent is None:  # once may be a busy server
                    silent = now()
                elif away is None:
                    away = silent
                    say("the Prefect server does not answer; renders under way go on, waiting for it")
                continue
            silent = None
            try:
                if away is not None:
                    say("the Prefect server is back")
                    async with get_client() as client:
                        await slots.make(self.settings.slots)
                        for one in self.served:
                            await recover.catch_up(client, one, away, now(), say)
                    away = None
                self.state.alive(now())
                if (now() - swept).total_seconds() >= SWEEP_EVERY:
                    swept = now()
                    await self._sweep()
            except Exception as error:  # the server went away in between: the next look tells
                say(f"could not look after the runs just now ({type(error).__name__}: {error})")

    async def _sweep(self) -> None:
        await self._hold()
        async with get_client() as client:
            if not self.settings.work_pool:
                await recover.sweep(client, self.served, self.state, self.began, say, age=STARTING)
            for inbox in self.inboxes:
                await inbox.follow(client)

    async def _watch(self, inbox: Inbox) -> None:
        assert self._stop
        while not self._stop.is_set():
            try:
                await inbox.run(self._stop)
            except OSError as error:  # the folder is gone, or a network drive is
                say(f"{inbox.name}: cannot watch {inbox.folder} ({error.strerror}); trying again")
                await asyncio.sleep(10)

    async def _answers(self) -> bool:
        return await api_server.unreachable() is None

    def _revive(self) -> None:
        """Start the project's own server again when its process is gone."""
        gone = self.local and self._own() is None
        if gone and not api_server.is_starting():
            say("the Prefect server has ended; starting it again")
            threading.Thread(target=self._start, daemon=True).start()

    def _own(self) -> servers.Server | None:
        """The project's own server, if its process is there."""
        return servers.running(self.settings.paths.store, "prefect")

    def _start(self) -> None:
        try:
            api_server.start_local(self.settings.paths.store, say, urllib.parse.urlsplit(self.url).port)
        except UserError as error:
            say(f"it could not be started: {error.message}")


def _told(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What no task waits for any more. Prefect's own observers are cancelled so when the server goes away."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)
