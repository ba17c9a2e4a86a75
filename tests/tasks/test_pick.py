"""Picked frames are those of the whole, byte for byte."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from reel.clip import Clip, ClipWriter
from reel.config import parse
from reel.errors import UserError
from reel.op import Context
from reel.store import Store
from tasks.pick import Pick, pick


def test_frames_times_and_the_source_stay(store: Store):
    with ClipWriter(store, "rgb", width=8, height=6, time_base=Fraction(1, 24), meta={"source": {"a": 1}}) as writer:
        for index in range(5):
            writer.add(np.full((6, 8, 3), 40 * index, np.uint8), pts=3 * index + 7)
    whole = Clip.open(store, writer.digest)
    found = Clip.open(store, pick(Pick(frames=[1, 2, 4]), {"frames": whole.digest}, Context(store)))
    assert found.pts == [10, 13, 19]
    assert found.frame_digests == [whole.frame_digests[index] for index in (1, 2, 4)]
    assert (found.kind, found.time_base, found.meta["source"]) == ("rgb", Fraction(1, 24), {"a": 1})
    with pytest.raises(UserError, match="there is no frame 5; the clip has 5"):
        pick(Pick(frames=[0, 5]), {"frames": whole.digest}, Context(store))


@pytest.mark.parametrize("frames", [[], [1, 1], [2, 1], [-1, 0]])
def test_frame_numbers_ascend(frames: list[int]):
    with pytest.raises(UserError):
        parse(Pick, {"frames": frames})
