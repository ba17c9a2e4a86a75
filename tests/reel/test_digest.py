"""Digests and pointers: what is none goes no further, whatever it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from reel.digest import is_digest, parse
from reel.errors import DamagedObject, MissingObject
from reel.history.record import Output, StageRecord
from reel.keys import recall
from reel.pointer import drop_odd_pointer, pointer_path, read_pointer, write_pointer
from reel.store import Store

GOOD = "0123456789abcdef" * 4
ODD = [
    "",
    "/etc",
    "../../outside",
    "..",
    GOOD.upper(),
    GOOD[:-1],
    f"{GOOD}0",
    f"{GOOD}\n",
    f"{GOOD[:-3]}/..",
    "\0" * 64,
]


@pytest.mark.parametrize("text", [*ODD, None, 64, [GOOD], {"a": GOOD}])
def test_every_door_takes_digests_alone(store: Store, text):
    assert is_digest(GOOD)
    assert parse(GOOD) == GOOD
    assert not is_digest(text)
    with pytest.raises(ValueError, match="64 lower-case hexadecimal digits"):
        parse(text)
    for door in (store.folder, store.get, store.verify, store.discard):
        with pytest.raises(MissingObject, match="is not a digest"):
            door(text)
    assert recall(store, text) is None
    with pytest.raises(ValidationError):
        StageRecord(op="x", key=GOOD, digest=text, reused=False, seconds=1.0)
    with pytest.raises(ValidationError):
        Output(name="movie.mp4", sha256=text, size=1)


@pytest.mark.parametrize("text", ["", "/etc/x", "../../../x", "..", f"{GOOD}0", "0000000g"])
def test_results_of_frames_stay_in_their_folder(store: Store, tmp_path: Path, text):
    cache = store.per_frame("ns")
    for action in (lambda: cache.get(text), lambda: cache.put(text, b"x")):
        with pytest.raises(DamagedObject, match="is not the digest of a frame"):
            action()
    cache.put("00000012", b"x")
    assert cache.get("00000012") == b"x"


def test_a_folder_that_a_digest_would_lead_to_stays(store: Store, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    for name in (str(tmp_path / "mine"), "../../../mine"):
        with pytest.raises(MissingObject):
            store.discard(name)
    assert (tmp_path / "mine" / "thesis.txt").exists()


PLAIN = {"metadata": {"serializer": {"type": "json"}}, "result": f'"{GOOD}"'}
ODD_POINTERS = {
    "no serializer": {"metadata": {}, "result": f'"{GOOD}"'},
    "another serializer": {"metadata": {"serializer": {"type": "pickle"}}, "result": f'"{GOOD}"'},
    "a module to import": {"metadata": {"serializer": {"type": "json", "jsonlib": "this"}}, "result": f'"{GOOD}"'},
    "a decoder to import": {
        "metadata": {"serializer": {"type": "json", "object_decoder": "this.that"}},
        "result": f'"{GOOD}"',
    },
    "an expiration": {
        "metadata": {"serializer": {"type": "json"}, "expiration": "2030-01-01T00:00:00Z"},
        "result": f'"{GOOD}"',
    },
    "an older form": {"data": f'"{GOOD}"', "serializer": {"type": "pickle"}, **PLAIN},
    "a path": {**PLAIN, "result": '"/etc"'},
    "a list": {**PLAIN, "result": f'["{GOOD}"]'},
    "another type": [],
}


@pytest.mark.parametrize("case", ODD_POINTERS)
def test_a_pointer_of_another_form_is_taken_away(store: Store, case):
    pointer_path(store, GOOD).write_text(json.dumps(ODD_POINTERS[case]))
    assert read_pointer(store, GOOD) is None
    assert drop_odd_pointer(store, GOOD, None) == "it is damaged, or of another form"
    assert not pointer_path(store, GOOD).exists()


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b'{"metadata": ', b"[" * 100_000])
def test_a_damaged_pointer_is_taken_away(store: Store, data):
    pointer_path(store, GOOD).write_bytes(data)
    assert drop_odd_pointer(store, GOOD, None)
    assert not pointer_path(store, GOOD).exists()


def test_a_folder_in_a_pointers_place_is_taken_away(store: Store):
    pointer_path(store, GOOD).mkdir()
    (pointer_path(store, GOOD) / "x").write_text("x")
    assert drop_odd_pointer(store, GOOD, None)
    assert not pointer_path(store, GOOD).exists()


def test_a_pointer_of_ours_stays_unless_the_entry_says_otherwise(store: Store):
    write_pointer(store, GOOD, "1" * 64)
    assert read_pointer(store, GOOD) == "1" * 64
    assert drop_odd_pointer(store, GOOD, None) is None
    assert drop_odd_pointer(store, GOOD, "1" * 64) is None
    assert drop_odd_pointer(store, GOOD, "2" * 64) == "it is not what the key's entry says"
    assert read_pointer(store, GOOD) is None
    assert drop_odd_pointer(store, GOOD, "2" * 64) is None
