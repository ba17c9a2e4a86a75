"""One training stage: steps, averaged weights, checkpoints that survive `kill -9`, a log of losses and checks.

The batch of step k depends on (seed, stage, k) alone, so a resumed run continues exactly where the checkpoint stood.
"""

from __future__ import annotations

import json
import math
import os
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tasks.sprite.optim import Ema, Optimizers

CHECKPOINT = "checkpoint.pt"


@dataclass
class Draw:
    """The randomness of one step: a numpy generator and a torch one, both from (seed, stage, step).

    Numbers are drawn on the CPU whatever the device is, so a GPU trains on the same batches.
    """

    rng: np.random.Generator
    torch: torch.Generator
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    def of(cls, seed: int, stage: str, step: int, device: torch.device | None = None) -> Draw:
        number = zlib.crc32(stage.encode())
        mixed = int(np.random.SeedSequence([seed, number, step, 1]).generate_state(1)[0])
        rng, torch_rng = np.random.default_rng([seed, number, step]), torch.Generator().manual_seed(mixed)
        return cls(rng, torch_rng, device or torch.device("cpu"))

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.torch).to(self.device)

    def times(self, count: int) -> Tensor:
        """Timesteps `(count,)` int64, uniform in 0..999."""
        return torch.randint(0, 1000, (count,), generator=self.torch).to(self.device)


@dataclass
class Stage:
    """What a stage trains and how it is judged.

    modules: name -> network; parameters with requires_grad are trained.
    loss: `(draw, step, progress 0..1) -> (loss, metrics)`.
    check: called with averaged weights in place and networks in eval mode; returns figures for the log.
    keep: called with averaged weights in place at every checkpoint: writes the networks where others find them.
    shards: parts of a step that run at the same time, one thread each, every one with a `loss` and a draw of its own;
        their gradients are averaged in a fixed order. On a CPU two threads that share a step's operators spend much of
        their time waiting for one another; two that have a half of the batch each do not.
    muon: as in `Optimizers`.
    """

    name: str
    modules: dict[str, nn.Module]
    loss: Callable[[Draw, int, float], tuple[Tensor, dict[str, float]]]
    check: Callable[[int], dict[str, float]] | None = None
    frozen: list[nn.Module] = field(default_factory=list)
    keep: Callable[[], None] | None = None
    shards: int = 1
    muon: float = math.inf


@dataclass(frozen=True)
class Precision:
    """Where a stage is trained, and the number format of its products; weights and their updates stay float32."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32

    def mixed(self) -> AbstractContextManager[None]:
        """The context of a forward pass; of the thread that enters it alone."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def plain(self) -> AbstractContextManager[None]:
        """The context of a step: in bfloat16 a CPU's fused attention is slow backwards, a quarter of a step; plain
        products take a third of that. In float32 the fused one takes half as long as they do.

        PyTorch keeps this choice for the whole process. Threads that enter and leave it by turns leave it behind, and
        all that the process computes from then on has other last bits: one thread enters it, around the others.
        """
        slow = self.device.type == "cpu" and self.dtype == torch.bfloat16
        return sdpa_kernel(SDPBackend.MATH) if slow else nullcontext()


@dataclass
class Schedule:
    """Length and learning rate of a stage; `decay` is the share of the steps in which the rate falls to 0."""

    steps: int
    lr: float
    warmup: int = 40
    decay: float = 0.35
    ema: float = 0.998
    check_every: int = 500
    checkpoint_seconds: float = 180.0

    def rate(self, step: int) -> float:
        left = (self.steps - step) / max(1.0, self.decay * self.steps)
        return self.lr * min(1.0, (step + 1) / self.warmup) * max(0.01, min(1.0, left))


