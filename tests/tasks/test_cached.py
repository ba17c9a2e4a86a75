"""Caching as the flows see it, through a real Prefect server: hits, single flight, healing, reasons."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reel.errors import UserError
from reel.history.why import explain
from reel.keys import recall
from reel.pointer import pointer_path, read_pointer, write_pointer
from reel.store import Store
from tests.tasks.counting import Counting, calls, run

pytestmark = pytest.mark.usefixtures("prefect_server")
SCRIPT = [sys.executable, "-m", "tests.tasks.counting"]
ROOT = Path(__file__).parents[2]


def start(store: Store, value: int, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*SCRIPT, str(store.root), str(value), str(seconds)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def test_second_call_is_a_hit_and_facts_come_back(store: Store):
    first, second = run(store, Counting()), run(store, Counting())
    assert (first.reused, second.reused, calls(store)) == (False, True, 1)
    assert first.digest == second.digest
    assert second.facts["weather"] == "fine"


@pytest.mark.parametrize("other", [Counting(value=2), Counting(seconds=0.001)])
def test_another_setting_is_a_miss(store: Store, other: Counting):
    run(store, Counting())
    assert not run(store, other).reused


def test_another_input_is_a_miss(store: Store):
    run(store, Counting(), "a")
    assert not run(store, Counting(), "b").reused


def test_a_failure_is_not_remembered(store: Store):
    for _ in range(2):
        with pytest.raises(UserError, match="asked to fail"):
            run(store, Counting(fail=True))
    assert calls(store) == 2


@pytest.mark.parametrize("damage", ["delete", "flip", "no manifest", "folder for manifest", "folder for file"])
def test_a_hit_whose_bytes_are_gone_or_damaged_is_made_anew(store: Store, damage: str):
    digest = run(store, Counting()).digest
    folder = store.folder(digest)
    if damage == "delete":
        shutil.rmtree(folder)
    elif damage == "flip":
        (folder / "value").write_bytes(b"X" + (folder / "value").read_bytes()[1:])
    else:
        victim = folder / ("value" if damage == "folder for file" else "manifest.json")
        victim.unlink()
        if damage != "no manifest":
            victim.mkdir()
    healed = run(store, Counting())
    assert (healed.digest, healed.reused, calls(store)) == (digest, False, 2)
    store.verify(digest)
    assert run(store, Counting()).reused


def other_digest(text: str, digest: str) -> str:
    return text.replace(digest, digest[1:] + digest[0])


POINTERS: dict[str, Callable[[str, str], str]] = {
    "empty": lambda text, digest: "",
    "cut": lambda text, digest: text[:20],
    "a list": lambda text, digest: "[]",
    "another type": lambda text, digest: json.dumps({**json.loads(text), "result": "[1, 2]"}),
    "another digest": other_digest,
    "another serializer": lambda text, digest: text.replace('"type":"json"', '"type":"pickle"'),
    "another module": lambda text, digest: text.replace('"jsonlib":"json"', '"jsonlib":"tests.tasks.counting"'),
}
"""What may stand in a pointer's place: its text and its digest to another text."""


@pytest.mark.parametrize("damage", [*POINTERS, "gone", "a folder"])
def test_a_pointer_that_is_not_what_was_written_is_a_miss_told_and_written_again(
    store: Store, caplog: pytest.LogCaptureFixture, damage: str
):
    stage = run(store, Counting())
    pointer = store.root / "results" / stage.key
    text = pointer.read_text()
    assert read_pointer(store, stage.key) == stage.digest
    pointer.unlink()
    if damage in POINTERS:
        pointer.write_text(POINTERS[damage](text, stage.digest))
        assert pointer.read_text() != text
    elif damage == "a folder":
        pointer.mkdir()
    again = run(store, Counting())
    assert (again.digest, again.reused, calls(store)) == (stage.digest, False, 2)
    assert ("is not used" in caplog.text) == (damage != "gone")
    assert run(store, Counting()).reused


