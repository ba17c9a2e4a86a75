"""How a person is framed, from key points alone."""

from __future__ import annotations

import pytest

from reel import pose
from reel.framing import framing, seen
from tests.tasks.preprocess_people import standing

SIDE = 200


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        (standing(100, 100, 150), "whole figure"),
        (standing(100, 230, 400), "upper body"),  # feet, which a detector places all the same, below the lower edge
        (standing(100, 420, 900), "face only"),
        (standing(100, -20, 150), None),  # legs that walk past
    ],
)
def test_what_lies_inside_the_picture_says_how_a_person_is_framed(person, expected):
    assert framing(person, SIDE, SIDE) == expected


def test_points_that_the_detector_is_unsure_of_do_not_count():
    person = standing(100, 100, 150)
    person[[pose.R_ANKLE, pose.L_ANKLE, pose.R_KNEE, pose.L_KNEE], 3] = 0.2
    assert framing(person, SIDE, SIDE) == "upper body"
    assert framing(person, SIDE, SIDE, min_score=0.1) == "whole figure"
    person[:, 3] = 0
    assert framing(person, SIDE, SIDE, min_score=0) is None


def test_one_leg_hidden_behind_the_other_is_still_a_whole_figure():
    person = standing(100, 100, 150)
    person[[pose.R_HIP, pose.R_KNEE, pose.R_ANKLE, pose.R_EAR, pose.NOSE], 3] = 0
    assert framing(person, SIDE, SIDE) == "whole figure"


def test_a_clip_counts_people_in_every_frame_and_the_framing_of_the_largest():
    near, far = standing(100, 230, 400), standing(40, 100, 60)
    found = seen([[far, near], [far], [], [near]], SIDE, SIDE)
    assert found.people == (2, 1, 0, 1)
    assert found.framings == ("upper body", "whole figure", None, "upper body")
    assert found.found == 0.75
    assert found.shares == pytest.approx({"whole figure": 1 / 3, "upper body": 2 / 3})
    assert list(found.shares) == ["whole figure", "upper body"]
    nothing = seen([], SIDE, SIDE)
    assert nothing.found == 0
    assert nothing.shares == {}
