"""The mirror: what arrives is what was sent, a half push is no push, and damage on either side stays where it is."""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from reel.config import Config
from reel.errors import DamagedObject, MissingObject, UserError
from reel.files import canonical_json, sha256_bytes
from reel.history.record import load, record_path
from reel.history.recorder import begin
from reel.keys import make_key, recall, remember
from reel.mirror import pull, pull_objects, push
from reel.op import Op
from reel.pointer import pointer_path, read_pointer, write_pointer
from reel.store import Store
from tasks.cached import Stage


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Store:
    return Store(tmp_path / "there")


@pytest.fixture(params=["file", "memory"])
def url(request, tmp_path: Path) -> str:
    return f"file://{tmp_path}/mirror" if request.param == "file" else f"memory://{uuid.uuid4().hex}/mirror"


OP = Op("test", "none", 1, Config, ("source",), (), lambda cfg: (), "map", __name__, lambda *_: "")


def render(store: Store, text: str) -> Stage:
    """A stored object with its key, Prefect pointer and record, as a real render leaves them."""
    with store.draft("rgb") as draft:
        draft.add("frames/000000.png", text.encode() * 100)
        draft.add("deep/er/notes.txt", b"notes")
        digest = draft.commit(count=1)
    key = make_key(OP, Config(), {"source": text}, {})
    remember(store, key, digest, {}, 0.1)
    write_pointer(store, key.digest, digest)
    return Stage("test.none", key.digest, digest, False, 0.1, {})


def recorded(store: Store, text: str) -> tuple[str, Stage]:
    stage = render(store, text)
    recorder = begin(store, "dance", {})
    recorder.stage(stage)
    return recorder.finish("done").run, stage


def remote(url: str):
    from fsspec.core import url_to_fs

    return url_to_fs(url)


def test_a_render_comes_back_whole_in_another_store(store, there, url):
    run, stage = recorded(store, "one")
    other, _ = recorded(store, "two")
    sent = push(store, url, [run])
    assert (sent.objects, sent.skipped, sent.runs) == (1, 0, (run,))
    got = pull(there, url, [run])
    assert (got.objects, got.size) == (1, sent.size)
    there.verify(stage.digest)
    assert there.get(stage.digest).read("deep/er/notes.txt") == b"notes"
    assert recall(there, stage.key) == recall(store, stage.key)
    assert load(record_path(there, run)) == load(record_path(store, run))
    assert read_pointer(there, stage.key) == stage.digest
    assert str(store.root) not in pointer_path(there, stage.key).read_text()
    assert not record_path(there, other).exists()


def test_everything_goes_and_a_second_time_nothing(store, there, url):
    runs = {recorded(store, text)[0] for text in ("one", "two")}
    running = begin(store, "dance", {})
    sent = push(store, url)
    assert set(sent.runs) == runs, "a running render is not for others to see"
    assert push(store, url).skipped == sent.objects == 2
    assert set(pull(there, url).runs) == runs
    again = pull(there, url)
    assert (again.objects, again.skipped, again.size) == (0, 2, 0)
    assert there.digests() == store.digests()
    running.finish("done")


def test_an_object_whose_push_was_cut_off_is_absent_and_mended_by_the_next(store, there, url):
    run, stage = recorded(store, "one")
    push(store, url, [run])
    fs, root = remote(url)
    manifest = f"{root}/objects/{stage.digest[:2]}/{stage.digest}/manifest.json"
    fs.rm(manifest)
    with pytest.raises(MissingObject, match="not in the mirror"):
        pull_objects(there, url, [stage.digest])
    fs.pipe_file(manifest, b'{"schema"')
    with pytest.raises(DamagedObject, match="cut off"):
        pull_objects(there, url, [stage.digest])
    assert there.digests() == []
    assert push(store, url, [run]).objects == 1
    assert pull_objects(there, url, [stage.digest]).objects == 1


@pytest.mark.parametrize("name", ["frames/000000.png", "deep/er/notes.txt"])
def test_bytes_damaged_in_the_mirror_do_not_enter_the_store(store, there, url, name):
    run, stage = recorded(store, "one")
    push(store, url, [run])
    fs, root = remote(url)
    fs.pipe_file(f"{root}/objects/{stage.digest[:2]}/{stage.digest}/{name}", b"something else")
    with pytest.raises(DamagedObject, match=name):
        pull(there, url, [run])
    assert there.digests() == []
    assert list((there.root / "tmp").iterdir()) == []
    assert not record_path(there, run).exists()


