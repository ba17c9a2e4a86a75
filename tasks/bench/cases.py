"""What `rotoscope bench` measures: which cases, in which order, as many as fit the time; and what they say together."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tasks.bench.random_models import Models, random_models
from tasks.bench.sides import Marks, Work, engine, pipeline, stock

SAME = {"float32": 1e-3, "bfloat16": 0.05, "float16": 0.01}
"""Largest change of the latents, as a part of their own size, with which a picture counts as kept, by number format:
what one kernel of attention changes against another is rounding."""
GAIN = 0.97
"""A setting is worth naming from here on, as a part of the time without it; less is noise."""
COMPILING = 180.0
"""Seconds that compiling may take: so much must be left."""


@dataclass(frozen=True)
class Case:
    """One measurement: ``side`` computes ``frames`` frames under ``controls`` ControlNets."""

    side: Literal["engine", "stock"]
    frames: int
    controls: int
    attention: str = "auto"
    compile: bool = False

    def __str__(self) -> str:
        kernel = "" if self.attention == "auto" else f", attention {self.attention}"
        return f"{self.side}, {self.frames} frames, {self.controls} controls{kernel}{', compiled' * self.compile}"

    @property
    def cost(self) -> float:
        """Work in a step against that of one frame without controls; a ControlNet is about a third of a UNet."""
        return self.frames * (1 + self.controls / 3)


@dataclass(frozen=True)
class Measured:
    """What came out of a case.

    Attributes:
        seconds: wall seconds a frame-step, the median of the counted steps; None where it was not measured.
        cpu: CPU seconds a frame-step.
        peak: bytes of memory at most, of the device or, on a CPU, of the process; None where the system does not say.
        change: of the latents against the first case of the same work, as a part of their size.
        why: why it was not measured.
    """

    case: Case
    seconds: float | None = None
    cpu: float | None = None
    peak: int | None = None
    change: float | None = None
    why: str = ""

    def plain(self) -> dict[str, Any]:
        """For a JSON file: the case's fields and the figures side by side."""
        return {**asdict(self.case), **{name: value for name, value in asdict(self).items() if name != "case"}}


def cases(frames: Sequence[int], controls: Sequence[int], attention: Sequence[str], compiled: bool) -> list[Case]:
    """All cases, those first that say most: the engine against stock, then kernels, then the other sizes.

    Args:
        frames: lengths of clips; the first one is what kernels are compared with.
        attention: kernels beside ``auto``.
    """
    base = Case("engine", frames[0], controls[min(1, len(controls) - 1)])
    found = [base, replace(base, side="stock")]
    found += [replace(base, attention=kernel) for kernel in attention]
    found += [Case(side, count, number) for count in frames for number in controls for side in ("engine", "stock")]
    return [*dict.fromkeys(found), *([replace(base, compile=True)] if compiled else [])]


@dataclass
class Bench:
    """Measures cases until the time is over.

    Attributes:
        steps: that are counted; on an accelerator one more is run before them, for what is done once.
        clock: seconds; replaced in tests.
    """

    size: str
    px: int
    dtype: str
    device: str
    steps: int
    seconds: float
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.warm = 0 if self.device == "cpu" else 1
        self._end = self.clock() + self.seconds
        self._rate: float | None = None  # seconds for a step of cost 1, as last measured
        self._first: dict[tuple[int, int], Any] = {}

    def run(self, wanted: Sequence[Case]) -> Iterator[Measured]:
        """Each case in turn, as measured or with the reason why not."""
        models = random_models(self.size, self.dtype, self.device, max(case.controls for case in wanted))
        for case in wanted:
            yield self._tried(case, models)

    def _tried(self, case: Case, models: Models) -> Measured:
        import torch

        left = self._end - self.clock()
        needed = COMPILING if case.compile else (self._rate or 0) * case.cost * (self.steps + self.warm)
        if needed > left:
            return Measured(case, why=f"about {needed:.0f} s of work, and {max(left, 0):.0f} s are left")
        try:
            with torch.inference_mode():
                return self._measured(case, replace(models, nets=models.nets[: case.controls]))
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return Measured(case, why="out of memory")

    def _measured(self, case: Case, models: Models) -> Measured:
        work = Work(case.frames, self.px, self.steps + self.warm, self.dtype, self.device)
        memory = Peak(self.device)
        if case.side == "engine":
            marks = engine(work, models, case.attention, case.compile, channels_last=self.device == "cpu")
        else:
            longest = int(models.unet.config.motion_max_seq_length)
            marks = stock(work, models, pipeline(work, models), free_noise=case.frames > longest)
        seconds, cpu = self._step(marks)
        self._rate = seconds / case.cost
        return Measured(
            case,
            seconds / case.frames,
            cpu / case.frames,
            memory.read(),
            self._change(case, marks) if case.side == "engine" else None,
        )

    def _step(self, marks: Marks) -> tuple[float, float]:
        """Wall and CPU seconds of a counted step, medians."""
        wall, cpu = (
            [after - before for before, after in zip(times[self.warm :], times[self.warm + 1 :], strict=False)]
            for times in (marks.wall, marks.cpu)
        )
        return statistics.median(wall), statistics.median(cpu)

    def _change(self, case: Case, marks: Marks) -> float:
        first = self._first.setdefault((case.frames, case.controls), marks.latents)
        return float((marks.latents - first).float().norm() / first.float().norm())


class Peak:
    """The most memory from here on: of the device, or of this process where Linux says it."""

    def __init__(self, device: str) -> None:
        self._device = device
        if device == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats()
        elif device == "cpu":
            with contextlib.suppress(OSError):  # then the peak is that of the whole process
                Path("/proc/self/clear_refs").write_text("5", "ascii")

    def read(self) -> int | None:
        """Bytes; None where nobody says."""
        if self._device == "cuda":
            import torch

            return int(torch.cuda.max_memory_allocated())
        try:
            lines = [line.split() for line in Path("/proc/self/status").read_text("ascii").splitlines()]
        except OSError:
            return None
        return next((int(line[1]) * 1024 for line in lines if line[0] == "VmHWM:"), None)


def fastest(measured: Sequence[Measured], dtype: str) -> Measured | None:
    """The quickest of the engine's cases that differ from the first in their kernels alone, and keep its picture.

    Returns:
        None: none gains enough to name it.
    """
    first = measured[0]
    if first.seconds is None:
        return None
    alike = [
        each
        for each in measured[1:]
        if replace(each.case, attention="auto", compile=False) == first.case
        and each.seconds is not None
        and each.change is not None
        and each.change <= SAME[dtype]
    ]
    best = min(alike, key=lambda each: each.seconds or 0.0, default=None)
    return best if best is not None and (best.seconds or 0.0) <= GAIN * first.seconds else None
