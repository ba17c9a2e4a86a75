"""The state of a denoising between two steps: all that it takes to go on there and end in the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.networks.state import restore_state

if TYPE_CHECKING:
    import torch


@dataclass
class Checkpoint:
    """The state after ``step`` steps."""

    step: int
    latents: torch.Tensor
    scheduler: dict[str, Any]
    generator: torch.Tensor


def restore(found: Checkpoint, scheduler: Any, generator: torch.Generator, device: Any) -> torch.Tensor:
    """Put a checkpoint's state into a freshly made scheduler and generator; returns the latents."""
    restore_state(scheduler, found.scheduler, device)
    generator.set_state(found.generator)
    return found.latents.to(device)
