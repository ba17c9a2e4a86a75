"""The state of a denoising between two steps: all that it takes to go on there and end in the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    for name, value in found.scheduler.items():
        setattr(scheduler, name, _moved(value, getattr(scheduler, name, None), device))
    generator.set_state(found.generator)
    return found.latents.to(device)


def scheduler_state(scheduler: Any) -> dict[str, Any]:
    """A scheduler's own state: every attribute but its configuration."""
    return {name: value for name, value in vars(scheduler).items() if name not in ("_internal_dict", "config")}


def _moved(value: Any, fresh: Any, device: Any) -> Any:
    """State tensors where the new scheduler has them; past predictions, which it has not yet, on the device."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.to(fresh.device if isinstance(fresh, torch.Tensor) else device)
    if isinstance(value, list | tuple):
        return type(value)(_moved(item, None, device) for item in value)
    return value
