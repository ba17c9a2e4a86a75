"""What a scheduler remembers between two steps, taken out and put back."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any


def scheduler_state(scheduler: Any) -> dict[str, Any]:
    """A scheduler's own state: every attribute but its configuration."""
    return {name: value for name, value in vars(scheduler).items() if name not in ("_internal_dict", "config")}


def restore_state(scheduler: Any, state: Mapping[str, Any], device: Any) -> None:
    """Put a state back. Tensors go where the scheduler has them now; what it has not yet goes to ``device``."""
    for name, value in state.items():
        setattr(scheduler, name, moved(value, getattr(scheduler, name, None), device))


def moved(value: Any, fresh: Any, device: Any) -> Any:
    """A copy of ``value``, its tensors where ``fresh`` has its own, else on ``device``."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.to(fresh.device if isinstance(fresh, torch.Tensor) else device, copy=True)
    if isinstance(value, list | tuple):
        return type(value)(moved(item, None, device) for item in value)
    return copy.deepcopy(value)
