"""The guard against flashes: a frame's mean colour comes to where it is wanted, whatever black and white cut off."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.film.colours import colours_in
from tasks.stylize.match_colour import matched


def picture(seed: int, ground: int) -> np.ndarray:
    """Squares of any colours on a ground `(64, 64, 3)` uint8."""
    rng = np.random.default_rng(seed)
    found = np.full((64, 64, 3), ground, np.uint8)
    for top, left in rng.integers(0, 44, (4, 2)):
        found[top : top + 20, left : left + 20] = rng.integers(0, 256, 3)
    return found


@pytest.mark.parametrize("ground", [0, 128, 255])
@pytest.mark.parametrize("seed", range(4))
def test_the_mean_is_met_though_colours_are_cut_off(seed: int, ground: int):
    target = colours_in([picture(seed + 100, 255 - ground)])
    found = matched(picture(seed, ground), target, 1.0)
    assert np.abs(found.reshape(-1, 3).mean(axis=0) - target.mean).max() < 0.5


def test_half_of_the_way_is_half_of_the_way():
    frame, target = picture(1, 90), colours_in([picture(2, 160)])
    own = colours_in([frame])
    half = matched(frame, target, 0.5).reshape(-1, 3).mean(axis=0)
    assert np.allclose(half, (own.mean + target.mean) / 2, atol=0.5)
    assert np.abs(matched(frame, own, 1.0).astype(int) - frame).max() <= 1
