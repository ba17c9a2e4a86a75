"""Metrics that need no weights move the right way on clips made worse on purpose."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from reel.errors import UserError
from reel.measure import Result
from reel.store import Store
from tasks.measure import flow, motion
from tests.tasks import measure_clips
from tests.tasks.preprocess_people import store_clip


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("measure") / "store")


@pytest.fixture(scope="module")
def clips(store) -> dict[str, str]:
    """Digests of a panned texture, a drawn dance and their variants."""
    texture, figure = measure_clips.panned(1.5), measure_clips.drawn(measure_clips.dance())
    found = {name: store_clip(store, frames) for name, frames in measure_clips.made(texture).items()}
    return found | {f"figure {name}": store_clip(store, f) for name, f in measure_clips.made(figure).items()}


@pytest.fixture(scope="module")
def result(store, clips):
    """From a metric and a clip's name to its result against the undisturbed clip; each is measured once."""

    @functools.cache
    def run(metric: str, name: str) -> Result:
        original = "figure true" if name.startswith("figure") else "true"
        return measured(store, metric, frames=clips[name], original=clips[original])

    return run


measured = measure_clips.measured

# metric, value, the better clip, the worse one
ORDERS = [
    ("flicker", "mean", "true", "flickering"),
    ("flicker", "mean", "true", "recoloured"),
    ("flicker", "mean", "frozen", "true"),
    ("flicker", "mean", "figure true", "figure flickering"),
    ("flicker", "mean", "figure true", "figure recoloured"),
    ("flicker", "mean", "figure frozen", "figure true"),
    ("flicker", "matched", "figure true", "figure shuffled"),
    ("motion", "kept", "true", "frozen"),
    ("motion", "kept", "mirrored", "shuffled"),
    ("motion", "kept", "figure true", "figure frozen"),
    ("motion", "kept", "figure mirrored", "figure shuffled"),
    ("motion", "roughness", "true", "jittered"),
    ("motion", "roughness", "true", "shuffled"),
    ("motion", "roughness", "figure true", "figure jittered"),
    ("motion", "roughness", "figure true", "figure shuffled"),
    ("palette", "consistency", "true", "recoloured"),
    ("palette", "consistency", "figure true", "figure recoloured"),
    ("palette", "consistency", "figure true", "figure flickering"),
    ("palette", "consistency", "figure frozen", "figure recoloured"),
    ("ssim", "mean", "true", "blurred"),
    ("ssim", "mean", "figure true", "figure mirrored"),
    ("ssim", "mean", "figure true", "figure jittered"),
    ("ssim", "mean", "figure recoloured", "figure mirrored"),  # colours are not structure
    ("vmaf", "mean", "figure true", "figure blurred"),
    ("vmaf", "mean", "figure true", "figure mirrored"),
    ("vmaf", "mean", "figure true", "figure frozen"),
]
LOWER = {("flicker", "mean"), ("motion", "roughness")}


@pytest.mark.parametrize(("metric", "value", "better", "worse"), ORDERS)
def test_a_worse_clip_gets_a_worse_figure(result, metric: str, value: str, better: str, worse: str):
    good, bad = result(metric, better).values[value], result(metric, worse).values[value]
    if (metric, value) in LOWER:
        good, bad = -good, -bad
    assert good > bad + 0.01 * max(abs(good), abs(bad))


@pytest.mark.parametrize(("metric", "value"), [("palette", "consistency"), ("flicker", "mean"), ("motion", "amount")])
def test_what_a_metric_does_not_look_at_leaves_it_alone(result, metric: str, value: str):
    true, mirrored = result(metric, "figure true").values[value], result(metric, "figure mirrored").values[value]
    assert mirrored == pytest.approx(true, rel=0.15)


def test_still_and_unchanged_clips_are_at_the_ends_of_the_ranges(result):
    assert result("flicker", "frozen").values == {"mean": 0, "matched": 1}
    assert result("motion", "frozen").values == {"amount": 0, "kept": 0, "roughness": 0}
    assert result("palette", "frozen").values["consistency"] == pytest.approx(1)
    assert result("ssim", "true").values["mean"] == pytest.approx(1)
    assert result("vmaf", "figure true").values["mean"] > 95
    assert result("motion", "true").values["kept"] == pytest.approx(1)


