"""What MLflow's pages show of renders: names that tell them apart, and the columns of the shared view."""

from __future__ import annotations

import json
from typing import Any

from reel.history import summary
from reel.history.record import RenderRecord
from reel.history.recorder import begin
from reel.store import Store
from tasks.tracking.view import VIEW_TAG, experiment_tags, note


def record(store: Store, **changes: Any) -> RenderRecord:
    config = {
        "clip": "/films/boxer.mp4",
        "prompt": "a girl\nin red",
        "seed": 1,
        "controls": {"pose": {"weight": 1.0}, "lineart": {"weight": 0.3}, "depth": {"weight": 0.0}},
        **changes.pop("config", {}),
    }
    found = begin(store, "dance", config, title=changes.pop("title", None)).finish("done")
    return found.model_copy(update={"result": config, **changes})


def test_names_tell_renders_apart(store):
    assert summary.name(record(store)) == "boxer · pose 1.0 · lineart 0.3"
    assert summary.name(record(store, title="red coat")) == "red coat"
    bare = begin(store, "search", {}).finish("done")
    assert summary.name(bare) == f"search {bare.run}"


def test_what_changed_is_told_against_the_render_of_the_same_clip_before(store):
    first = record(store)
    other = record(store, config={"clip": "walk.mp4"})
    second = record(store, config={"seed": 2, "controls": {"pose": {"weight": 0.5}}})
    before = summary.before_each([first, other, second])
    assert before == {second.run: first}
    assert summary.changes(second, first) == {
        "seed": ("1", "2"),
        "controls.pose.weight": ("1.0", "0.5"),
        "controls.lineart.weight": ("0.3", "not set"),
        "controls.depth.weight": ("0.0", "not set"),
    }
    assert summary.prompt(second) == "a girl in red"


def test_columns_grow_with_what_renders_have_and_nothing_is_written_twice(store):
    first = record(store, metrics={"flicker.mean": 2.0, "flicker.matched": 0.5, "own": 1.0})
    tags = experiment_tags({}, first)
    shown = json.loads(tags[VIEW_TAG])
    assert shown["selectedColumns"] == [
        *("tags.`clip`", "params.`prompt`", "params.`controls.pose.weight`", "params.`controls.lineart.weight`"),
        "metrics.`flicker.mean`",
    ]
    assert experiment_tags(tags, first) == {}
    more = record(store, config={"controls": {"tile": {"weight": 1.0}}})
    grown = json.loads(experiment_tags(tags, more)[VIEW_TAG])["selectedColumns"]
    assert {*shown["selectedColumns"], "params.`controls.tile.weight`"} == {*grown}
    assert grown[-1] == "metrics.`flicker.mean`"
    assert experiment_tags({**tags, VIEW_TAG: "{"}, first)[VIEW_TAG] == tags[VIEW_TAG]


def test_a_description_says_why_it_failed_and_how_to_take_it_up_again(store):
    failed = record(store, status="failed", reason="no room left")
    text = note(failed, "abc")
    assert "**failed:** no room left" in text
    assert f"rotoscope dance --from {failed.run}" in text
    assert "> a girl in red" in text
