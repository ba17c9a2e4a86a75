"""Where the time goes, by kind of work; measured only when it is asked for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Clock:
    """Seconds by kind of work (``resnet+attention``, ``motion``, ``controlnet:pose``, ``scheduler``, ``decode``).

    On a GPU each measured stretch waits for the device, which costs some speed: hence off by default.
    """

    def __init__(self, on: bool = False, device: str = "cpu") -> None:
        self.on = on
        self.device = device
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def measure(self, kind: str) -> Iterator[None]:
        if not self.on:
            yield
            return
        started = self._now()
        try:
            yield
        finally:
            self.seconds[kind] = self.seconds.get(kind, 0.0) + self._now() - started

    def report(self) -> dict[str, float]:
        """Seconds by kind, the longest first, to the millisecond."""
        return {k: round(v, 3) for k, v in sorted(self.seconds.items(), key=lambda item: -item[1])}

    def _now(self) -> float:
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()
        return time.perf_counter()
