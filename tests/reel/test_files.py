"""What stands where a file of ours belongs: a pipe is never waited for, whatever it stands for."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from reel.errors import DamagedObject, MissingObject, UserError
from reel.files import flocked, open_regular, read_checked, read_file, read_regular, sha256_file, write_atomic
from reel.history.recorder import begin
from reel.keys import entry_path, make_key, recall, remember
from reel.pointer import drop_odd_pointer, pointer_path, read_pointer, write_pointer
from reel.store import Store
from tests.reel.test_mirror import OP, Config

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(60)  # a pipe that is opened is waited for until then


def pipe(path: Path) -> Path:
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("read", [open_regular, read_regular, sha256_file])
def test_only_regular_files_are_opened(read: Callable[[Path], object], tmp_path: Path):
    with pytest.raises(OSError, match="Not a regular file") as told:
        read(pipe(tmp_path / "pipe"))
    assert told.value.errno == errno.EINVAL
    with pytest.raises(OSError, match="Not a regular file"):
        read(Path("/dev/zero"))
    with pytest.raises(IsADirectoryError):
        read(tmp_path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")


def test_a_pipe_is_as_good_as_no_file(tmp_path: Path):
    place = pipe(tmp_path / "pipe")
    assert read_file(place) is None
    assert read_checked(place) is None
    write_atomic(place, b"written")
    assert read_file(place) == b"written"


def test_a_pipe_in_a_locks_place_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="something else stands there"), flocked(pipe(tmp_path / "x.lock")):
        pass


def test_a_pipe_anywhere_in_a_store_is_damage(tmp_path: Path):
    store = Store(tmp_path)
    with store.draft("rgb") as draft:
        draft.add("a.png", b"picture")
        digest = draft.commit(count=1)
    key = make_key(OP, Config(), {"source": "s"}, {})
    remember(store, key, digest, {}, 0.1)
    write_pointer(store, key.digest, digest)
    run = begin(store, "dance", {}).finish("done").run

    pipe(pointer_path(store, key.digest))
    assert read_pointer(store, key.digest) is None
    drop_odd_pointer(store, key.digest, digest)
    assert not pointer_path(store, key.digest).exists(), "Prefect would open it"
    pipe(entry_path(store, key.digest))
    assert recall(store, key.digest) is None
    pipe(store.folder(digest) / "a.png")
    with pytest.raises(DamagedObject, match="Not a regular file"):
        store.verify(digest)
    with pytest.raises(DamagedObject, match="Not a regular file"):
        store.get(digest).read("a.png")
    pipe(store.folder(digest) / "manifest.json")
    with pytest.raises((DamagedObject, MissingObject)):
        store.get(digest)
    from reel.history.record import list_records, record_path

    pipe(record_path(store, run))
    assert list_records(store)[0] == []


def test_the_store_is_read_through_one_door():
    """`reel.files` and `reel.reading` alone open what may be something else than a file."""
    opens = re.compile(r"\.read_bytes\(|\.read_text\(|\.open\(\"rb?\"|(?<!def )(?<![.\w])open\(")
    own = ("files.py", "reading.py", "code_hash.py", "op.py", "keys.py")  # the last three read our own code
    found = {
        path.name: opens.findall(path.read_text("utf-8"))
        for path in (ROOT / "reel").rglob("*.py")
        if path.name not in own
    }
    assert not {name for name, calls in found.items() if calls}