def test_amount_is_the_distance_moved(store, clips):
    """1.5 px a frame at 12 frames a second, of 128 px."""
    found = measured(store, "motion", frames=clips["true"], original=clips["true"]).values["amount"]
    assert found == pytest.approx(100 * 1.5 * 12 / 128, rel=0.1)


def test_half_and_double_speed_keep_half_the_movement(store, clips):
    for speed in (0.75, 3.0):
        other = store_clip(store, measure_clips.panned(speed))
        found = measured(store, "motion", frames=other, original=clips["true"]).values["kept"]
        assert found == pytest.approx(0.5, abs=0.06)
    assert motion.kept(0, 0) == 1


def test_flicker_is_in_units_of_a_255th(store):
    """A still texture whose brightness goes up and down by 10."""
    texture = measure_clips.panned(0)[0] // 2 + 50
    frames = [texture + np.uint8(10 * (t % 2)) for t in range(4)]
    found = measured(store, "flicker", frames=store_clip(store, frames))
    assert found.values["mean"] == pytest.approx(10, abs=0.5)
    assert found.frames["mean"][0] is None
    assert len(found.frames["mean"]) == 4


def test_noise_on_a_flat_wall_is_not_movement(store):
    """Half a level of noise, as a decoder leaves it: without a standing texture DIS reports 3 px a frame there."""
    rng = np.random.default_rng(2)
    frames = [np.rint(120 + rng.normal(0, 0.5, (128, 128, 3))).astype(np.uint8) for _ in range(4)]
    wall = store_clip(store, frames)
    assert measured(store, "motion", frames=wall, original=wall).values["amount"] < 0.2 * 100 * 12 / 128  # 0.2 px
    assert measured(store, "flicker", frames=wall).values["matched"] > 0.95


def test_hidden_pixels_are_left_out(store):
    """A bar moves over a texture: what it uncovers has no counterpart and must not count as flicker."""
    texture = measure_clips.panned(0)[0]
    frames = []
    for t in range(5):
        frame = texture.copy()
        frame[:, 20 + 8 * t : 44 + 8 * t] = measure_clips.panned(0, 1, seed=7)[0][:, :24]
        frames.append(frame)
    digest = store_clip(store, frames)
    checked = measured(store, "flicker", frames=digest)
    unchecked = measured(store, "flicker", {"occlusion_check": False}, frames=digest)
    assert checked.values["mean"] < 0.6 * unchecked.values["mean"]
    assert unchecked.values["matched"] == 1
    assert 0.75 < checked.values["matched"] < 0.97


def test_a_match_is_a_way_there_and_back():
    there = np.zeros((20, 20, 2), np.float32)
    there[..., 0] = 3
    back = -there
    assert flow.matched(there, back)[:, :17].all()
    assert not flow.matched(there, back)[:, 17:].any()  # left the frame
    assert not flow.matched(there, there)[:, :14].any()


@pytest.mark.parametrize("metric", ["flicker", "motion", "palette"])
def test_one_frame_has_nothing_to_compare(store, metric: str):
    one = store_clip(store, measure_clips.panned(0, 1))
    found = measured(store, metric, frames=one, original=one)
    assert (found.values, found.missing) == ({}, flow.ONE_FRAME)


@pytest.mark.parametrize("metric", ["ssim", "vmaf"])
def test_frames_too_small_for_the_window_are_told(store, metric: str):
    one = store_clip(store, [np.zeros((8, 8, 3), np.uint8)])
    assert "smaller" in measured(store, metric, frames=one, original=one).missing


@pytest.mark.parametrize("metric", ["motion", "ssim", "vmaf"])
def test_clips_that_do_not_belong_together_are_refused(store, clips, metric: str):
    short = store_clip(store, measure_clips.panned(1.5)[:3])
    with pytest.raises(UserError, match=rf"measure.{metric}: the render .* 3 frames"):
        measured(store, metric, frames=short, original=clips["true"])


def test_every_declared_value_was_looked_at(result):
    from reel.measure import get

    looked = {(metric, value) for metric, value, _, _ in ORDERS} | {("motion", "amount")}
    declared = {(m, v.name) for m in ("flicker", "motion", "palette", "ssim", "vmaf") for v in get(m).values}
    assert looked == declared
