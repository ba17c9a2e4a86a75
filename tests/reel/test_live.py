"""What a render tells those who look on: whole files or none, a bounded part of the time, and no trouble of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reel.live import PREVIEW, SHARE, Live, progress_path, read_progress
from reel.op import Context
from reel.store import Store

RUN = "20261129-101500-0a1b2c"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def live(store: Store, folder: Path, clock: Clock, every: float = 3.0) -> Live:
    return Live(store, RUN, folder, every=every, clock=clock)


def test_how_far_a_stage_is_stands_in_the_store_until_the_render_ends(tmp_path: Path):
    store = Store(tmp_path / "store")
    told = Live(store, RUN, tmp_path / "out")
    told.expect(90.0)
    with Context(store, live=told).progress(4, "denoise", "step", 1) as bar:
        first = read_progress(store, RUN)
        bar.update(3)
    last = read_progress(store, RUN)
    assert first
    assert last
    assert (first.stage, first.unit, first.done, first.total, first.left) == ("denoise", "step", 1, 4, None)
    assert (last.done, last.left, last.expected) == (4, 0.0, 90.0)
    assert first.began <= last.updated
    told.close(done=False)
    assert read_progress(store, RUN) is None


def test_the_disk_hears_of_a_stage_once_a_second_and_at_its_end(tmp_path: Path):
    store, clock, seen = Store(tmp_path / "store"), Clock(), []
    told = live(store, tmp_path, clock)
    for done in range(1, 101):
        clock.now += 0.1
        told.step("denoise", "step", done, 100, 1.0)
        found = read_progress(store, RUN)
        assert found is not None
        if found.done not in seen:
            seen.append(found.done)
    assert seen[0] == 1
    assert seen[-1] == 100
    assert len(seen) in (10, 11)


@pytest.mark.parametrize("data", ["", "{", "[]", '{"stage": "denoise"}', json.dumps({"stage": 1})])
def test_damaged_progress_is_none(tmp_path: Path, data: str):
    store = Store(tmp_path)
    path = progress_path(store, RUN)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data)
    assert read_progress(store, RUN) is None


def test_a_picture_is_due_when_the_last_one_is_old_enough_and_has_paid_for_itself(tmp_path: Path):
    clock = Clock()
    told = live(Store(tmp_path / "store"), tmp_path / "out", clock)
    cost = 0.0

    def write(path: Path) -> None:
        clock.now += cost
        path.write_bytes(b"picture")

    assert told.picture_is_due()
    told.picture(write)
    clock.now += 2.9
    assert not told.picture_is_due()
    clock.now += 0.2
    assert told.picture_is_due()
    cost = 0.5
    told.picture(write)
    clock.now += cost / SHARE - 1
    assert not told.picture_is_due(), "it took half a second: the next one waits for 50"
    clock.now += 2
    assert told.picture_is_due()
    assert not live(Store(tmp_path / "store"), tmp_path, clock, every=0).picture_is_due()


def test_a_picture_is_whole_or_the_old_one_and_the_film_takes_its_place(tmp_path: Path):
    told = live(Store(tmp_path / "store"), tmp_path / "out", Clock())
    picture = tmp_path / "out" / PREVIEW
    told.picture(lambda path: path.write_bytes(b"first"))

    def broken(path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        told.picture(broken)
    assert picture.read_bytes() == b"first"
    assert [path.name for path in picture.parent.iterdir()] == [PREVIEW]
    told.close(done=False)
    assert picture.exists(), "of a render that broke off it shows how far it came"
    told.close(done=True)
    assert not picture.exists()


def test_a_disk_that_refuses_is_told_once_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    told = live(Store(tmp_path / "store"), tmp_path / "out", Clock())
    (tmp_path / "out").write_text("a file where the folder belongs")
    for _ in range(3):
        told.picture(lambda path: path.write_bytes(b"x"))
    told.step("denoise", "step", 1, 2, None)
    assert len(caplog.records) == 1
    assert not told.picture_is_due()
