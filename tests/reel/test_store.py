"""The store believes only what is whole, and notices every damaged byte."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from reel.clip import Clip, ClipWriter
from reel.errors import DamagedObject, MissingObject, UserError
from reel.store import Store, explained, sha256_bytes


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
