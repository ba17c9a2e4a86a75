"""Checkpoints of a render: a killed one goes on where it was, and ends in the very same bits.

Kept are the latents, everything a scheduler remembers between steps (multistep ones carry past predictions), the state
of the noise generator and the number of finished steps.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tasks.networks.journal import JournalFile
from tasks.networks.packing import pack, unpack
from tasks.networks.state import scheduler_state
from tasks.stylize.engine.checkpoint import Checkpoint

if TYPE_CHECKING:
    import torch


class Journal(JournalFile):
    """The checkpoints of one render; see `JournalFile`."""

    def save(self, step: int, latents: torch.Tensor, scheduler: Any, generator: torch.Generator) -> None:
        """Write a checkpoint if one is due."""
        self.when_due(lambda: self.write(step, latents, scheduler, generator))

    def write(self, step: int, latents: torch.Tensor, scheduler: Any, generator: torch.Generator) -> None:
        """Write a checkpoint now."""
        tensors: dict[str, Any] = {"latents": latents, "generator": generator.get_state()}
        plan = pack(scheduler_state(scheduler), tensors)
        self.put(step, tensors, scheduler=json.dumps(plan))

    def resume(self) -> Checkpoint | None:
        """The last checkpoint; None when there is none, when it is damaged or belongs to other settings."""
        found = self.take()
        if found is None:
            return None
        tensors, meta = found
        plan = json.loads(meta["scheduler"])
        return Checkpoint(int(meta["step"]), tensors["latents"], unpack(plan, tensors), tensors["generator"])
