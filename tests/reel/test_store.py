"""The store believes only what is whole, and notices every damaged byte."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from reel.clip import Clip, ClipWriter
from reel.errors import DamagedObject, MissingObject, UserError
from reel.files import explained, sha256_bytes, write_atomic
from reel.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def put(store: Store, data: bytes = b"payload") -> str:
    with store.draft("thing") as draft:
        draft.add("a/data.bin", data)
        return draft.commit(note="n")


def test_what_went_in_comes_out(store: Store):
    stored = store.get(put(store))
    assert (stored.kind, stored.meta, stored.read("a/data.bin")) == ("thing", {"note": "n"}, b"payload")


def test_same_content_is_one_object_and_leaves_no_draft(store: Store):
    assert put(store) == put(store)
    assert len(store.digests()) == 1
    assert list((store.root / "tmp").iterdir()) == []


def test_meta_and_kind_are_part_of_the_digest(store: Store):
    digests = set()
    for kind, note in [("a", "x"), ("a", "y"), ("b", "x")]:
        with store.draft(kind) as draft:
            draft.add("f", b"1")
            digests.add(draft.commit(note=note))
    assert len(digests) == 3


def test_draft_left_without_commit_leaves_nothing(store: Store):
    with pytest.raises(RuntimeError), store.draft("thing") as draft:
        draft.add("x", b"1")
        raise RuntimeError
    assert store.digests() == []
    assert list((store.root / "tmp").iterdir()) == []


@pytest.mark.parametrize("victim", ["a/data.bin", "manifest.json"])
def test_a_flipped_bit_is_noticed(store: Store, victim: str):
    digest = put(store)
    path = store.folder(digest) / victim
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedObject, match="damaged"):
        store.verify(digest)


def test_missing_object_and_missing_file(store: Store):
    digest = put(store)
    (store.folder(digest) / "a/data.bin").unlink()
    with pytest.raises(DamagedObject, match="is missing"):
        store.verify(digest)
    with pytest.raises(MissingObject, match="not in the store"):
        store.get("0" * 64)


def test_a_damaged_object_is_replaced_when_it_is_written_again(store: Store):
    digest = put(store)
    (store.folder(digest) / "a/data.bin").write_bytes(b"other")
    assert put(store) == digest
    store.verify(digest)


@pytest.mark.parametrize("victim", ["a/data.bin", "manifest.json", "."])
def test_something_else_in_the_place_of_a_file_or_of_the_object_is_damage_and_replaced(store: Store, victim: str):
    digest = put(store)
    path = store.folder(digest) / victim
    if victim == ".":
        shutil.rmtree(path)
        path.write_bytes(b"no object")
    else:
        path.unlink()
        (path / "inside").mkdir(parents=True)
    with pytest.raises((DamagedObject, MissingObject)):
        store.verify(digest)
    assert put(store) == digest
    store.verify(digest)
    assert list((store.root / "tmp").iterdir()) == []


def test_a_file_in_the_place_of_a_folder_of_objects_gives_way(store: Store):
    digest = put(store)
    shutil.rmtree(store.folder(digest).parent)
    store.folder(digest).parent.write_bytes(b"no folder")
    assert put(store) == digest
    store.verify(digest)


def test_a_file_name_cannot_leave_the_object(store: Store):
    with store.draft("thing") as draft, pytest.raises(ValueError, match="file name"):
        draft.add("../outside", b"1")


def test_foreign_schema_is_refused_by_name(store: Store):
    manifest = b'{"files":{},"kind":"thing","meta":{},"schema":99}'
    digest = sha256_bytes(manifest)
    store.folder(digest).mkdir(parents=True)
    (store.folder(digest) / "manifest.json").write_bytes(manifest)
    with pytest.raises(UserError, match=r"schema 99, this version reads 1"):
        store.get(digest)


def test_frame_cache_takes_damage_for_absence(store: Store):
    cache = store.per_frame("ns")
    frame = "ab" + "0" * 62
    assert cache.get(frame) is None
    cache.put(frame, b"joints")
    assert cache.get(frame) == b"joints"
    path = cache.root / "ab" / frame
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.get(frame) is None
    path.unlink()
    path.mkdir()
    assert cache.get(frame) is None
    cache.put(frame, b"joints")
    assert cache.get(frame) == b"joints"


def test_flock_of_a_killed_process_is_free(store: Store):
    script = textwrap.dedent("""
        import sys, time
        from reel.store import Store
        with Store(sys.argv[1]).lock("x"):
            print("held", flush=True)
            time.sleep(60)
    """)
    child = subprocess.Popen([sys.executable, "-c", script, str(store.root)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    with store.lock("x", wait=False) as held:
        assert not held
    child.send_signal(signal.SIGKILL)
    child.wait()
    with store.lock("x", wait=False) as held:
        assert held


def test_a_lock_whose_file_was_taken_away_is_no_lock(store: Store):
    """Whoever ends removes its lock's file with the lock; one that waited must not hold what nobody else can see."""
    path = store.root / "locks" / "x.lock"

    def waits() -> bool:
        with store.lock("x"):
            return path.exists()

    with ThreadPoolExecutor(1) as pool:
        with store.lock("x"):
            waiting = pool.submit(waits)
            time.sleep(0.1)
            path.unlink()
        assert waiting.result(10)