class Log:
    """Appends one JSON line per report to `log.jsonl` of the stage and prints it."""

    def __init__(self, folder: Path, stage: str, sink: Callable[[dict[str, float], int], None] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.stage, self.sink = folder / "log.jsonl", stage, sink

    def write(self, step: int, figures: dict[str, float]) -> None:
        row = {"stage": self.stage, "step": step, "time": round(time.time(), 1)}
        row |= {k: round(float(v), 5) for k, v in figures.items()}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
        if self.sink is not None:
            self.sink({f"{self.stage}.{k}": v for k, v in figures.items()}, step)


def train(
    stage: Stage, schedule: Schedule, folder: Path, seed: int, log: Log, where: Precision | None = None
) -> dict[str, float]:
    """Run a stage to its end (resuming a checkpoint in `folder`), leave averaged weights in the networks.

    Returns:
        the figures of a check of the final weights; nothing for a stage without one.
    """
    where = where or Precision()
    for module in [*stage.modules.values(), *stage.frozen]:
        module.to(where.device)
    optimizers = Optimizers(stage.modules, schedule.lr, muon=stage.muon, products=where.dtype)
    ema = Ema(optimizers.params, schedule.ema)
    step = _resume(folder / CHECKPOINT, optimizers, ema)
    _mode(stage, True)
    saved, begun, first = time.time(), time.time(), step
    sums: dict[str, list[float]] = {}
    while step < schedule.steps:
        metrics = _gradients(stage, optimizers.params, seed, step, step / schedule.steps, where)
        norm = optimizers.step(schedule.rate(step))
        if not math.isfinite(norm):
            raise FloatingPointError(f"{stage.name}: gradient is {norm} at step {step}; lower lr")
        step += 1
        ema.update(step)
        for key, value in {"norm": norm, **metrics}.items():
            sums.setdefault(key, []).append(value)
        if step % 50 == 0:
            each = (time.time() - begun) / (step - first)
            pace = {"seconds_per_step": each, "lr": schedule.rate(step)}
            pace["minutes_left"] = each * (schedule.steps - step) / 60
            log.write(step, {k: float(np.mean(v)) for k, v in sums.items()} | pace)
            sums = {}
        if time.time() - saved > schedule.checkpoint_seconds or step == schedule.steps:
            _save(folder / CHECKPOINT, step, optimizers, ema)
            saved = time.time()
            if stage.keep is not None:
                ema.swap()
                stage.keep()
                ema.swap()
        if step % schedule.check_every == 0 and step < schedule.steps:
            ema.swap()
            _check(stage, step, log)
            ema.swap()
            _mode(stage, True)
    ema.swap()
    return _check(stage, step, log)


def _gradients(
    stage: Stage, params: list[nn.Parameter], seed: int, step: int, progress: float, where: Precision
) -> dict[str, float]:
    """Put the step's gradients into the parameters; returns its loss and what `Stage.loss` reports."""
    if stage.shards == 1:
        with where.plain(), where.mixed():
            loss, metrics = stage.loss(Draw.of(seed, stage.name, step, where.device), step, progress)
        loss.backward()
        return {"loss": loss.item(), **metrics}

    def shard(number: int) -> tuple[tuple[Tensor | None, ...], dict[str, float]]:
        torch.set_num_threads(1)  # of this thread alone
        draw = Draw.of(seed, stage.name, step * stage.shards + number, where.device)
        with where.mixed():
            loss, metrics = stage.loss(draw, step, progress)
        return torch.autograd.grad(loss, params, allow_unused=True), {"loss": loss.item(), **metrics}

    with where.plain(), ThreadPoolExecutor(stage.shards) as pool:
        parts = list(pool.map(shard, range(stage.shards)))
    for i, p in enumerate(params):
        found = [grads[i] for grads, _ in parts if grads[i] is not None]
        p.grad = torch.stack(found).sum(0) / stage.shards if found else None
    return {key: sum(metrics[key] for _, metrics in parts) / stage.shards for key in parts[0][1]}


def _check(stage: Stage, step: int, log: Log) -> dict[str, float]:
    _mode(stage, False)
    if stage.check is None:
        return {}
    with torch.no_grad():
        figures = stage.check(step)
    log.write(step, figures)
    return figures


def _mode(stage: Stage, training: bool) -> None:
    for module in stage.modules.values():
        module.train(training)
    for module in stage.frozen:
        module.eval()


def _save(path: Path, step: int, optimizers: Optimizers, ema: Ema) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    state: dict[str, Any] = {
        "step": step, "params": [p.data for p in optimizers.params], "ema": ema.average,
        "optimizers": optimizers.state_dict(),
    }  # fmt: skip
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _resume(path: Path, optimizers: Optimizers, ema: Ema) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True, map_location="cpu")
    if [p.shape for p in state["params"]] != [p.shape for p in optimizers.params]:
        raise ValueError(f"{path} belongs to networks of other sizes; remove the folder to start this stage again")
    with torch.no_grad():
        for p, saved in zip(optimizers.params, state["params"], strict=True):
            p.data.copy_(saved)
    ema.average = [kept.to(p.device) for p, kept in zip(optimizers.params, state["ema"], strict=True)]
    optimizers.load_state_dict(state["optimizers"])
    return int(state["step"])
