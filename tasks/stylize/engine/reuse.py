"""Work of an earlier step used again: less to compute, another picture. Off unless it is asked for.

Both kinds forget at fixed steps what they hold, so that a render that was killed can go on there and end in the same
bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.stylize.engine.buffers import Buffers, blocks, to_device

if TYPE_CHECKING:
    import torch

RESET_EVERY = 4
"""Every fourth step the first-block cache begins anew."""


@dataclass
class Residuals:
    """Residuals of all controls together, computed every ``every`` steps and added again in between.

    They are used again only while every control's weights stay the same.
    """

    every: int = 1
    _held: dict[bytes, tuple[bytes, list[torch.Tensor]]] = field(default_factory=dict, repr=False)

    def begin(self, step: int) -> None:
        """Before the first pass of a step; a step has several where every window is one."""
        if step % self.every == 0:
            self._held.clear()

    def find(self, frames: np.ndarray, scales: Sequence[np.ndarray]) -> list[torch.Tensor] | None:
        """The residuals to add at a step, one per skip connection and the middle's last; None: compute them."""
        state, found = self._held.get(frames.tobytes(), (b"", []))
        return found if found and state == state_of(scales) else None

    def hold(self, frames: np.ndarray, scales: Sequence[np.ndarray], residuals: list[torch.Tensor]) -> None:
        self._held[frames.tobytes()] = (state_of(scales), residuals)


def state_of(scales: Sequence[np.ndarray]) -> bytes:
    """What the controls' weights are, to be compared."""
    return b"".join(scale.tobytes() for scale in scales)


def add_again(held: Sequence[torch.Tensor], targets: Sequence[torch.Tensor], block: int) -> None:
    """Add held residuals ``(S, F, ...)`` in place; targets of fewer branches (guidance ended) take the last ones."""
    for residual, target in zip(held, targets, strict=True):
        for part in blocks(target.shape[1], block):
            target[:, part] += to_device(residual[-target.shape[0] :, part], target.device)


PassKey = tuple[bytes, bytes]
"""Which pass it is: its frames, and the controls' weights (`state_of`)."""


@dataclass
class FirstBlock:
    """Skips all layers but the first while that one's output hardly changes (first-block caching, as ParaAttention's).

    The first layer's change of the states is compared with that of the last whole pass: below ``threshold`` (mean
    absolute difference over mean absolute value) the rest is taken from there, as the difference that it made. The
    controls are part of that rest, so it counts only while their weights stay the same.
    """

    threshold: float
    skipped: int = 0
    whole: int = 0
    _held: dict[bytes, tuple[bytes, torch.Tensor, torch.Tensor]] = field(default_factory=dict, repr=False)

    def begin(self, step: int) -> None:
        if step % RESET_EVERY == 0:
            self._held.clear()

    def find(self, key: PassKey, entered: torch.Tensor, first: torch.Tensor) -> torch.Tensor | None:
        """``(S, F, C, H, W)`` behind the last layer, or None when the layers must be computed."""
        frames, controls = key
        known = self._held.get(frames)
        if known is None or known[0] != controls or known[1].shape != first.shape:
            return None
        _, before, rest = known
        difference = size = 0.0
        for frame in range(first.shape[1]):  # frame by frame: the tensors may be spilled
            change = (to_device(first[:, frame], entered.device) - to_device(entered[:, frame], entered.device)).float()
            old = to_device(before[:, frame], entered.device).float()
            difference += float((change - old).abs().sum())
            size += float(old.abs().sum())
        if difference >= self.threshold * size:
            return None
        self.skipped += 1
        return rest

    def hold(self, key: PassKey, change: torch.Tensor, rest: torch.Tensor) -> None:
        self.whole += 1
        frames, controls = key
        self._held[frames] = (controls, change, rest)


def difference(a: torch.Tensor, b: torch.Tensor, buffers: Buffers, device: Any) -> torch.Tensor:
    """``a - b`` in memory of its own, spilled when there is too little."""
    out = buffers.empty(tuple(a.shape), a.dtype, device)
    for frame in range(a.shape[1]):
        out[:, frame] = to_device(a[:, frame], device) - to_device(b[:, frame], device)
    return out


def total(a: torch.Tensor, b: torch.Tensor, buffers: Buffers, device: Any) -> torch.Tensor:
    """``a + b``, likewise."""
    out = buffers.empty(tuple(a.shape), a.dtype, device)
    for frame in range(a.shape[1]):
        out[:, frame] = to_device(a[:, frame], device) + to_device(b[:, frame], device)
    return out
