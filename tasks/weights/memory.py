"""Models stay loaded between the renders of one process: a small LRU, emptied when memory gets short."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import resource
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from reel.startup import loading

log = logging.getLogger(__name__)
T = TypeVar("T")
HEADROOM = 1 << 30
"""Bytes kept free beside the models themselves."""


@dataclass
class _Entry:
    value: Any
    size: int


class LoadedModels:
    """Loaded models by what they were made of, the least recently used one first out.

    Args:
        most: entries kept at most.
        available: bytes of memory that can still be had (replaced in tests).
    """

    def __init__(self, most: int = 12, available: Callable[[], int] | None = None) -> None:
        self._most = most
        self._available = available or available_memory
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, key: str, size: int, build: Callable[[], T]) -> T:
        """The model of that key, built if it is not loaded; older ones go first when ``size`` bytes are not free."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key].value
            self.make_room(size)
            with loading():
                value = build()
            self._entries[key] = _Entry(value, size)
            while len(self._entries) > self._most:
                self._drop_oldest()
            return value

    def make_room(self, size: int, keep: frozenset[str] = frozenset()) -> int:
        """Drop the oldest entries until ``size`` bytes and some headroom are free; returns how many went."""
        dropped = 0
        with self._lock:
            for key in [k for k in self._entries if k not in keep]:
                if self._available() >= size + HEADROOM:
                    break
                self._drop(key)
                dropped += 1
        return dropped

    def free(self, keep: frozenset[str] = frozenset()) -> int:
        """Drop everything but ``keep`` and give back what memory is free; returns how many went."""
        with self._lock:
            gone = [key for key in self._entries if key not in keep]
            for key in gone:
                log.info("freeing a loaded model: %s", key)
                del self._entries[key]
            give_back()
        return len(gone)

    def keys(self) -> list[str]:
        """Keys, the least recently used first."""
        return list(self._entries)

    def _drop_oldest(self) -> None:
        self._drop(next(iter(self._entries)))

    def _drop(self, key: str) -> None:
        log.info("freeing a loaded model: %s", key)
        del self._entries[key]
        give_back()


def give_back() -> None:
    """Return memory that is free and still held: by cycles of objects, by CUDA's cache, by the C allocator's heap.

    glibc keeps what was freed for the next allocation of its own; oneDNN takes room for its code elsewhere.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # another C library than glibc
            ctypes.CDLL(None).malloc_trim(0)


def available_memory() -> int:
    """Bytes of main memory that this process can still take: the machine's, its container's, its own limit's."""
    import psutil

    room = [int(psutil.virtual_memory().available)]
    with contextlib.suppress(OSError, ValueError):  # "max" is no number: no limit
        group = Path("/sys/fs/cgroup")
        room.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        room.append(limit - int(psutil.Process().memory_info().vms))
    return max(0, min(room))


LOADED = LoadedModels()
"""The process's loaded models."""
