"""The space of a search: ranges read from settings, mistakes named."""

from __future__ import annotations

import pytest

from reel.errors import UserError
from reel.nested import at, placed
from reel.search.search_axes import Axis, axes

SETTINGS = {
    "controls": {
        "pose": {"weight": 1.0, "kind": "openpose", "soft": None, "mask": {"dilate": 0.0}},
        "lineart": {"weight": 0.5, "kind": "lineart", "soft": None, "mask": {"dilate": 0.0}},
    },
    "stylize": {"strength": 0.8, "num_inference_steps": 20, "clip_skip": 2, "decode_tiling": False},
    "extract": {"fps": 8.0},
    "seed": 3,
}


def test_without_a_space_the_weights_of_all_controls_vary():
    assert axes(None, SETTINGS) == [
        Axis("controls.pose.weight", 0.0, 1.2, 0.05),
        Axis("controls.lineart.weight", 0.0, 1.2, 0.05),
    ]


def test_values_are_on_the_lattice_to_the_last_digit():
    axis = Axis("a", 0.0, 1.2, 0.05)
    assert axis.count == 25
    assert [axis.value(place) for place in (0, 3, 24)] == [0.0, 0.15, 1.2]
    assert axis.nearest(0.15000000000000002) == 0.15
    assert [axis.nearest(value) for value in (-3, 0.98, 7)] == [0.0, 1.0, 1.2]
    whole = Axis("s", 1, 9, 2, integer=True)
    assert [whole.value(place) for place in range(whole.count)] == [1, 3, 5, 7, 9]
    assert isinstance(whole.nearest(4.2), int)


def test_ranges_steps_and_nesting():
    space = {"controls": {"pose": {"weight": [0.2, 1.2]}}, "stylize.strength": [0.4, 1, 0.1], "seed": [0, 4]}
    pose, strength, seed = axes(space, SETTINGS)
    assert (pose.low, pose.high, pose.step) == (0.2, 1.2, 0.05)
    assert (strength.count, strength.value(3)) == (7, 0.7)
    assert (seed.step, seed.integer, seed.count) == (1, True, 5)
    assert axes({"controls.pose.soft": [0.5, 1]}, SETTINGS)[0].count == 25
    assert axes({"controls.pose.weight": [0, 0.07]}, SETTINGS)[0].count == 2


STEPS = "stylize.num_inference_steps"

BAD = [
    (None, {**SETTINGS, "controls": {}}, "no control whose weight could be searched"),
    ({}, SETTINGS, "is empty"),
    ({"controls.pose.weigth": [0, 1]}, SETTINGS, "nearest: controls.pose.weight"),
    ({"controls.depth.weight": [0, 1]}, SETTINGS, "controls.depth.weight: no setting with a number"),
    ({"controls.pose.kind": [0, 1]}, SETTINGS, "no setting with a number"),
    ({"stylize.decode_tiling": [0, 1]}, SETTINGS, "no setting with a number"),
    ({"extract.fps": [4, 8]}, SETTINGS, "no setting with a number"),
    ({"stylize.num_inference_steps": [4, 8]}, SETTINGS, "the proxies have steps of their own"),
    ({"stylize.strength": [1, 0.4]}, SETTINGS, "the range 1..0.4 is empty"),
    ({"stylize.strength": [0.4, 0.4]}, SETTINGS, "is empty"),
    ({"stylize.strength": 0.4}, SETTINGS, "0.4 is not a range"),
    ({"stylize.strength": [0.4]}, SETTINGS, "is not a range"),
    ({"stylize.strength": ["a", "b"]}, SETTINGS, "is not a range"),
    ({"stylize.strength": [0, 1, 1e-9]}, SETTINGS, "a step of 1e-09 makes more than 1000000 values"),
    *(({"stylize.strength": [0, 1, n]}, SETTINGS, "is not a range") for n in (float("nan"), float("inf"), True)),
    ({"stylize.strength": [0.4, 1, 0.25]}, SETTINGS, "steps of 0.25 from 0.4 do not end at 1"),
    ({"stylize.strength": [0.4, 1, 0]}, SETTINGS, "a step of 0 does not fit"),
    ({"stylize.strength": [0.4, 1, 3]}, SETTINGS, "a step of 3 does not fit"),
    ({"seed": [0, 1.5]}, SETTINGS, "takes whole numbers only"),
]


@pytest.mark.parametrize(("space", "settings", "says"), BAD, ids=[bad[2] for bad in BAD])
def test_bad_spaces(space: dict | None, settings: dict, says: str):
    with pytest.raises(UserError) as caught:
        axes(space, settings, STEPS)
    assert says in caught.value.message + (caught.value.fix or "")


def test_values_are_put_in_and_the_settings_stay():
    data = placed(SETTINGS, {"controls.pose.weight": 0.3, "seed": 9})
    assert (at(data, "controls.pose.weight"), at(data, "seed")) == (0.3, 9)
    assert (at(SETTINGS, "controls.pose.weight"), at(SETTINGS, "seed")) == (1.0, 3)
    assert at(SETTINGS, "controls.pse.weight") is None