@pytest.mark.parametrize("damage", ["a byte that is no UTF-8", "a flipped bit", "another output", "a list", "a folder"])
def test_a_damaged_note_of_a_key_is_a_miss_told_and_written_again(
    store: Store, caplog: pytest.LogCaptureFixture, damage: str
):
    stage = run(store, Counting())
    note = store.root / "keys" / f"{stage.key}.json"
    data = note.read_bytes()
    note.unlink()
    if damage == "a folder":
        note.mkdir()
    else:
        note.write_bytes(
            {
                "a byte that is no UTF-8": data.replace(b"fine", b"f\xffne"),
                "a flipped bit": data.replace(b"fine", b"dine"),
                "another output": other_digest(data.decode(), stage.digest).encode(),
                "a list": b"[]",
            }[damage]
        )
    assert recall(store, stage.key) is None
    again = run(store, Counting())
    assert (again.digest, again.facts["weather"], calls(store)) == (stage.digest, "fine", 2)
    assert "is not used" in caplog.text
    assert run(store, Counting()).reused


def test_a_note_of_before_checksums_is_still_read(store: Store):
    stage = run(store, Counting())
    note = store.root / "keys" / f"{stage.key}.json"
    entry = json.loads(note.read_bytes())
    del entry["sha256"]
    note.write_text(json.dumps(entry))
    assert run(store, Counting()).reused


def test_a_pointer_that_names_code_to_import_is_a_miss(store: Store, caplog: pytest.LogCaptureFixture):
    """Prefect decodes a pointer by what the pointer says: one of another form than ours it never sees."""
    stage = run(store, Counting())
    pointer = json.loads(pointer_path(store, stage.key).read_text())
    assert read_pointer(store, stage.key) == stage.digest, "ours is the form that Prefect writes"
    pointer["metadata"]["serializer"]["jsonlib"] = "this"
    pointer_path(store, stage.key).write_text(json.dumps(pointer))
    again = run(store, Counting())
    assert (again.digest, again.reused, calls(store)) == (stage.digest, False, 2)
    assert "this" not in sys.modules
    assert "is not used: it is damaged, or of another form" in caplog.text


def test_a_pointer_that_we_wrote_is_one_to_prefect(store: Store):
    stage = run(store, Counting())
    write_pointer(store, stage.key, stage.digest)
    again = run(store, Counting())
    assert (again.digest, again.reused, calls(store)) == (stage.digest, True, 1)


def test_a_pointer_to_another_digest_than_the_entrys_is_a_miss(store: Store):
    stage, other = run(store, Counting()), run(store, Counting(value=2))
    write_pointer(store, stage.key, other.digest)
    again = run(store, Counting())
    assert (again.digest, again.reused) == (stage.digest, False)


def test_a_moved_store_keeps_its_hits(store: Store, tmp_path: Path):
    digest = run(store, Counting()).digest
    shutil.move(store.root, tmp_path / "elsewhere")
    stage = run(Store(tmp_path / "elsewhere"), Counting())
    assert (stage.digest, stage.reused) == (digest, True)


def test_two_processes_compute_once(store: Store):
    both = [start(store, 7, 3.0) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0].split() for process in both]
    assert all(process.returncode == 0 for process in both)
    assert calls(store) == 1
    assert outputs[0][0] == outputs[1][0]
    assert sorted(output[1] for output in outputs) == ["False", "True"]


def test_a_killed_process_leaves_no_lock_behind(store: Store):
    child = start(store, 8, 60.0)
    deadline = time.monotonic() + 60
    while calls(store) == 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert calls(store) == 1
    out = subprocess.run([*SCRIPT, str(store.root), "8", "0"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert out.stdout.split()[1] == "False"
    assert store.digests() == [out.stdout.split()[0]]


def test_why_names_the_one_field_that_differs(store: Store):
    first = run(store, Counting(value=1))
    run(store, Counting(value=5, seconds=0.01), "other")
    third = run(store, Counting(value=2))
    assert explain(store, first.key).differences == ()
    assert explain(store, third.key).differences == ("config.value: 1 -> 2",)
    assert explain(store, third.key).compared_with == first.key
    assert recall(store, third.key) is not None