def test_a_forged_key_is_refused(store, there, url):
    run, stage = recorded(store, "one")
    push(store, url, [run])
    fs, root = remote(url)
    path = f"{root}/keys/{stage.key}.json"
    fs.pipe_file(path, fs.cat_file(path).replace(b'"source": "one"', b'"source": "two"'))
    with pytest.raises(DamagedObject, match="damaged key"):
        pull(there, url, [run])
    assert recall(there, stage.key) is None


def rewrite(fs, path: str, change) -> None:
    """Change a JSON file of the mirror, as somebody would who may write there; a record's checksum is made to fit."""
    data = json.loads(fs.cat_file(path))
    change(data)
    if "record" in data:
        data["sha256"] = sha256_bytes(canonical_json(data["record"]))
    fs.pipe_file(path, json.dumps(data).encode())


OUTSIDE = {
    "an absolute path": lambda mine: str(mine),
    "a path upwards": lambda mine: f"../../../{mine.name}",
    "no text": lambda mine: ["0" * 64],
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_a_key_or_record_that_names_a_folder_of_mine_is_refused(store, there, url, tmp_path, case):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "manifest.json").write_text("mine")
    run, stage = recorded(store, "one")
    push(store, url, [run])
    fs, root = remote(url)
    rewrite(fs, f"{root}/keys/{stage.key}.json", lambda entry: entry.update(output=OUTSIDE[case](mine)))
    with pytest.raises(DamagedObject, match="damaged key"):
        pull(there, url, [run])
    push(store, url, [run])
    path = f"{root}/records/{run}.json"
    for part in ("digest", "key"):
        rewrite(fs, path, lambda data, part=part: data["record"]["stages"][0].update({part: OUTSIDE[case](mine)}))
        with pytest.raises(UserError, match="damaged record"):
            pull(there, url, [run])
        push(store, url, [run])
    for part in ("run", "parent", "sweep"):
        rewrite(fs, path, lambda data, part=part: data["record"].update({part: str(OUTSIDE[case](mine))}))
        with pytest.raises(UserError, match="damaged record"):
            pull(there, url, [run])
        push(store, url, [run])
    assert (mine / "manifest.json").read_text() == "mine"
    assert list((there.root / "records").iterdir()) == []


def test_a_record_that_is_filed_as_another_is_refused(store, there, url):
    run, _ = recorded(store, "one")
    other, _ = recorded(store, "two")
    push(store, url)
    fs, root = remote(url)
    fs.pipe_file(f"{root}/records/{run}.json", fs.cat_file(f"{root}/records/{other}.json"))
    with pytest.raises(DamagedObject, match=f"is the record of {other}"):
        pull(there, url, [run])


def test_pointers_are_ours_whatever_the_mirror_says(store, there, url):
    run, stage = recorded(store, "one")
    push(store, url, [run])
    fs, root = remote(url)
    assert not fs.exists(f"{root}/results/{stage.key}")
    fs.makedirs(f"{root}/results", exist_ok=True)
    odd = {"metadata": {"serializer": {"type": "json", "jsonlib": "this"}}, "result": '"/"'}
    fs.pipe_file(f"{root}/results/{stage.key}", json.dumps(odd).encode())
    pull(there, url)
    assert read_pointer(there, stage.key) == stage.digest
    assert "this" not in pointer_path(there, stage.key).read_text()


MANIFESTS = [b"[]", b"{}", b'{"schema": 1, "kind": [], "meta": {}, "files": {}}', b"[" * 100_000]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=range(len(MANIFESTS)))
def test_a_manifest_of_an_odd_shape_is_refused(there, url, manifest):
    digest = sha256_bytes(manifest)
    fs, root = remote(url)
    fs.makedirs(f"{root}/objects/{digest[:2]}/{digest}", exist_ok=True)
    fs.pipe_file(f"{root}/objects/{digest[:2]}/{digest}/manifest.json", manifest)
    with pytest.raises(DamagedObject, match="damaged in the mirror"):
        pull_objects(there, url, [digest])
    assert there.digests() == []


