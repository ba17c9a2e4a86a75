"""How far a whole render is: by the expected times of its stages, the speed of the one at work, the pace so far."""

from __future__ import annotations

import io
import sys

import pytest

from reel.progress import progress
from reel.whole import Coming, Whole, telling


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def made(clock: Clock, *coming: tuple[str, float | None]) -> tuple[Whole, list[str]]:
    said: list[str] = []
    return Whole([Coming(*one) for one in coming], said.append, lambda seconds: f"{seconds:.0f} s", clock), said


def test_what_is_left_is_the_rest_of_all_stages(clock: Clock) -> None:
    render, _ = made(clock, ("extract", 2.0), ("stylize.denoise", 20.0), ("assemble", 3.0))
    assert render.left(0.0) == pytest.approx(25.0)
    render.begin("extract")
    clock.now += 1
    assert render.left(0.5) == pytest.approx(24.0)
    clock.now += 1
    render.end("extract", reused=False)
    assert render.left(0.0) == pytest.approx(23.0)


def test_a_stage_goes_by_its_own_speed_once_it_has_one(clock: Clock) -> None:
    render, _ = made(clock, ("stylize.denoise", 20.0), ("assemble", 3.0))
    render.begin("stylize.denoise")
    clock.now += 36  # nine tenths in 36 s: a tenth takes 4 s, and no longer 2
    assert render.left(0.9, 4.0) == pytest.approx(3.0 + 4.0), "and no less than its own bar says"
    assert render.left(0.0, None) == pytest.approx(3.0), "of one that says nothing yet, what was expected"


def test_a_busy_machine_is_told_by_the_stages_that_are_done(clock: Clock) -> None:
    render, _ = made(clock, ("stylize.denoise", 10.0), ("stylize.decode", 10.0))
    render.begin("stylize.denoise")
    clock.now += 30
    render.end("stylize.denoise", reused=False)
    assert render.left(0.0) == pytest.approx(30.0), "three times as long as expected, so the next, too"


def test_no_time_is_told_where_a_stage_is_unknown(clock: Clock) -> None:
    render, _ = made(clock, ("extract", 2.0), ("stylize.denoise", None))
    render.begin("extract")
    assert render.left(0.5) is None
    assert render.shown(0.5) == "render: 1 of 2"
    render.end("extract", reused=False)
    render.begin("stylize.denoise")  # nothing unknown comes after it: its own speed says all
    clock.now += 6
    assert render.left(0.75, 2.0) == pytest.approx(2.0)


def test_lines_of_stages(clock: Clock) -> None:
    render, said = made(clock, ("preprocess.blazepose", 12.0), ("measure.flicker", None))
    render.end("extract", reused=True)
    render.begin("preprocess.blazepose")
    render.end("preprocess.blazepose", reused=False)
    render.begin("measure.flicker")
    assert [" ".join(line.split()) for line in said] == [
        "reused extract", "1 of 2 blazepose, about 12 s", "2 of 2 measure.flicker",
    ]  # fmt: skip


def test_the_render_stands_beside_the_bar_of_its_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    with telling([Coming("denoise", 8.0), Coming("decode", 2.0)], lambda seconds: f"{seconds:.0f} s") as render:
        render.begin("denoise")
        with progress(16, "denoise", "step") as bar:
            bar.update(8)
            assert "8/16" in str(bar)
            assert "render |" in str(bar)
            assert " s left" in str(bar)
    with progress(16, "denoise", "step") as bar:
        assert "render" not in str(bar)
