"""What drives Wan-Animate: how a clip is cut into segments, whose face is followed, what stays of a place."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reel import op
from reel.clip import Clip, ClipWriter
from reel.compute import Compute
from reel.config import parse
from reel.errors import UserError
from reel.pose import L_EAR, L_EYE, NECK, NOSE, R_EAR, R_EYE, join_rows, to_row
from reel.store import Draft, Store
from tasks.wan_animate.face import Face, cut, followed, steadied
from tasks.wan_animate.place import Place
from tasks.wan_animate.segments import least, segments
from tasks.wan_animate.settings import Segments

TICK = Fraction(1, 30)


def pipelines_own(length: int, frames: int, carried: int) -> int:
    """Segments that the stock pipeline counts; its own lines, asserts included."""
    stride = frames - carried
    rest = (length - carried) % stride
    target = length + (stride - rest if rest else 0)
    count = target // stride
    for start in range(0, count * stride, stride):
        assert start + carried < length
    assert count * stride + carried >= length
    return count


@given(st.integers(6, 700), st.integers(3, 20), st.sampled_from([1, 5]))
def test_segments_are_those_that_the_pipeline_counts(length: int, quarters: int, carried: int):
    most = 4 * quarters + 1
    found = segments(length, most, carried)
    (frames,) = {one.frames for one in found}
    assert frames % 4 == 1
    assert frames <= most
    assert len(found) == pipelines_own(length, frames, carried)
    assert len(found) == max(1, -(-(length - carried) // (most - carried))), "as few as can be"
    assert sum(one.new for one in found) == length
    for number, one in enumerate(found):
        assert pipelines_own(one.last - one.first, frames, carried) == min(number + 1, 2), "the one before, and itself"
        assert one.first == max(number - 1, 0) * (frames - carried)
    spare = frames + (len(found) - 1) * (frames - carried) - length
    assert spare < 4 * len(found) or frames == least(carried), "little is made to be cut off"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"frames": 76}, "frames must be 4k\\+1 .* got 76: frames=77"),
        ({"frames": 9, "carried": 5}, "more than twice the carried \\(5\\): frames=13"),
        ({"carried": 2}, "carried: must be 1 or 5"),
    ],
)
def test_segments_that_the_pipeline_dies_of_are_refused(given: dict[str, int], told: str):
    with pytest.raises(UserError, match=told):
        parse(Segments, given, "stylize.segments")


def person(x: float, y: float, ears: float = 20) -> np.ndarray:
    """Somebody whose head is there."""
    found = np.zeros((18, 4), np.float32)
    half = ears / 2
    for point, at in {NOSE: 0.0, R_EYE: -half / 2, L_EYE: half / 2, R_EAR: -half, L_EAR: half}.items():
        found[point] = (x + at, y, 0, 1)
    found[NECK] = (x, y + ears, 0, 1)
    return found


def test_one_person_is_followed_though_another_is_larger_later():
    frames = [[person(50, 40), person(200, 40)], [], [person(205, 40, 30), person(56, 42)]]
    heads = followed(frames)
    assert heads[0] is not None
    assert heads[1] is None
    assert heads[2] is not None
    assert [round(heads[0][0]), round(heads[2][0])] == [50, 56]


def test_between_faces_the_square_goes_straight_and_does_not_tremble():
    squares = steadied([(10.0, 5.0, 4.0), None, (30.0, 5.0, 8.0)], 1)
    assert squares.tolist() == [[10, 5, 4], [20, 5, 6], [30, 5, 8]]
    held = steadied([None, (10.0, 5.0, 4.0), None], 1)
    assert held.tolist() == [[10, 5, 4]] * 3
    trembling = [(50.0 + at % 2, 50.0, 10.0) for at in range(40)]
    steady = steadied(trembling, 9)
    assert np.abs(np.diff(steady[:, 0])).max() < 0.12


def test_a_square_past_the_border_goes_on_with_its_edge():
    frame = np.tile(np.arange(40, dtype=np.uint8)[None, :, None], (30, 1, 3))
    inside = cut(frame, 20, 15, 10, 10)
    assert inside[0, :, 0].tolist() == list(range(15, 25))
    outside = cut(frame, 0, 0, 10, 10)
    assert outside[:, :, 0].tolist() == [[0, 0, 0, 0, 0, 0, 1, 2, 3, 4]] * 10
    assert cut(frame, 20, 15, 20, 5).shape == (5, 5, 3)


class Here:
    """A store with clips in it, and the ops run there."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ctx = op.Context(store, Compute(device="cpu"), run="r")

    def clip(self, frames: np.ndarray) -> str:
        _, high, wide, _ = frames.shape
        with ClipWriter(self.store, "rgb", width=wide, height=high, time_base=TICK) as writer:
            for number, frame in enumerate(frames):
                writer.add(frame, number)
        return writer.digest

    def poses(self, frames: list[list[np.ndarray]], width: int, height: int) -> str:
        rows = [to_row(people) for people in frames]
        with Draft(self.store, "poses") as draft:
            draft.add("poses.json", join_rows(rows, width, height, "blazepose", 0.0))
            return draft.commit(
                width=width,
                height=height,
                count=len(frames),
                detector="blazepose",
                time_base=str(TICK),
                pts=list(range(len(frames))),
                color="bt709",
            )

    def run(self, name: str, cfg: object, **inputs: str) -> np.ndarray:
        return Clip.open(self.store, op.get("wan_animate", name).fn(cfg, inputs, self.ctx)).array()


@pytest.fixture
def here(store: Store) -> Here:
    return Here(store)


def test_the_face_is_cut_out_where_it_goes(here: Here):
    frames = np.zeros((5, 80, 120, 3), np.uint8)
    people = []
    for number in range(5):
        x = 40 + 8 * number
        frames[number, 25:36, x - 5 : x + 6] = 255
        people.append([person(x, 30)] if number != 2 else [])
    given = {"frames": here.clip(frames), "poses": here.poses(people, 120, 80)}
    found = here.run("face", Face(size=32, scale=1.2, steady=1), **given)
    assert found.shape == (5, 32, 32, 3)
    for face in found:
        rows, columns = np.nonzero(face[..., 0] > 128)
        assert abs(rows.mean() - 15.5) < 1.5
        assert abs(columns.mean() - 15.5) < 1.5
    assert here.ctx.facts["faces"] == "4 of 5"
    assert 20 <= here.ctx.facts["face_px"] <= 40, "before it is made 32 px large"


def test_a_clip_without_a_face_is_told(here: Here):
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    given = {"frames": here.clip(frames), "poses": here.poses([[], []], 16, 16)}
    with pytest.raises(UserError, match="blazepose finds no face in any frame"):
        here.run("face", Face(size=16), **given)


def test_of_a_place_the_person_is_black(here: Here):
    frames = np.full((1, 8, 8, 3), 90, np.uint8)
    mask = np.zeros((1, 8, 8, 3), np.uint8)
    mask[:, :, 4:] = 255
    found = here.run("place", Place(), frames=here.clip(frames), mask=here.clip(mask))[0]
    assert (found[:, :4] == 90).all()
    assert (found[:, 4:] == 0).all()
