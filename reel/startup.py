"""What a process pays once, told apart from an op's own work: importing libraries and loading models.

The first op of a process that needs torch and diffusers imports them for seconds, wherever its code first says
``import``; a forecast must not expect that of the next call. So imports are timed where Python makes them: while an op
is watched, its thread goes through a timed ``__import__`` and ``import_module`` (which libraries use that import
lazily).
"""

from __future__ import annotations

import builtins
import contextlib
import contextvars
import importlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

Kind = Literal["importing", "loading"]


class Watch:
    """Seconds of one op, by what they were spent on; an import within a loading counts as importing.

    Attributes:
        importing: libraries.
        loading: models, from disk into memory.
    """

    def __init__(self) -> None:
        self.importing = self.loading = 0.0
        self._within: list[Kind] = []
        self._since = 0.0

    def busy_with(self, kind: Kind) -> bool:
        return bool(self._within) and self._within[-1] == kind

    def begin(self, kind: Kind) -> None:
        self._count()
        self._within.append(kind)

    def end(self) -> None:
        self._count()
        self._within.pop()

    def _count(self) -> None:
        now = time.perf_counter()
        if self._within:
            kind = self._within[-1]
            setattr(self, kind, getattr(self, kind) + now - self._since)
        self._since = now


_watch: contextvars.ContextVar[Watch | None] = contextvars.ContextVar("watch", default=None)
"""Of this thread; what an op has done by other threads is its own work."""


@contextlib.contextmanager
def watched() -> Iterator[Watch]:
    """Times what this thread imports and loads inside."""
    watch = Watch()
    token = _watch.set(watch)
    try:
        with _HOOK:
            yield watch
    finally:
        _watch.reset(token)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """A model is loaded inside."""
    watch = _watch.get()
    if watch is None or watch.busy_with("loading"):
        yield
        return
    watch.begin("loading")
    try:
        yield
    finally:
        watch.end()


def _timed(load: Callable[..., Any]) -> Callable[..., Any]:
    """An importing function that the thread's watch sees; the outermost of nested imports counts."""

    def timed(*args: Any, **kwargs: Any) -> Any:
        watch = _watch.get()
        if watch is None or watch.busy_with("importing"):
            return load(*args, **kwargs)
        watch.begin("importing")
        try:
            return load(*args, **kwargs)
        finally:
            watch.end()

    return timed


class _Hook:
    """Python's importing functions replaced as long as any thread is watched."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._own: tuple[Any, Any] = (None, None)
        self._found: tuple[Any, Any] = (None, None)

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._found = builtins.__import__, importlib.import_module
                self._own = _timed(builtins.__import__), _timed(importlib.import_module)
                builtins.__import__, importlib.import_module = self._own

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and (builtins.__import__, importlib.import_module) == self._own:
                builtins.__import__, importlib.import_module = self._found  # unless another hook lies on top of ours


_HOOK = _Hook()
