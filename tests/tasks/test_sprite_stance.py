"""The pose of key pictures: a whole figure in the middle, as large as the prompt says."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.sprite.skeleton import L_ANKLE, L_WRIST, NECK, NOSE, R_ANKLE, R_WRIST
from tasks.sprite.stance import FRAMINGS, framed, standing


@pytest.mark.parametrize(("width", "height"), [(192, 192), (144, 256), (256, 144)])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_the_figure_is_whole_upright_and_in_the_middle(framing: str, width: int, height: int):
    person = standing(width, height, framing)
    x, y = person[:, 0], person[:, 1]
    assert y.max() < height
    assert x.min() > 0
    assert x.max() < width
    assert y.min() > 0.1 * FRAMINGS[framing] * min(width, height)  # the hair is above the eyes
    assert person[NOSE, 1] < person[NECK, 1] < person[[L_WRIST, R_WRIST], 1].min() < person[[L_ANKLE, R_ANKLE], 1].min()
    assert np.isclose((person[L_ANKLE, 0] + person[R_ANKLE, 0]) / 2, width / 2)
    assert person[L_WRIST, 0] > width / 2 > person[R_WRIST, 0]  # it faces the camera
    assert (person[:, 3] == 1).all()


def test_framings_differ_in_size_alone():
    heights = {name: np.ptp(standing(192, 192, name)[:, 1]) for name in FRAMINGS}
    assert heights["wide"] < heights["medium"] < heights["close"]
    assert heights["close"] / heights["wide"] == pytest.approx(FRAMINGS["close"] / FRAMINGS["wide"])


@pytest.mark.parametrize(
    ("prompt", "left", "framing"),
    [
        ("a girl waves, wide shot, green background", "a girl waves, green background", "wide"),
        ("A long shot of a man", "a man", "wide"),
        ("full-shot, a man", "a man", "wide"),
        ("a girl, medium close-up shot", "a girl", "close"),
        ("medium close-up of a girl", "a girl", "close"),
        ("extreme long shot, a man", "a man", "wide"),
        ("a woman close-up", "a woman", "close"),
        ("A man wide shot", "A man", "wide"),
        ("mid shot, a girl", "a girl", "medium"),
        ("close-up of a girl", "a girl", "close"),
        ("Closeup, a girl", "a girl", "close"),
        ("a girl with long hair in a closet", "a girl with long hair in a closet", ""),
        ("", "", ""),
    ],
)
def test_the_cameras_distance_is_read_and_leaves_the_prompt(prompt: str, left: str, framing: str):
    found = framed(prompt)
    assert (found.prompt.lower(), found.framing) == (left.lower(), framing)
