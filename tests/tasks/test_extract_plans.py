"""The arithmetic of extraction: sizes, times and names, without decoding anything."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reel.config import parse
from reel.errors import UserError
from tasks.extract import Extract
from tasks.media import geometry, timeline
from tasks.media.source import natural_key


def plan(display: tuple[float, float], **settings: object) -> geometry.Plan:
    known = {"short_side": None, "width": None, "height": None, "fit": "crop", "multiple_of": 8}
    return geometry.plan((Fraction(display[0]), Fraction(display[1])), **(known | settings))


@pytest.mark.parametrize(
    ("display", "settings", "size", "scaled", "offset"),
    [
        ((1920, 1080), {"short_side": 128}, (224, 128), (228, 128), (2, 0)),
        ((1080, 1920), {"short_side": 128}, (128, 224), (128, 228), (0, 2)),
        ((1920, 1080), {"short_side": 128, "fit": "pad"}, (232, 128), (228, 128), (2, 0)),
        ((1920, 1080), {"short_side": 128, "fit": "stretch"}, (224, 128), (224, 128), (0, 0)),
        ((1000, 700), {}, (1000, 696), (1000, 700), (0, 2)),
        ((1920, 1080), {"width": 512}, (512, 288), (512, 288), (0, 0)),
        ((1920, 1080), {"height": 512}, (904, 512), (910, 512), (3, 0)),
        ((1920, 1080), {"width": 512, "height": 512}, (512, 512), (910, 512), (199, 0)),
        ((1920, 1080), {"width": 512, "height": 512, "fit": "pad"}, (512, 512), (512, 288), (0, 112)),
        ((641, 361), {"multiple_of": 1}, (641, 361), (641, 361), (0, 0)),
        ((63, 61), {"short_side": 128, "multiple_of": 64}, (128, 128), (132, 128), (2, 0)),
    ],
)
def test_sizes(display: tuple, settings: dict, size: tuple, scaled: tuple, offset: tuple) -> None:
    result = plan(display, **settings)
    assert (result.width, result.height) == size
    assert (result.scaled, result.offset) == (scaled, offset)


def test_a_fit_never_distorts_by_more_than_rounding() -> None:
    for width in range(100, 400, 37):
        for fit in ("crop", "pad"):
            result = plan((width, 211), short_side=128, fit=fit)
            drawn = result.scaled[0] / result.scaled[1]
            assert abs(drawn - width / 211) < 0.02
            assert result.crops == (fit == "crop" and result.scaled != (result.width, result.height))


def test_rotation_and_sample_aspect_come_before_the_size() -> None:
    assert geometry.display_size(1920, 1080, Fraction(1), 90) == (1080, 1920)
    assert geometry.display_size(1920, 1080, Fraction(1), 180) == (1920, 1080)
    assert geometry.display_size(720, 576, Fraction(64, 45), 0) == (1024, 576)
    assert geometry.display_size(720, 480, Fraction(8, 9), 0) == (720, 540)
    assert geometry.display_size(720, 576, Fraction(64, 45), 270) == (576, 1024)


def test_a_side_that_is_no_multiple_is_refused_with_the_keys_and_the_fix() -> None:
    with pytest.raises(UserError) as error:
        plan((1920, 1080), width=1000, height=700)
    assert "extract.height" in str(error.value)
    assert "sides must be multiples of 8: 1000x700 -> 1000x696" in str(error.value)
    with pytest.raises(UserError, match="sides must be multiples of 32: 1000x700 -> 992x672"):
        plan((1920, 1080), width=1000, height=700, multiple_of=32)
    with pytest.raises(UserError, match=r"extract.short_side: sides must be multiples of 64: 500 -> 448"):
        plan((1920, 1080), short_side=500, multiple_of=64)
    with pytest.raises(UserError, match="smaller than one multiple of 64"):
        plan((40, 30), multiple_of=64)


@pytest.mark.parametrize(
    ("text", "value"),
    [(3, 3.0), (2.5, 2.5), ("7", 7.0), ("90.25", 90.25), ("1:30", 90.0), ("01:02.5", 62.5), ("1:00:00.04", 3600.04)],
)
def test_timecodes(text: object, value: float) -> None:
    assert timeline.seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["1:60", "a", "1:2:3:4", "-3", "1,5", "", "00:61.0", True])
def test_wrong_timecodes_are_named(text: object) -> None:
    with pytest.raises(UserError, match=r"extract.start: .*(timecode|must be a number)"):
        parse(Extract, {"start": text}, "extract")


def select(pts: list[int], base: str, **range_: object) -> timeline.Selection:
    known = {"start": None, "end": None, "max_frames": None}
    return timeline.select(pts, Fraction(base), Fraction(0), **(known | range_))


def test_a_range_goes_to_the_nearest_frame_boundaries() -> None:
    ntsc = [1001 * n for n in range(300)]
    chosen = select(ntsc, "1/30000", start=1.0, end=2.0)
    assert chosen.pts == [1001 * n for n in range(30, 60)]
    assert chosen.start == Fraction(30 * 1001, 30000)
    assert chosen.duration == Fraction(30 * 1001, 30000)
    milliseconds = [round(n * 1000 / 24) for n in range(48)]
    assert select(milliseconds, "1/1000", start=1.0).pts[0] == 1000
    assert len(select(milliseconds, "1/1000", end=1.0).pts) == 24
    assert len(select(milliseconds, "1/1000", max_frames=5).pts) == 5


UNEVEN = [0, 100, 120, 620, 700]


@given(moments=st.lists(st.integers(1, 699), min_size=2, max_size=2, unique=True))
def test_a_range_of_an_uneven_clip_goes_to_the_nearest_boundaries_too(moments: list[int]) -> None:
    """Not to one within half of what is usual between frames: a still screen is one frame for seconds."""
    start, end = sorted(moments)
    begins, ends = (min((abs(pts - moment), pts) for pts in UNEVEN)[1] for moment in (start, end))
    if begins == ends:
        with pytest.raises(UserError, match="both go to"):
            select(UNEVEN, "1/1000", start=start / 1000, end=end / 1000)
    else:
        chosen = select(UNEVEN, "1/1000", start=start / 1000, end=end / 1000)
        assert chosen.pts == [pts for pts in UNEVEN if begins <= pts < ends]


def test_a_last_picture_that_is_held_may_be_asked_for_anywhere_in_its_time() -> None:
    assert select([0, 100], "1/1000", start=2.9, last_duration=3000).pts == [100]


def test_a_range_outside_the_clip_is_refused() -> None:
    pts = list(range(25))
    for wrong, key in (({"start": 1.0}, "start"), ({"start": 99.0}, "start"), ({"end": 1.5}, "end")):
        with pytest.raises(UserError, match=f"extract.{key}: .* is outside the clip: the clip ends at 1.000 s"):
            select(pts, "1/25", **wrong)
    with pytest.raises(UserError, match=r"no frame of the clip: both go to 1.000 s, the nearest frame") as error:
        select([0, 100], "1/100", start=0.51, end=0.9)
    assert error.value.fix == "the frame that begins there is shown until 2.000 s: extract.end=2.000"
    with pytest.raises(UserError, match=r"start \(2 s\) must be before end \(1.5 s\)"):
        parse(Extract, {"start": 2, "end": 1.5}, "extract")


def test_resampling_counts_from_the_exact_duration() -> None:
    chosen = select([1001 * n for n in range(60)], "1/30000")
    assert len(timeline.resample(chosen, Fraction(1, 30000), Fraction(12), None)[1]) == 24
    shorter, times = timeline.resample(chosen, Fraction(1, 30000), Fraction(12), 6)
    assert times == [0, 1, 2, 3, 4, 5]
    assert shorter.duration == Fraction(1, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fps": 0}, r"extract.fps: must be more than 0"),
        ({"fps": "fast"}, r"extract.fps: must be a number of frames per second"),
        ({"fps": "nan"}, r"extract.fps"),
        ({"max_frames": 0}, r"extract.max_frames: must be greater than or equal to 1"),
        ({"fit": "zoom"}, r"extract.fit: must be 'crop', 'pad' or 'stretch'"),
        ({"background": "red; rm"}, r"extract.background"),
        ({"short_side": -1, "width": 64}, r"extract.short_side: must be greater than or equal to 8"),
        ({"shortside": 128}, r"unknown key 'extract.shortside'; nearest: short_side"),
        ({"start": float("nan")}, r"extract.start"),
        ({"end": -1}, r"extract.end: must be greater than or equal to 0"),
    ],
)
def test_wrong_settings_are_named(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(Extract, settings, "extract")


@pytest.mark.parametrize("given", [{"width": 64}, {"height": 32}, {"width": 64, "height": 32}], ids=str)
def test_a_width_or_height_takes_the_place_of_the_short_side(given: dict) -> None:
    """Which mostly is the default of the model family; the frames' key is the same as without any."""
    assert parse(Extract, {"short_side": 128, **given}) == parse(Extract, given)


def test_one_rate_has_one_spelling() -> None:
    assert {parse(Extract, {"fps": value}, "extract").fps for value in (24, 24.0, "24", "24.0", "48/2")} == {"24"}
    assert parse(Extract, {"fps": "30000/1001"}, "extract").constant_fps == Fraction(30000, 1001)


def test_pictures_sort_as_people_count() -> None:
    names = ["f10.png", "f2.png", "F1.png", "f02.png", "a.png", "10.png", "9.png"]
    ordered = sorted(map(Path, names), key=natural_key)
    assert [path.name for path in ordered] == ["9.png", "10.png", "a.png", "F1.png", "f02.png", "f2.png", "f10.png"]
