"""Words for a part of the picture show there and nowhere else: the embedded family, read by its probe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.engine_meaning import Bench, pose, unlike
from reel.store import Store
from tasks.sprite.captions import plain_caption


@pytest.mark.slow
def test_the_background_follows_its_own_words_and_the_figure_the_prompts(tmp_path: Path) -> None:
    bench = Bench(1, seed=0, steps=8, store=Store(tmp_path), sheets=None, threads=1)
    dancer = bench.dancer(0, 4)
    other = unlike(dancer.wanted, np.random.default_rng(0), bench.spec.choices)
    region = {"prompt": plain_caption(other, bench.spec.choices), "mask": {"region": "background"}}
    plain, _ = bench.render(dancer, {"pose": pose()})
    found, _ = bench.render(dancer, {"pose": pose()}, regions={"ground": region})
    assert bench.right(plain, dancer.wanted, "background").all()
    assert bench.right(found, other, "background").all()
    for name in ("top_color", "hair_color"):
        assert bench.right(found, dancer.wanted, name).mean() >= 0.75
