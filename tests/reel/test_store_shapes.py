"""Objects of the store whose bytes are as they were stored, and which are none of ours all the same."""

from __future__ import annotations

import os
from typing import Any

import pytest

from reel.clip import Clip
from reel.errors import DamagedObject, UserError
from reel.files import canonical_json, read_file, sha256_bytes
from reel.store import Store


def filed(store: Store, manifest: Any) -> str:
    """The digest of an object with that manifest."""
    data = canonical_json(manifest)
    digest = sha256_bytes(data)
    folder = store.folder(digest)
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes(data)
    return digest


WHOLE = {"schema": 1, "kind": "rgb", "meta": {}, "files": {}}


@pytest.mark.parametrize(
    "manifest",
    [
        *([], None, 5, "text", {}, {"schema": 1}),
        *(WHOLE | changed for changed in ({"kind": 5}, {"meta": []}, {"files": []}, {"files": {"a": 5}})),
        WHOLE | {"files": {"a": "../../x"}},
    ],
)
def test_a_manifest_of_another_shape_is_damage(store: Store, manifest: Any):
    with pytest.raises(DamagedObject, match="not the manifest of an object"):
        store.get(filed(store, manifest))


def test_one_of_a_newer_version_is_no_damage(store: Store):
    with pytest.raises(UserError, match="written with store schema 99, this version reads 1") as caught:
        store.get(filed(store, {"schema": 99, "things": []}))
    assert not isinstance(caught.value, DamagedObject)


@pytest.mark.parametrize("meta", [{}, {"width": "wide"}, {"width": 8, "height": 8, "count": 1, "time_base": "1/0"}])
def test_frames_that_do_not_say_what_a_clip_has_to_are_damage(store: Store, meta: dict[str, Any]):
    with pytest.raises(DamagedObject, match="does not say what a clip has to"):
        Clip.open(store, filed(store, WHOLE | {"meta": meta}))


@pytest.mark.timeout(20)
def test_a_pipe_in_a_files_place_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "record.json")
    assert read_file(tmp_path / "record.json") is None


def test_a_store_that_may_not_be_read_is_not_an_empty_one(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("records"))
    with pytest.raises(UserError, match=r"paths.store: .*/records may not be read by this user"):
        Store(store.root)
