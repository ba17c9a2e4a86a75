"""Pictures follow a prompt schedule: the benchmark's two renders at a smaller size, read by the family's probe."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import schedule_meaning as meaning

FRAMES, STEPS = 8, 6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hold", "blend"])
def test_red_becomes_blue_as_the_schedule_says(
    name: str, tmp_path_factory: pytest.TempPathFactory, prefect_server: None
):
    store: Path = tmp_path_factory.getbasetemp() / "red-to-blue" / "store"  # the second render reuses the maps
    schedule = meaning.schedules(FRAMES)[name]
    frames = meaning.pictures(store, schedule, FRAMES, [f"stylize.num_inference_steps={STEPS}"])
    weights = meaning.wanted(schedule, FRAMES)
    found = meaning.blueness(frames)
    said, good = meaning.figures(name, found, weights)
    assert good, f"{said}: {found.round(2).tolist()}"
    assert not meaning.figures(name, 1 - found, weights)[1], "the other way round is no success"
