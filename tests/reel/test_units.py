"""Units behind numbers: taken where they can mean one thing, and one setting with the plain number."""

from __future__ import annotations

import pytest

from reel.config import Config, Field, parse
from reel.errors import UserError
from reel.units import Factor, FramesPerSecond, PixelLength, Pixels
from tasks.extract import Extract


class Settings(Config):
    width: Pixels | None = Field(default=None, ge=8)
    grow: PixelLength = 0
    weight: Factor = Field(default=1.0, ge=0, le=10)
    fps: FramesPerSecond = 24


@pytest.mark.parametrize(
    ("key", "written", "meant"),
    [
        ("width", "512px", 512), ("width", " 512 PX", 512), ("width", "512", 512), ("width", None, None),
        ("grow", "-2.5px", -2.5), ("weight", "50%", 0.5), ("weight", "12.5 %", 0.125), ("weight", "0.5", 0.5),
        ("weight", ".5", 0.5), ("weight", 1, 1.0), ("fps", "24fps", 24.0), ("fps", "29.97 FPS", 29.97),
    ],
)  # fmt: skip
def test_a_unit_is_taken_off(key: str, written: object, meant: object) -> None:
    settings = parse(Settings, {key: written})
    assert getattr(settings, key) == meant
    assert settings.result_part() == parse(Settings, {key: meant}).result_part(), "one setting, so one key"


@pytest.mark.parametrize(
    ("key", "written", "told"),
    [
        ("width", "50%", "width: must be a number of pixels, such as 512 or 512px"),
        ("width", "4px", "width: must be greater than or equal to 8"),
        ("width", "12.5px", "width: must be a valid integer"),
        ("weight", "50px", "weight: must be a number such as 0.5, or a percentage such as 50%"),
        ("weight", "1100%", "weight: must be less than or equal to 10"),
        ("weight", "50%%", "weight: must be a number such as 0.5"),
        ("fps", "24px", "fps: must be a number of frames per second"),
    ],
)
def test_another_unit_is_told(key: str, written: object, told: str) -> None:
    with pytest.raises(UserError) as error:
        parse(Settings, {key: written})
    assert told in error.value.message


def test_of_an_extraction() -> None:
    with_units = parse(
        Extract, {"start": "1.5s", "end": "3 s", "fps": "24fps", "width": "512px", "short_side": "128px"}
    )
    plain = parse(Extract, {"start": 1.5, "end": 3, "fps": 24, "width": 512})
    assert with_units == plain, "and a width takes the place of the shorter side"
