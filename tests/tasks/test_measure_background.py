"""The background metric falls when the background is broken on purpose, and when the figure stands elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from reel import pose
from reel.errors import UserError
from reel.store import Store
from tests.tasks import measure_clips
from tests.tasks.preprocess_people import store_clip, store_poses

measured = measure_clips.measured


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("measure") / "store")


@pytest.fixture(scope="module")
def people() -> np.ndarray:
    return measure_clips.dance()


@pytest.fixture(scope="module")
def frames(people) -> list[np.ndarray]:
    return measure_clips.drawn(people)


@pytest.fixture(scope="module")
def source(store, people, frames) -> str:
    """The dance's own skeletons, outlined as it is drawn."""
    ground = frames[0][0, 0].astype(int)
    outlines = [np.abs(frame - ground).max(axis=-1) > 12 for frame in frames]
    return poses_of(store, [[person] for person in people], outlines)


def poses_of(store: Store, people, outlines) -> str:
    """Stored poses with one person's outline `(128, 128)` bool in each frame."""
    with store.draft("poses") as draft:
        for index, outline in enumerate(outlines):
            draft.add(pose.mask_name(index), pose.pack_outlines([outline], 128, 128))
        draft.add("poses.json", pose.dump(people, 128, 128, "blazepose"))
        meta = {"time_base": "1/12", "pts": list(range(len(outlines))), "color": "bt709", "detector": "blazepose"}
        return draft.commit(width=128, height=128, count=len(outlines), **meta)


def values(store: Store, frames, source: str) -> dict[str, float]:
    return dict(measured(store, "background", frames=store_clip(store, frames), poses=source).values)


@pytest.fixture(scope="module")
def good(store, frames, source) -> dict[str, float]:
    return values(store, frames, source)


def test_a_drawn_dance_on_its_own_ground_is_steady_and_in_place(good):
    assert good["steady"] > 0.97
    assert good["place"] > 0.9


def test_a_background_that_changes_colour_is_less_steady_and_the_figure_stays_in_place(store, frames, source, good):
    other = [frame.copy() for frame in frames]
    for frame in other[::3]:
        ground = np.abs(frame.astype(int) - frame[0, 0]).max(axis=-1) < 12
        frame[ground] = [200, 120, 40]
    found = values(store, other, source)
    assert found["steady"] < good["steady"] - 0.15
    faint = [np.where(frame == frame, frame // 20 * 20, 0).astype(np.uint8) for frame in frames]
    assert values(store, faint, source)["steady"] > good["steady"] - 0.05


def test_a_patch_that_pops_up_is_seen_and_one_that_stays_is_background(store, frames, source, good):
    def with_patch(numbers) -> list[np.ndarray]:
        out = [frame.copy() for frame in frames]
        for number in numbers:
            out[number][:40, :24] = [250, 240, 10]
        return out

    flashing = values(store, with_patch([2, 5]), source)
    assert flashing["steady"] < good["steady"] - 0.01
    assert flashing["place"] < good["place"] - 0.01
    assert values(store, with_patch(range(len(frames))), source) == pytest.approx(good, abs=0.01)


@pytest.mark.parametrize("shift", [(0, 24), (0, -24), (16, 0)])
def test_a_figure_that_stands_elsewhere_is_out_of_place(store, frames, source, good, shift):
    assert values(store, [np.roll(frame, shift, (0, 1)) for frame in frames], source)["place"] < good["place"] - 0.15


def test_an_empty_picture_has_nobody_in_place(store, frames, source):
    found = values(store, [np.full_like(frames[0], 90)] * len(frames), source)
    assert found["steady"] == 1
    assert found["place"] == 0


def test_nobody_in_the_source_leaves_the_place_out(store, frames):
    nobody = store_poses(store, [[]] * len(frames), 128, 128)
    assert values(store, frames, nobody).keys() == {"steady"}


def test_one_frame_has_nothing_to_keep_and_people_everywhere_leave_no_background(store, frames, people, source):
    one = poses_of(store, [[people[0]]], [np.zeros((128, 128), bool)])
    assert "one frame" in measured(store, "background", frames=store_clip(store, frames[:1]), poses=one).missing
    full = poses_of(store, [[person] for person in people], [np.ones((128, 128), bool)] * len(people))
    found = measured(store, "background", frames=store_clip(store, frames), poses=full)
    assert found.missing == "the source's people fill the picture"


def test_poses_of_another_clip_are_refused(store, frames, source):
    with pytest.raises(UserError, match="not those of this render's source"):
        measured(store, "background", frames=store_clip(store, frames[:3]), poses=source)
    other = store_poses(store, [[]] * len(frames), 128, 128, detector="dwpose")
    with pytest.raises(UserError, match="read by dwpose, not by blazepose"):
        measured(store, "background", frames=store_clip(store, frames), poses=other)
