"""Runs training stages in one working folder: each resumes from its checkpoint, stands for a gate, and is done once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reel.errors import UserError
from tasks.sprite import export, few_lora, networks
from tasks.sprite.loop import Log, Precision, Schedule, Stage, train
from tasks.sprite.progress import set_threads
from tasks.sprite.settings import TrainSettings
from tasks.sprite.stage_settings import StageSettings
from tasks.stylize.settings.compute import computes_bfloat16, cpu_flags

Sink = Callable[[dict[str, float], int], None]


class Runner:
    """Stages of a family, one method each, of the same name.

    Everything lies under one working folder, so the command can be killed and started again at any time. Finished
    stages are skipped: what they left (`done.json` and exported parts) counts.
    """

    parts_folder = "parts"
    part_names: Sequence[str] = (*export.PARTS, few_lora.FOLDER, export.SPARSECTRL)

    def __init__(self, cfg: TrainSettings, sink: Sink | None = None) -> None:
        self.cfg, self.sink = cfg, sink
        self.work, self.parts = Path(cfg.folder), Path(cfg.folder) / self.parts_folder
        self.where = on_cpu(cfg)
        set_threads(cfg.threads)

    @property
    def output(self) -> Path:
        """Where the family is exported."""
        return self.cfg.output

    def settings(self, stage: str) -> Any:
        """The settings of a stage; None: it has none."""
        return getattr(self.cfg, stage, None)

    def run(self, stage: str) -> dict[str, float]:
        """Run one stage to its end, or return the figures of a finished one.

        Raises:
            UserError: the stage's result does not pass its gate.
        """
        done = self.work / stage / "done.json"
        if done.exists():
            return dict(json.loads(done.read_text()))
        torch.manual_seed(self.cfg.seed)
        self.begin(stage)
        figures: dict[str, float] = getattr(self, stage)()
        settings = self.settings(stage)
        gate = settings.gates if isinstance(settings, StageSettings) else getattr(settings, "gate", {})
        check_gate(stage, gate, figures)
        self.finish(stage)
        done.parent.mkdir(parents=True, exist_ok=True)
        done.write_text(json.dumps(figures))
        return figures

    def begin(self, stage: str) -> None:
        """Called before a stage that is not done yet."""

    def finish(self, stage: str) -> None:
        """Called when a stage has passed its gate."""

    def _train(self, stage: Stage, settings: StageSettings, parts: dict[str, Any]) -> dict[str, float]:
        """Train; `parts` (a network, or a function that makes one of the weights) follow on disk at each checkpoint."""
        folder = self.work / stage.name

        def keep() -> None:
            for name, part in parts.items():
                self._keep(name, part if isinstance(part, nn.Module) else part())

        stage.keep = keep
        steps = max(1, round(settings.steps * self.cfg.length))
        schedule = Schedule(steps, settings.lr, ema=settings.ema, check_every=settings.check_every,
                            checkpoint_seconds=self.cfg.checkpoint_seconds)  # fmt: skip
        return train(stage, schedule, folder, self.cfg.seed, Log(folder, stage.name, self.sink), self.where)

    def _keep(self, name: str, part: Any) -> None:
        """Full precision in the working folder, fp16 in the exported family."""
        export.save_part(part, self.parts, name, parts=self.part_names)
        export.save_part(part, self.output, name, half=True, parts=self.part_names)

    def _part(self, name: str) -> Any:
        """A finished part, trained in this folder."""
        if not (self.parts / name).is_dir():
            raise UserError(
                f"{self.parts} has no {name}, which this stage needs",
                fix=self._lacking,
            )
        return self._load(self.parts, name)

    @property
    def _lacking(self) -> str:
        """What to do about a part that is not there."""
        return "run the stages before it as well"

    def _load(self, folder: Path, name: str) -> Any:
        return networks.load(folder, name)


def check_gate(stage: str, gates: dict[str, float], figures: dict[str, float]) -> None:
    """Compare a stage's last figures with the least values that it must reach.

    Raises:
        UserError: one is missed, or the stage gives no such figure.
    """
    prefix = stage.replace("ltx_", "ltx.", 1) if stage.startswith("ltx_") else stage
    for name in gates:
        if name not in figures:
            raise UserError(f"{prefix}.gate.{name}: the stage gives no such figure; it gives {', '.join(figures)}")
    missed = [name for name, least in gates.items() if figures[name] < least]
    if missed:
        told = "; ".join(f"{name} is {figures[name]:.3f}, the gate asks for {gates[name]:g}" for name in missed)
        raise UserError(
            f"stage {stage}: {told}",
            fix=f"train longer ({prefix}.steps=...; it resumes) or lower {prefix}.gate.{missed[0]}",
        )


def on_cpu(cfg: TrainSettings) -> Precision:
    """The CPU, with bfloat16 products if it computes them."""
    mixed = cfg.compute.dtype != "float32" and computes_bfloat16(cpu_flags())
    return Precision(dtype=torch.bfloat16 if mixed else torch.float32)
