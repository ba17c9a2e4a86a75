"""Garbage collection: kept renders stay whole with all their ancestors, everything else goes, living work is safe."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from reel.errors import MissingObject, UserError
from reel.files import sha256_bytes
from reel.gc import collect, latest_runs, usage
from reel.history.record import load, record_path
from reel.history.recorder import begin
from reel.keys import Key, remember
from reel.store import Draft, Store
from tasks.cached import Stage


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def put(store: Store, text: str, kind: str = "rgb", age: float = 1000) -> str:
    with store.draft(kind) as draft:
        draft.add("frames/000000.png", text.encode())
        digest = draft.commit(width=1)
    when = time.time() - age
    os.utime(store.folder(digest) / "manifest.json", (when, when))
    return digest


def made(store: Store, output: str, **inputs: str) -> str:
    """A remembered key with its pointer, as `tasks.cached` leaves them."""
    key = sha256_bytes(f"{output}{inputs}".encode())
    fields = {"op": "x", "inputs": inputs, "models": {}, "libraries": {}}
    remember(store, Key(key, fields), output, {}, 0.1)
    (store.root / "results" / key).write_text("{}")
    return key


def render(store: Store, *digests: str, close: bool = True):
    recorder = begin(store, "dance", {})
    for digest in digests:
        recorder.stage(Stage("x", "0" * 64, digest, False, 0.1, {}))
    return recorder.finish("done").run if close else recorder


def there(store: Store, digest: str) -> bool:
    try:
        store.verify(digest)
        return True
    except MissingObject:
        return False


def test_a_kept_render_keeps_its_ancestors_and_the_others_go(store):
    frames, poses, map_, film = (put(store, name) for name in ("frames", "poses", "map", "film"))
    other_map, other_film = put(store, "other map"), put(store, "other film")
    kept_keys = [made(store, poses, frames=frames), made(store, map_, poses=poses), made(store, film, map_pose=map_)]
    lost_keys = [made(store, other_map, poses=poses), made(store, other_film, map_pose=other_map)]
    kept = render(store, film)  # only the end of the chain: the rest is found through the keys
    lost = render(store, other_map, other_film)
    (store.root / "comfyui").mkdir()
    for request, key in (("a", kept_keys[2]), ("b", lost_keys[1]), ("c", "damaged")):
        (store.root / "comfyui" / request).write_text(key)
    plan = collect(store, [kept])
    assert {item.name for item in plan.items if item.kind.startswith("object")} == {other_map, other_film}
    assert there(store, other_film), "planning touches nothing"
    assert plan.apply() == plan.size > 0
    assert [there(store, digest) for digest in (frames, poses, map_, film)] == [True] * 4
    assert not there(store, other_map)
    assert not there(store, other_film)
    for key in kept_keys:
        assert (store.root / "keys" / f"{key}.json").exists()
        assert (store.root / "results" / key).exists()
    for key in lost_keys:
        assert not (store.root / "keys" / f"{key}.json").exists()
        assert not (store.root / "results" / key).exists()
    assert [path.name for path in (store.root / "comfyui").iterdir()] == ["a"]
    assert load(record_path(store, lost)).status == "done", "history is kept"
    assert collect(store, [kept]).items == ()


def test_frame_results_go_with_their_frames(store):
    kept, lost = put(store, "kept frame"), put(store, "lost frame")
    cache = store.per_frame("blazepose-ab/raw")
    for text in ("kept frame", "lost frame"):
        cache.put(sha256_bytes(text.encode()), b"points")
    collect(store, [render(store, kept)]).apply()
    assert cache.get(sha256_bytes(b"kept frame")) == b"points"
    assert cache.get(sha256_bytes(b"lost frame")) is None
    assert not there(store, lost)


def test_abandoned_drafts_go_and_one_that_is_being_written_stays(store):
    with Draft(store, "rgb") as living:
        (living.dir / "half").write_bytes(b"half")
        (store.root / "tmp" / "draft-dead").mkdir()
        (store.root / "tmp" / "draft-dead" / "half").write_bytes(b"half")
        (store.root / "tmp" / "draft-dead.lock").touch()
        (store.root / "tmp" / "gone-1").mkdir()
        collect(store, []).apply()
        left = {path.name for path in (store.root / "tmp").iterdir()}
        assert left == {living.dir.name, f"{living.dir.name}.lock"}
        living.add("half", living.dir / "half")
        digest = living.commit()
    assert there(store, digest)


def test_a_render_that_runs_is_never_robbed(store):
    noted, old = put(store, "noted"), put(store, "old")
    running = render(store, noted, close=False)
    fresh = put(store, "finished, but not noted yet", age=-1)
    collect(store, []).apply()
    assert there(store, noted)
    assert there(store, fresh)
    assert not there(store, old)
    running.finish("done")
    collect(store, []).apply()
    assert not there(store, noted)


def test_nothing_goes_when_a_render_began_after_the_plan(store):
    digest = put(store, "film")
    plan = collect(store, [])
    running = render(store, digest, close=False)
    with pytest.raises(UserError, match="began meanwhile"):
        plan.apply()
    assert there(store, digest)
    running.finish("done")


def test_a_record_that_cannot_be_read_stops_it(store):
    digest = put(store, "film")
    path = record_path(store, render(store, digest))
    path.write_text(path.read_text()[:-40])
    with pytest.raises(UserError, match="damaged record"):
        collect(store, [])
    with pytest.raises(UserError, match="no record of run nothing"):
        path.unlink()
        collect(store, ["nothing"])


def test_damaged_objects_go_unless_they_are_kept(store):
    kept, lost = put(store, "kept"), put(store, "lost")
    run = render(store, kept)
    for digest in (kept, lost):
        (store.folder(digest) / "manifest.json").write_text("{}")
    plan = collect(store, [run])
    assert [(item.kind, item.name) for item in plan.items] == [("object damaged", lost)]


def test_the_newest_renders_that_ended_well(store):
    runs = [render(store) for _ in range(3)]
    begin(store, "dance", {}).finish("failed", "why")
    assert latest_runs(store, 2) == sorted(runs, reverse=True)[:2]


def test_the_trials_of_a_search_go_and_stay_with_it(store):
    whole, trial = put(store, "material"), put(store, "a trial's frames")
    search = render(store, whole)
    for digest, parent in ((trial, search), (put(store, "of another"), "20260101-000000-abcdef")):
        recorder = begin(store, "trial", {}, parent=parent, title="trial 0 proxy")
        recorder.stage(Stage("x", "0" * 64, digest, False, 0.1, {}))
        recorder.finish("done")
    assert latest_runs(store, 5) == [search]
    assert load(record_path(store, recorder.run)).title == "trial 0 proxy"
    collect(store, [search]).apply()
    assert (there(store, whole), there(store, trial), len(store.digests())) == (True, True, 2)


def test_sizes_are_told_by_kind(store):
    digest = put(store, "x" * 1000, kind="map")
    put(store, "y" * 10)
    made(store, digest)
    made(store, "f" * 64)  # its object went long ago
    store.per_frame("ns").put(sha256_bytes(b"q"), b"z" * 68)
    sizes = usage(store)
    manifest = (store.folder(digest) / "manifest.json").stat().st_size
    assert sizes["object map"] == (1000 + manifest, 1)
    assert sizes["frame results"] == (100, 1)
    assert sizes["key"][1] == sizes["pointer"][1] == 2


def test_verifications_that_were_broken_off_stay_for_a_day_and_those_under_way_for_ever(store):
    for name, hours in (("fresh", 1), ("old", 40), ("busy", 40)):
        (store.root / "verify" / name).mkdir(parents=True)
        when = time.time() - hours * 3600
        os.utime(store.root / "verify" / name, (when, when))
    with store.lock("verify-busy"):
        assert [(item.kind, item.name) for item in collect(store, []).items] == [("verification", "old")]


def test_checkpoints_of_a_broken_off_render_stay_for_a_month(store):
    for name, days in (("fresh", 1), ("old", 40)):
        (store.root / "journals" / name).mkdir(parents=True)
        (store.root / "journals" / name / "state.safetensors").write_bytes(b"x" * 10)
        when = time.time() - days * 86400
        os.utime(store.root / "journals" / name, (when, when))
    plan = collect(store, [])
    assert [(item.kind, item.name) for item in plan.items] == [("checkpoint", "old")]
    plan.apply()
    assert [path.name for path in (store.root / "journals").iterdir()] == ["fresh"]
