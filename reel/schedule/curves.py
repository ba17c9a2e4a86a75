"""How a transition runs: share of the way (0..1) over share of the time (0..1)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

CURVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda u: u,
    "in": lambda u: u**2,
    "out": lambda u: 1 - (1 - u) ** 2,
    "in-out": lambda u: u * u * (3 - 2 * u),
    "sine": lambda u: (1 - np.cos(np.pi * u)) / 2,
    "in-cubic": lambda u: u**3,
    "out-cubic": lambda u: 1 - (1 - u) ** 3,
    "in-out-cubic": lambda u: np.where(u < 0.5, 4 * u**3, 1 - (2 - 2 * u) ** 3 / 2),
}
"""Named curves; each maps 0 to 0 and 1 to 1 and never falls."""

COMPOUND = "compound"
"""What AnimateDiff-Evolved renders: each frame is mixed from the frame before, not from the starting prompt."""

NAMES = (*CURVES, COMPOUND)


def apply_curve(name: str, done: np.ndarray, length: np.ndarray) -> np.ndarray:
    """The weight of the next key.

    Args:
        done: (n,) share of the time, 0 <= done < 1.
        length: (n,) frames from the last held frame to the next key; `COMPOUND` depends on it.

    Returns: (n,) weights, 0..1.
    """
    if name != COMPOUND:
        return np.clip(CURVES[name](done), 0.0, 1.0)
    if not len(done):
        return done
    # product of (1 - i/D) for i = 1..j, as factorials: (D-1)! / ((D-1-j)! D^j)
    size = int(length.max())
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, size + 1)))])
    step = np.rint(done * length).astype(int)
    kept = log_factorial[length - 1] - log_factorial[np.maximum(length - 1 - step, 0)] - step * np.log(length)
    return np.clip(1.0 - np.where(step > 0, np.exp(kept), 1.0), 0.0, 1.0)


def steps_of(name: str, length: int) -> list[float]:
    """The weights at frames 0 .. length - 1 of one transition, for tables in docs."""
    return [float(w) for w in apply_curve(name, np.arange(length) / length, np.full(length, length))] if length else []
