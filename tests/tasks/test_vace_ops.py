"""What drives Wan VACE window by window, and how its windows become a film."""

from __future__ import annotations

import itertools
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
from reel.store import Store
from tasks.networks import stored
from tasks.vace.join import Join, figures
from tasks.vace.noise import WindowNoise
from tasks.vace.overlay import Overlay, covered
from tasks.vace.seam import Seam, matching
from tasks.vace.settings import Windows
from tasks.vace.window import MakeWindow
from tasks.vace.windows import windows

TICK = Fraction(1, 16)


@given(st.integers(1, 100), st.integers(1, 20), st.data())
def test_windows_cover_a_clip_once_but_for_what_they_take_over(quarters: int, room: int, data: st.DataObject):
    length, most = 4 * quarters + 1, 4 * room + 1
    overlap = 4 * data.draw(st.integers(0, room - 1)) + 1
    found = windows(length, most, overlap)
    assert all((one.count % 4 == 1 and overlap < one.count <= most) or len(found) == 1 for one in found)
    assert [one.carried for one in found] == [0, *[overlap] * (len(found) - 1)]
    assert all(b.first == a.first + a.count - overlap for a, b in itertools.pairwise(found))
    assert found[-1].first + found[-1].count == length
    if length > most:
        assert len(found) == -(-(length - overlap) // (most - overlap)) or len(found) < length / (most - overlap) + 1


def test_windows_are_about_equally_long():
    assert [(one.first, one.count) for one in windows(201, 81, 5)] == [(0, 73), (68, 73), (136, 65)]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"frames": 80}, "frames must be 4k\\+1 .* got 80: frames=81"),
        ({"overlap": 4}, "overlap must be 4k\\+1 .* got 4: overlap=5"),
        ({"frames": 5, "overlap": 5}, "overlap \\(5\\) must be less than frames \\(5\\)"),
    ],
)
def test_windows_off_the_grid_are_refused(given: dict[str, int], told: str):
    with pytest.raises(UserError, match=told):
        parse(Windows, given, "stylize.windows")


