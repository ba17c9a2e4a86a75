"""Prefect's background services, which tell the server of events and logs: waited for, but not for ever.

Left to themselves they are waited for at the end of the process, for as long as the server takes. One that answers no
more would keep a command that is done, or that was interrupted, from ending.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import Any

DONE, INTERRUPTED = 10.0, 3.0
"""Seconds in which they may hand over what they have, after a command that is done and one that was interrupted."""


@contextlib.contextmanager
def handed_over() -> Iterator[None]:
    """What they have for the server is with it when the block is left, or given up."""
    seconds = DONE
    try:
        yield
    except KeyboardInterrupt:
        seconds = INTERRUPTED
        raise
    finally:
        _hand_over(seconds)


def _hand_over(seconds: float) -> None:
    active = [one for one in _active() if one._started and not one._stopped]
    if not active:
        return
    from concurrent.futures import wait

    tasks = _tasks(active)  # a service forgets its own when it is told to end
    through = False
    try:
        through = not wait([one._drain(at_exit=True) for one in active], seconds).not_done
    finally:  # an interruption, too
        if not through:
            _cancel(tasks)


def let_go() -> None:
    """End them: at the end of the process they would try for minutes to hand over what they have."""
    _cancel(_tasks(_active()))


def _active() -> list[Any]:
    """None where Prefect was not imported."""
    known = sys.modules.get("prefect._internal.concurrency.services")
    return list(known._active_services) if known is not None else []


def _tasks(active: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Event loop and task of each service."""
    return [(one._loop, one._task) for one in active]


def _cancel(tasks: Sequence[tuple[Any, Any]]) -> None:
    if tasks:
        logging.getLogger("prefect._internal.concurrency").addFilter(_unheard)  # it would tell of each of them
    for loop, task in tasks:
        if loop is not None and task is not None and loop.is_running():
            loop.call_soon_threadsafe(task.cancel)


def _unheard(record: logging.LogRecord) -> bool:
    return False


__all__ = ["handed_over", "let_go"]
