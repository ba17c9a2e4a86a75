"""The processes of renders that Prefect's runner has started here, ended together."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any


async def end_renders(grace: float) -> None:
    """End the processes that Prefect's runner has started here for runs of flows.

    Args:
        grace: seconds between SIGTERM and SIGKILL; 0: SIGKILL at once.
    """
    import psutil

    renders = [process for process in psutil.Process().children() if _is_render(process)]
    if renders and grace:
        for process in renders:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        end = time.monotonic() + grace
        while time.monotonic() < end and any(_lives(process) for process in renders):
            await asyncio.sleep(0.05)
    for process in renders:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _is_render(process: Any) -> bool:
    import psutil

    try:
        return "PREFECT__FLOW_RUN_ID" in process.environ()
    except psutil.Error:
        return False


def _lives(process: Any) -> bool:
    import psutil

    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
