"""The project's own clip does what the demo needs: one whole person who moves and is found, and sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from reel import op, pose
from reel.clip import Clip
from reel.config import parse
from reel.op import Context
from reel.store import Store
from tasks.media.known_facts import facts as facts_of
from tasks.media.source import open_source
from tasks.preprocess.tracks import people_of
from tests.tasks.media_samples import assembled, extracted, heard

SAMPLE = Path(__file__).parents[2] / "data" / "source" / "sample.mp4"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Clip, pose.Poses]:
    store = Store(tmp_path_factory.mktemp("sample") / "store")
    clip = extracted(store, SAMPLE, short_side=128)
    detector = op.get("preprocess", "blazepose")
    settings = parse(detector.config, {})
    return store, clip, pose.Poses.open(store, detector.fn(settings, {"frames": clip.digest}, Context(store)))


def test_it_is_short_small_and_has_sound() -> None:
    facts = facts_of(open_source(SAMPLE))
    length = len(facts.pts) / facts.fps
    assert SAMPLE.stat().st_size < 1_000_000
    assert 2 <= length <= 4
    assert facts.fps == 24
    assert (facts.width, facts.height) == (480, 480)
    assert facts.sound is not None
    assert facts.sound.duration == pytest.approx(length, abs=0.05)


def test_the_detector_finds_one_whole_person(rendered: tuple[Store, Clip, pose.Poses]) -> None:
    _, clip, poses = rendered
    found = [people for people in poses.frames if people]
    assert len(clip) == len(poses.frames) == 48
    assert len(found) >= 0.95 * len(clip)
    assert sum(len(people) == 1 for people in found) >= 0.95 * len(clip)  # a ghost flashes up
    (track,) = people_of(poses.sightings, poses.sure, poses.fps, carry=1.0)
    assert len(track.people) == 48
    for person in track.people.values():
        assert (person[:, :2] > 0).all()
        assert (person[:, :2] < 128).all()
        assert np.ptp(person[:, 1]) > 64  # head to foot: at least half of the frame's height


def test_the_person_moves(rendered: tuple[Store, Clip, pose.Poses]) -> None:
    _, _, poses = rendered
    points = np.stack([people[0][:, :2] for people in poses.frames if people])
    reach = np.ptp(points, axis=0).max(axis=1)
    assert (reach > 10).sum() >= 8  # most joints travel by more than a twelfth of the frame
    assert reach.max() > 30


def test_the_sound_comes_out_again(rendered: tuple[Store, Clip, pose.Poses], tmp_path: Path) -> None:
    store, clip, _ = rendered
    made = assembled(store, clip, SAMPLE, side_by_side=False, contact_sheet=0)
    assert made["sound"]
    assert Fraction(made["duration"]) == 2
    assert heard(made["movie"])[0] < 0.05