def test_a_folder_in_the_place_of_a_lock_or_a_small_file_is_moved_aside_with_all_that_is_in_it(
    store: Store, caplog: pytest.LogCaptureFixture
):
    for path in (store.root / "locks" / "x.lock", store.root / "keys" / "x.json"):
        path.mkdir()
        (path / "precious").write_text("mine")
    with store.lock("x") as held:
        assert held
    write_atomic(store.root / "keys" / "x.json", b"{}")
    assert (store.root / "keys" / "x.json").read_bytes() == b"{}"
    assert len(list(store.root.glob("*/.*.aside/precious"))) == 2
    assert caplog.text.count("was a folder where a file belongs") == 2


@pytest.mark.parametrize("refusal", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused_in_words(store: Store, monkeypatch: pytest.MonkeyPatch, refusal: int):
    def refuse(*_: object) -> None:
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(UserError, match="does not support flock") as told, store.lock("x"):
        pass
    assert "local disk" in str(told.value)


def test_file_size_limit_gives_one_clear_error_and_a_sound_store(tmp_path: Path):
    """RLIMIT_FSIZE stands in for a full disk: the kernel refuses the write half-way."""
    script = textwrap.dedent("""
        import resource, sys
        from reel.store import Store
        from reel.errors import UserError
        store = Store(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            with store.draft("big") as draft:
                draft.add("small", b"1" * 10)
                draft.add("data", b"1" * 5000)
                draft.commit()
        except UserError as error:
            print(error)
            print("objects", len(store.digests()), "drafts", len(list((store.root / "tmp").iterdir())))
    """)
    out = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "s")], capture_output=True, text=True, check=True
    )
    assert "no room left while writing" in out.stdout
    assert "rotoscope gc" in out.stdout
    assert "objects 0 drafts 0" in out.stdout


def test_refusals_of_the_disk_are_explained(tmp_path: Path):
    with pytest.raises(UserError, match="cannot write"), explained(tmp_path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="something else stands there or on the way to it"):
        write_atomic(tmp_path / "file" / "x", b"1")
    with pytest.raises(OSError, match="x"), explained(tmp_path):  # anything else stays what it is
        raise OSError(errno.EIO, "x")


def test_clip_round_trip_keeps_pixels_and_times(store: Store):
    frames = np.random.default_rng(0).integers(0, 256, (3, 6, 8, 3), np.uint8)
    with ClipWriter(store, "rgb", width=8, height=6, time_base=Fraction(1, 1000), meta={"source": {"a": 1}}) as writer:
        for frame, pts in zip(frames, (0, 40, 90), strict=True):
            writer.add(frame, pts)
    clip = Clip.open(store, writer.digest)
    assert np.array_equal(clip.array(), frames)
    assert (clip.pts, clip.fps, clip.meta["source"]) == ([0, 40, 90], Fraction(1000, 45), {"a": 1})


def test_clip_like_another_takes_its_times_and_refuses_another_size(store: Store):
    with ClipWriter(store, "rgb", width=4, height=4, time_base=Fraction(1, 30)) as writer:
        writer.add(np.zeros((4, 4, 3), np.uint8), 7)
    clip = Clip.open(store, writer.digest)
    with ClipWriter(store, "map", like=clip) as follower:
        follower.add(np.ones((4, 4, 3), np.uint8))
    assert Clip.open(store, follower.digest).pts == [7]
    with pytest.raises(ValueError, match=r"expected \(4, 4, 3\) uint8"), ClipWriter(store, "map", like=clip) as other:
        other.add(np.zeros((4, 5, 3), np.uint8))
    assert len(store.digests()) == 2


def test_clip_without_frames_is_refused(store: Store):
    with (
        pytest.raises(UserError, match="at least one frame"),
        ClipWriter(store, "rgb", width=4, height=4, time_base=Fraction(1)),
    ):
        pass


def test_limits_are_as_before():
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000
