"""``--from``: a past render's settings come back as they were, and what is said beside them wins."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from flows import cli
from flows.config.compose import settings
from flows.config.engine import hydra_ready
from flows.config.past import Past, Taken, overrides
from flows.config.root import Root
from flows.flow import get
from flows.render import past
from reel.canonical import canonical
from reel.errors import UserError
from reel.history.record import list_records
from reel.history.recorder import begin
from reel.store import Store
from tests.flows.hostile import HOSTILE
from tests.flows.rendering import SMALL, rendered

DANCE = [
    ["seed=3"],
    ["control=[]", "measure=none"],
    ["control=[pose,lineart]", "controls.lineart.weight=0.25", "controls.lineart.weight_schedule=0: 1; 100%: 0.5"],
    ["prompt_schedule=head: black hair, {x}; 0: red top; -1: yellow top", "negative_prompt="],
    ["regions.wall.mask.region=background", "regions.wall.prompt=a girl, $5 wall", "regions.wall.weight=0.5"],
    ["model=sd15", "stylize.scheduler=euler", "extract.fps=12.5", "extract.short_side=320"],
    ["extract.start=0:01", "extract.fps=source", "assemble.format=prores", "assemble.metadata.author=me, myself"],
    ["compute.dtype=float32", "preprocess.canny.low_threshold=7", "measure=[ssim,flicker]", "extract.width=64"],
    ["controls.pose.mask.region=file", "controls.pose.mask_file=masks/a b.png", "reference=face.png"],
    ["renderer=vace", "control=[depth]", "stylize.references=[girl.png]", "stylize.windows.overlap=9"],
    ["renderer=vace", "model=wan_vace_14b", "measure=[flicker]"],
    ["renderer=wan_animate", "stylize.references=[girl.png]", "stylize.mode=replace", "stylize.segments.carried=5"],
]
ANIMATE = [
    ["picture=a.png", "pictures=[{picture: 'b, c.png', at: 48, strength: 0.8},{picture: d.png, at: last}]"],
    ["model=ltx_long", "extend=clip.mp4", "prompt_schedule=0: she waves; 120: she turns"],
    ["picture=a.png", "snap=nearest", "frames=50"],
]


def taken(flow: str, then: Past, beside: Sequence[str] = ()) -> Taken:
    with hydra_ready(Root(flow, get(flow).settings)) as engine:
        return overrides(engine, then, beside)


def composed(flow: str, given: Sequence[str]) -> Any:
    return settings(Root(flow, get(flow).settings), given).config


@pytest.mark.parametrize(
    ("flow", "given"), [*(("dance", one) for one in DANCE), *(("animate", one) for one in ANIMATE)]
)
def test_settings_come_back_as_they_were(flow, given):
    config = composed(flow, given)
    back = taken(flow, Past("", canonical(config.model_dump(mode="json"))))
    assert composed(flow, back.overrides) == config
    assert not back.lost


@pytest.mark.parametrize("text", [*HOSTILE, "@file", "\\@file", "choice(a, b)", "\\choice(a)", "???", "null"])
def test_any_prompt_comes_back(text):
    back = taken("animate", Past("", {"prompt": text}))  # which takes any
    assert composed("animate", back.overrides).prompt == text


def test_only_what_differs_is_said():
    config = composed("dance", ["seed=3", "control=[pose,lineart]"])
    back = taken("dance", Past("", canonical(config.model_dump(mode="json"))))
    assert back.overrides == ["control=[pose,lineart]", "seed=3"]


def test_what_is_said_beside_it_wins():
    then = Past("", canonical(composed("dance", ["seed=3", "controls.pose.weight=0.4"]).model_dump(mode="json")))
    back = taken("dance", then, ["seed=5"])
    assert back.overrides == ["controls.pose.weight=0.4"]
    config = composed("dance", [*back.overrides, "seed=5"])
    assert (config.seed, config.controls["pose"].weight) == (5, 0.4)


def test_a_group_chosen_anew_brings_its_own_values():
    then = Past("", canonical(composed("dance", ["model=sd15", "seed=3"]).model_dump(mode="json")))
    config = composed("dance", [*taken("dance", then, ["model=sprite"]).overrides, "model=sprite"])
    assert (config.model, config.seed) == (composed("dance", []).model, 3)
    assert config.extract.short_side == composed("dance", []).extract.short_side  # it follows from the model

    both = ["control=[pose,lineart]", "controls.pose.weight=0.4", "controls.lineart.weight=0.1"]
    then = Past("", canonical(composed("dance", both).model_dump(mode="json")))
    config = composed("dance", [*taken("dance", then, ["control=[pose]"]).overrides, "control=[pose]"])
    assert {name: one.weight for name, one in config.controls.items()} == {"pose": 0.4}


def test_settings_that_are_no_more_are_told():
    data = canonical(composed("dance", ["seed=3"]).model_dump(mode="json"))
    data["extract"]["shutter"] = 180
    data["preprocess"]["canny"]["blur"] = 1.5
    data["preprocess"]["waves"] = {"size": 3}
    back = taken("dance", Past("", data))
    assert composed("dance", back.overrides).seed == 3
    assert {*back.lost} == {"preprocess.canny.blur=1.5", "preprocess.waves.size=3", "extract.shutter=180"}


def test_a_control_whose_file_is_no_more_is_set_value_by_value():
    data = canonical(composed("dance", []).model_dump(mode="json"))
    data["controls"]["waves"] = {**data["controls"]["pose"], "weight": 0.25}
    assert composed("dance", taken("dance", Past("", data)).overrides).controls["waves"].weight == 0.25


def test_folders_and_the_machine_stay_todays():
    then = composed("dance", ["paths.renders=/elsewhere", "tracking=none", "compute.device=cuda", "name=first try"])
    assert taken("dance", Past("", canonical(then.model_dump(mode="json")))).overrides == []


def test_relative_paths_start_from_where_one_stood():
    back = taken("dance", Past("", {"clip": "films/a.mp4"}, folder="/home/me"))
    assert back.overrides == ["clip=/home/me/films/a.mp4"]


@pytest.fixture(scope="module")
def warm(prefect_server, tmp_path_factory) -> tuple[Store, Path]:
    """A store with a small render in it, and the folder of its films."""
    folder = tmp_path_factory.mktemp("past")
    store = rendered(folder, [*SMALL, "seed=4", "measure=none"])
    return store, folder / "out"


def test_a_render_is_found_by_its_id_its_film_its_folder_and_its_settings(warm, tmp_path):
    store, out = warm
    (record,), _ = list_records(store)
    film = out / "movie.mp4"
    for name in (record.run, record.run[:11], record.run[-6:], "latest", str(film), str(out), str(out / past.SETTINGS)):
        found = past.find(name, store.root, "dance")
        assert (found.flow, found.settings["seed"], found.settings["extract"]["max_frames"]) == ("dance", 4, 3)
    alone = past.find(str(film), tmp_path, "dance")  # another store, which does not know it
    assert alone.settings == {"prompt": record.config["prompt"], "seed": 4, "model": {"name": "sprite"}}
    assert "taken from the film" in alone.where


@pytest.mark.parametrize(
    ("name", "what"),
    [("none.mp4", "no file"), ("20200101", "no run fits"), ("photo.png", "does not say"), ("a.yaml", "does not hold")],
)
def test_what_is_no_render_is_told(warm, tmp_path, monkeypatch, name, what):
    monkeypatch.chdir(tmp_path)
    Path("photo.png").write_bytes(b"\x89PNG")
    Path("a.yaml").write_text("seed: 3\n")
    with pytest.raises(UserError, match=what):
        past.find(name, warm[0].root, "dance")


def test_another_flows_render_is_refused(warm, capsys):
    (record,), _ = list_records(warm[0])
    assert cli.main(["animate", "--from", record.run, f"paths.store={warm[0].root}"]) == 2
    told = capsys.readouterr().err
    assert "is a render of dance, and this is animate" in told
    assert f"fix: rotoscope dance --from {record.run}" in told
    assert cli.main(["animate", "--from", "latest", f"paths.store={warm[0].root}"]) == 2
    assert "there is no render of animate" in capsys.readouterr().err


def test_an_unchanged_render_makes_no_second_folder_and_quiet_prints_its_path(warm, tmp_path, capsys):
    store, _ = warm
    again = ["dance", "--from", "latest", f"paths.store={store.root}", f"paths.renders={tmp_path}", "tracking=none"]
    folders = []
    for extra in ([], ["--quiet"], ["--quiet", "assemble.contact_sheet=2"]):
        assert cli.main([*again, "name=one more", *extra]) == 0
        shown = capsys.readouterr()
        folders.append(sorted(path.name for path in tmp_path.iterdir()))
    assert [len(found) for found in folders] == [1, 1, 2]
    assert shown.out == f"{tmp_path / folders[2][1] / 'movie.mp4'}\n"
    assert list_records(store)[0][-1].title == "one more"


def test_a_film_that_was_changed_by_hand_is_left_alone(warm, tmp_path):
    store, _ = warm
    again = ["dance", "--from", "latest", f"paths.store={store.root}", f"paths.renders={tmp_path}", "tracking=none"]
    assert cli.main(again) == 0
    (film,) = tmp_path.glob("*/movie.mp4")
    film.write_bytes(b"cut by hand")
    assert cli.main(again) == 0
    assert film.read_bytes() == b"cut by hand"
    assert len(list(tmp_path.iterdir())) == 2


def test_quiet_still_tells_of_trouble(capsys, monkeypatch):
    assert cli.main(["dance", "--quiet", "extract.fps=none"]) == 2
    shown = capsys.readouterr()
    assert not shown.out
    assert "extract.fps" in shown.err


def test_a_record_remembers_where_its_paths_start(store, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert begin(store, "dance", {"clip": "a.mp4"}).record.cwd == str(tmp_path)


def test_a_sweep_starts_from_a_past_render(warm):
    store, _ = warm
    command = [sys.executable, "-m", "flows.cli", "dance", "-m", "--from", "latest", "seed=1,2", "sweep.plan=true"]
    done = subprocess.run([*command, f"paths.store={store.root}"], capture_output=True, text=True, check=True)
    assert "2 points" in done.stdout + done.stderr
    assert json.dumps(3) in json.dumps(list_records(store)[0][0].config["extract"]["max_frames"])