class Here:
    """A store with clips in it, and the ops run there."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ctx = op.Context(store, Compute(device="cpu"), run="r")

    def clip(self, *frames: np.ndarray, kind: str = "rgb") -> str:
        high, wide, _ = frames[0].shape
        with ClipWriter(self.store, kind, width=wide, height=high, time_base=TICK) as writer:  # type: ignore[arg-type]
            for number, frame in enumerate(frames):
                writer.add(frame, number)
        return writer.digest

    def flat(self, *shades: int) -> str:
        return self.clip(*(np.full((8, 8, 3), shade, np.uint8) for shade in shades))

    def run(self, name: str, cfg: object, **inputs: str) -> np.ndarray:
        return Clip.open(self.store, op.get("vace", name).fn(cfg, inputs, self.ctx)).array()

    def shades(self, name: str, cfg: object, **inputs: str) -> list[int]:
        """Of a clip of plain frames."""
        found = self.run(name, cfg, **inputs)
        assert (found == found[:, :1, :1, :1]).all()
        return [int(frame[0, 0, 0]) for frame in found]


@pytest.fixture
def here(store: Store) -> Here:
    return Here(store)


def test_a_window_begins_with_the_last_frames_of_the_one_before(here: Here):
    maps, before = here.flat(*range(10, 19)), here.flat(*range(100, 105))
    own = {"first": 4, "count": 5, "carried": 1}
    assert here.shades("window", MakeWindow(what="control", **own), map=maps, previous=before) == [104, 15, 16, 17, 18]
    assert here.shades("window", MakeWindow(what="mask", **own), map=maps, previous=before) == [0, *[255] * 4]


def test_where_a_place_stays_the_control_is_the_source_itself(here: Here):
    maps, frames = here.flat(10, 11, 12, 13, 14), here.flat(60, 61, 62, 63, 64)
    mask = np.zeros((8, 8, 3), np.uint8)
    mask[:, 4:] = 255
    given = {"map": maps, "frames": frames, "mask": here.clip(*[mask] * 5)}
    found = here.run("window", MakeWindow(what="control", first=0, count=5), **given)
    assert (found[:, :, :4, 0] == np.arange(60, 65)[:, None, None]).all()
    assert (found[:, :, 4:, 0] == np.arange(10, 15)[:, None, None]).all()
    assert (here.run("window", MakeWindow(what="mask", first=0, count=5), **given) == mask).all()


def test_a_map_covers_another_where_it_is_drawn(here: Here):
    below, above = np.full((4, 4, 3), 200, np.uint8), np.zeros((4, 4, 3), np.uint8)
    above[1, 2] = (0, 90, 0)
    found = covered(below, above)
    assert found[1, 2].tolist() == [0, 90, 0]
    assert (np.delete(found.reshape(16, 3), 6, axis=0) == 200).all()
    both = {"map_a": here.clip(below), "map_b": here.clip(above)}
    assert (here.run("overlay", Overlay(order=["a", "b"]), **both)[0] == found).all()
    assert (here.run("overlay", Overlay(order=["b", "a"]), **both)[0] == below).all()


def test_a_frame_has_the_same_noise_in_both_windows_that_show_it(here: Here):
    def noise(first: int, count: int, **more: int) -> np.ndarray:
        cfg = WindowNoise(seed=3, width=16, height=8, frames=17, first=first, count=count, pictures=2, **more)
        digest = op.get("vace", "noise").fn(cfg, {}, here.ctx)
        return stored.take(here.store, digest, "latents")[0]["latents"].numpy()

    one, other = noise(0, 13), noise(8, 9)
    assert one.shape == (1, 16, 2 + 4, 1, 2)
    assert (one[:, :, :2] == other[:, :, :2]).all(), "that of the pictures"
    assert (one[:, :, 2 + 2 :] == other[:, :, 2 : 2 + 2]).all()
    assert not np.isclose(one[:, :, 2], other[:, :, 4]).any()


def test_how_windows_meet(here: Here):
    before, frames = here.flat(10, 20, 30), here.flat(80, 90, 100, 110)
    given = {"previous": before, "frames": frames}
    assert here.shades("seam", Seam(overlap=2, blend="cut"), **given) == [20, 30, 100, 110]
    assert here.shades("seam", Seam(overlap=2, blend="fade"), **given) == [40, 70, 100, 110]
    assert here.shades("seam", Seam(overlap=2, blend="match"), **given)[:2] == [20, 30]


def test_matching_brings_colours_to_those_of_the_earlier_frames():
    earlier = np.random.RandomState(0).randint(0, 255, (2, 8, 8, 3)).astype(np.uint8)
    later = earlier * 0.5 + np.array([10, 20, 30])
    factor, offset = matching(later, earlier)
    assert np.allclose(later * factor + offset, earlier, atol=0.5)
    flat = np.full((1, 4, 4, 3), 90.0)
    factor, offset = matching(flat, flat - 40)
    assert factor.tolist() == [1, 1, 1]
    assert offset.tolist() == [-40, -40, -40]


def test_windows_become_a_film_of_the_sources_length_and_times(here: Here):
    source = here.flat(*range(9))
    given = {"window_0": here.flat(10, 11, 12, 13, 14), "window_1": here.flat(24, 25, 26, 27, 28), "frames": source}
    assert here.shades("join", Join(overlap=1), **given) == [10, 11, 12, 13, 24, 25, 26, 27, 28]
    assert here.ctx.facts["seams"] == {"seam": 11.0, "seam_median": 6.0, "inner": 1.0, "inner_median": 1.0}


def test_ten_windows_are_joined_by_number(here: Here):
    given = {f"window_{number}": here.flat(number, number + 1) for number in range(11)}
    assert here.shades("join", Join(overlap=1), **given, frames=here.flat(*range(12))) == list(range(12))


def test_what_stays_is_the_sources_to_the_bit(here: Here):
    mask = np.zeros((8, 8, 3), np.uint8)
    mask[:, 4:] = 255
    given = {"window_0": here.flat(200), "frames": here.flat(50), "mask": here.clip(mask)}
    found = here.run("join", Join(), **given)[0]
    assert (found[:, :4] == 50).all()
    assert (found[:, 4:] == 200).all()
    faded = here.run("join", Join(feather=2), **given)[0][0, :, 0]
    assert (np.diff(faded.astype(int)) >= 0).all()
    assert 50 < faded[3] < faded[4] < 200


def test_figures_tell_seams_from_the_inside():
    jumps = [1.0, 2.0, 9.0, 8.0, 1.5, 1.0]
    assert figures(jumps, [3], 1) == {"seam": 9.0, "seam_median": 8.5, "inner": 2.0, "inner_median": 1.25}