def test_what_is_not_ours_in_a_mirror_is_passed_over(store, there, url):
    recorded(store, "one")
    push(store, url)
    fs, root = remote(url)
    for name in ("keys/notes.txt", "keys/notes.json", "records/index.json", "objects/ab/notes/manifest.json"):
        fs.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
        fs.pipe_file(f"{root}/{name}", b"{}")
    assert len(pull(there, url).runs) == 1


def test_a_mirrors_password_is_not_told(store):
    with pytest.raises(UserError) as told:
        push(store, "nosuch://me:hunter22@host/y")
    assert "nosuch://me:***@host/y" in str(told.value)


def test_a_damaged_object_is_not_pushed(store, url):
    run, stage = recorded(store, "one")
    store.get(stage.digest).path("frames/000000.png").write_bytes(b"flipped")
    with pytest.raises(DamagedObject, match="damaged"):
        push(store, url, [run])
    fs, root = remote(url)
    assert not [name for name in fs.find(root) if "manifest" in name]


def test_a_damaged_object_here_is_mended_from_the_mirror(store, url):
    run, stage = recorded(store, "one")
    push(store, url, [run])
    store.get(stage.digest).path("frames/000000.png").write_bytes(b"flipped")
    assert pull(store, url, [run]).objects == 1
    store.verify(stage.digest)


def test_addresses_and_runs_that_are_wrong_are_named(store, tmp_path):
    with pytest.raises(UserError, match="nosuch://x"):
        push(store, "nosuch://x/y")
    with pytest.raises(UserError, match=r"has no records/20260101-000000-abcdef\.json"):
        pull(store, f"file://{tmp_path}/empty", ["20260101-000000-abcdef"])
    with pytest.raises(UserError, match="no run fits"):
        push(store, f"file://{tmp_path}/empty", ["20260101-000000-abcdef"])


@pytest.mark.parametrize("place", ["/proc/none/mirror", "/dev/null/mirror"])
def test_a_mirror_where_nothing_can_be_written_is_told(store, place):
    with store.draft("rgb") as draft:
        draft.add("data", b"x")
        draft.commit()
    with pytest.raises(UserError, match=f"mirror file://{place}: [A-Za-z]+Error") as caught:
        push(store, f"file://{place}")
    assert caught.value.fix == "check the address, the network and access"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["manifest.json", "frames/000000.png", "keys", "records"])
def test_a_pipe_in_a_mirror_on_a_disk_is_told_and_not_waited_for(name: str, store: Store, there: Store, tmp_path: Path):
    run, stage = recorded(store, "one")
    url = f"file://{tmp_path}/mirror"
    push(store, url)
    mirror = tmp_path / "mirror"
    places = {"keys": mirror / "keys" / f"{stage.key}.json", "records": mirror / "records" / f"{run}.json"}
    place = places.get(name, mirror / "objects" / stage.digest[:2] / stage.digest / name)
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(UserError, match="is not a regular file"):
        pull(there, url, [run])
    assert not there.folder(stage.digest).exists() or name in ("keys", "records")


def test_a_mirror_on_a_slow_disk_is_waited_for_and_a_pull_that_is_given_up_goes_on(
    store: Store, there: Store, tmp_path: Path, monkeypatch
):
    """Half a file stands there when the interruption comes; none of it enters the store, and what was whole stays."""
    from fsspec.implementations.local import LocalFileSystem

    runs = [recorded(store, text) for text in ("one", "two")]
    url = f"file://{tmp_path}/mirror"
    push(store, url)
    get_file, asked = LocalFileSystem.get_file, []

    def slowly(self: LocalFileSystem, source: str, target: str, **options: Any) -> None:
        asked.append(source)
        if len(asked) == 4:  # each object has two files
            Path(target).write_bytes(Path(source).read_bytes()[:2])
            raise KeyboardInterrupt
        time.sleep(0.1)
        get_file(self, source, target, **options)

    monkeypatch.setattr(LocalFileSystem, "get_file", slowly)
    with pytest.raises(KeyboardInterrupt):
        pull(there, url)
    assert len(there.digests()) == 1
    assert list((there.root / "tmp").glob("draft-*")) == []
    moved = pull(there, url)
    assert (moved.objects, moved.skipped) == (1, 1)
    assert sorted(there.digests()) == sorted(stage.digest for _, stage in runs)
