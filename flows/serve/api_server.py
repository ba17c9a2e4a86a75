"""The Prefect server as `serve` needs it: the project's own one started, any other one reached and asked."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL

from flows.prefect_server import servers
from flows.prefect_server.login import CLIENT
from reel.config import suggest
from reel.errors import UserError

_STARTING = threading.Lock()


def start_local(store: Path, say: Callable[[str], None], port: int | None = None) -> str:
    """Start the project's own Prefect server, or find it up.

    Args:
        say: is told that it was started.

    Returns:
        the address of its API.
    """
    with _STARTING:
        server, new = servers.up(store, "prefect", port)
    os.environ.update(servers.access(store, server.api, server))
    if new:
        say(f"Prefect server started: {server.url} (rotoscope down stops it)")
    return server.api


def reach(url: str) -> dict[Any, Any]:
    """Prefect's settings for a server: its address, and the log-in that this process has for it."""
    login = os.environ.get(CLIENT)
    return {PREFECT_API_URL: url, **({PREFECT_API_AUTH_STRING: login} if login else {})}


def is_starting() -> bool:
    """Whether a thread of this process is about to start it."""
    return _STARTING.locked()


async def check_pool(name: str) -> None:
    """
    Raises:
        UserError: the server has no such work pool.
    """
    from prefect.exceptions import ObjectNotFound

    async with get_client() as client:
        try:
            await client.read_work_pool(name)
        except ObjectNotFound:
            known = [pool.name for pool in await client.read_work_pools()]
            raise UserError(
                f"work_pool: the Prefect server has no work pool {name!r}{suggest(name, known)}",
                fix=f"prefect work-pool create {name} --type process",
            ) from None


async def unreachable() -> Exception | None:
    """Why the Prefect server does not answer; None when it does."""
    try:
        async with asyncio.timeout(10):
            async with get_client() as client:
                return await client.api_healthcheck()
    except Exception as error:
        return error
