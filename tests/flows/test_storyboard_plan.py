"""storyboard planned: what a change makes again, by the keys of dry runs; what is refused. Nothing is computed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.runs import ROOT
from flows import cli
from flows.config.compose import settings
from flows.config.quoting import literal_overrides
from flows.config.root import Root
from flows.config.shape import shape
from flows.storyboard.plan import plan
from flows.storyboard.settings import Story
from reel.history.record import list_records
from reel.op import Context
from reel.store import Store
from tasks.cached import dry_run
from tests.tasks.raw_safetensors import packed

CONFIGS = {
    "transformer": {"num_attention_heads": 4, "attention_head_dim": 8},
    "vae": {"block_out_channels": [8, 8, 8, 8], "patch_size": 4},
    "text_encoder": {"d_model": 32},
    "scheduler": {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 1.0},
}
"""Of a family that is looked at and never loaded."""
BASE = "{kind: embedded, id: paper, files: [transformer/*, vae/*, text_encoder/*, tokenizer/*, scheduler/*]}"
SMALL = ["model=ltx_2b", f"model.base={BASE}", "width=64", "height=64", "frames=9", "compute.dtype=float32"]
STORY = """\
title: The lantern
style: ink
characters:
  - {name: Mira, words: a girl with short blonde hair}
shots:
  - prompt: Mira stands, green background
    motion: she waves
    camera: push_in
  - name: bow
    picture: own.png
    motion: Mira bows
    transition: {kind: crossfade, frames: 3}
  - prompt: a pier
    motion: the ship waits
    seconds: 0.5
    seed: 3
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storyboard with a picture of its own, and families."""
    here = tmp_path_factory.mktemp("files")
    for name, config in CONFIGS.items():
        folder = here / "models" / "paper" / name
        folder.mkdir(parents=True)
        (folder / ("scheduler_config.json" if name == "scheduler" else "config.json")).write_text(json.dumps(config))
        if name != "scheduler":
            (folder / "model.safetensors").write_bytes(packed({}))
    (here / "models" / "paper" / "tokenizer").mkdir()
    (here / "models" / "paper" / "tokenizer" / "tokenizer.json").write_text("{}")
    (here / "models" / "sprite").symlink_to(ROOT / "data" / "models" / "sprite")
    Image.new("RGB", (90, 80), "red").save(here / "own.png")
    (here / "story.yaml").write_text(STORY)
    return here


@pytest.fixture(autouse=True)
def families(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(files / "models"))


def keys(files: Path, store: Store, *overrides: str, text: str = STORY) -> set[tuple[str, str]]:
    """Op and cache key of all that a film is made of."""
    (files / "now.yaml").write_text(text)
    given = [*SMALL, f"shots={files}/now.yaml", f"paths.store={store.root}", "measure=[flicker]", *overrides]
    cfg = settings(Root("storyboard", Story), given).config
    todo, ctx = plan(cfg, store), Context(store, cfg.compute)
    with dry_run() as found:
        todo.assemble(todo.draw(ctx), ctx)
    return {(one.stage.op, one.stage.key) for one in found}


CLIP = ["animate.embed", "animate.encode", "animate.denoise", "animate.decode", "animate.shown"]
DENOISED = ["animate.denoise", "animate.decode", "film.shot", "film.cut"]
CHANGES: list[tuple[str, Sequence[str]]] = [
    ("shots.1.prompt=Mira stands, pink background",
     ["keyframe.draw", "keyframe.sheet", *CLIP, "film.shot", "film.cut"]),
    ("shots.3.motion=the pier burns", ["animate.embed", *DENOISED]),
    ("shots.1.camera=static", ["animate.embed", *DENOISED]),
    ("shots.bow.seed=9", DENOISED),
    ("shots.bow.frames=17", [*DENOISED, "animate.shown"]),
    ("shots.1.seed=9", ["keyframe.draw", "keyframe.sheet", *CLIP[1:], "film.shot", "film.cut"]),
    ("style=cartoon", ["keyframe.draw", "keyframe.draw", "keyframe.sheet", *CLIP[1:], *CLIP[1:], "film.shot",
                      "film.shot", "film.cut"]),
    ("style=pencil", []),  # no word of the family's: told, and left out
    ("film.fade_out=0.1", ["film.cut"]),
    ("shots.bow.transition=cut", ["film.cut"]),
    ("shots.bow.speed=2", ["film.shot", "film.cut"]),
    ("shots.bow.film_seconds=0.5", ["film.shot", "film.cut"]),
    ("finish=[grain]", [*["finish.grain"] * 3, *["film.shot"] * 3, "film.cut"]),
    ("draw.guidance_scale=3", ["keyframe.draw", "keyframe.draw", "keyframe.sheet", *CLIP[1:], *CLIP[1:], "film.shot",
                               "film.shot", "film.cut"]),
    ("approve=yes", []),
    ("measure=none", []),
]  # fmt: skip


@pytest.mark.parametrize(("override", "made"), CHANGES, ids=[change[0] for change in CHANGES])
def test_what_changes_is_made_again_and_nothing_else(override: str, made: Sequence[str], files: Path, store: Store):
    new = keys(files, store, override) - keys(files, store)
    assert sorted(op for op, _ in new) == sorted(made)


def test_finished_clips_are_larger_and_faster_and_last_as_long(files: Path, store: Store):
    where = [f"shots={files}/story.yaml", f"paths.store={store.root}"]

    def planned(*more: str) -> Any:
        return plan(settings(Root("storyboard", Story), [*SMALL, *where, *more]).config, store).planned

    cut = "shots.bow.transition=cut"  # a crossfade of three frames is shorter at twice the rate
    drawn, done = planned(cut), planned(cut, "finish=[interpolate,upscale]")
    assert done.size == tuple(2 * side for side in drawn.size)
    assert (done.plan.fps, done.plan.frames) == (2 * drawn.plan.fps, 2 * drawn.plan.frames)


def test_a_film_is_all_its_shots(files: Path, store: Store):
    counted = Counter(op for op, _ in keys(files, store))
    assert counted == {**dict.fromkeys([*CLIP, "film.shot"], 3), "keyframe.draw": 2, "extract": 1,
                       "keyframe.sheet": 1, "film.cut": 1}  # fmt: skip


def test_a_shot_that_is_moved_or_renamed_keeps_its_picture_and_its_clip(files: Path, store: Store):
    head, first, second, third = re.split(r"(?m)^(?=  - (?:prompt|name:))", STORY)
    for text in (f"{head}{third}{first}{second}", STORY.replace("name: bow", "name: bowing")):
        new = keys(files, store, text=text) - keys(files, store)
        assert {op for op, _ in new} <= {"keyframe.sheet", "film.cut"}


def test_a_characters_words_are_in_every_shot_that_names_them(files: Path, store: Store):
    new = keys(files, store, text=STORY.replace("short blonde", "long pink")) - keys(files, store)
    counted = Counter(op for op, _ in new)
    assert (counted["keyframe.draw"], counted["animate.embed"], counted["animate.decode"]) == (1, 2, 2)


def test_two_shots_that_are_the_same_are_made_once(files: Path, store: Store):
    head, first, *_ = re.split(r"(?m)^(?=  - (?:prompt|name:))", STORY)
    counted = Counter(op for op, _ in keys(files, store, text=f"{head}{first}{first}"))
    assert (counted["keyframe.draw"], counted["animate.decode"]) == (1, 1)


@pytest.mark.parametrize(("seconds", "frames"), [(0.1, 9), (0.5, 9), (0.55, 17), (1, 25), (10.3, 249), (10.5, 249)])
def test_seconds_become_the_nearest_length_that_the_animator_makes(
    seconds: float, frames: int, files: Path, store: Store
):
    given = [*SMALL, f"shots={files}/story.yaml", f"paths.store={store.root}", f"shots.1.seconds={seconds}"]
    todo = plan(settings(Root("storyboard", Story), given).config, store)
    assert [shot.length for shot in todo.shots] == [frames, 9, 9]
    assert todo.take == 1


def test_a_plain_value_of_shots_is_the_file_and_further_keys_are_changes():
    texts = shape(Story).texts
    given = ["shots=story.yaml", "shots.3.seed=1,2", "shots.3.prompt=a, b", "+shots=x.yaml", "shots={}"]
    assert literal_overrides(given, texts, multirun=True) == [
        "file='story.yaml'", "shots.3.seed=1,2", "shots.3.prompt='a, b'", "+file='x.yaml'", "shots={}",
    ]  # fmt: skip


def test_reference_pictures_go_to_the_shots_that_name_their_character(
    files: Path, store: Store, caplog: pytest.LogCaptureFixture
):
    for name in ("a", "b", "c"):
        Image.new("RGB", (64, 64), "blue").save(files / f"{name}.png")
    adapter = f"ip_adapter: {{kind: file, id: {files}/ip.safetensors}}"
    (files / "ip.safetensors").write_bytes(packed({}))
    given = [
        "keyframe.architecture=sd15",
        "keyframe.limits.references=2",
        f"keyframe.parts={{{adapter}, image_encoder: {{kind: embedded, id: paper}}}}",
        "draw.reference_scale=0.4",
    ]

    def planned(*more: str) -> list[Any]:
        text = STORY.replace("blonde hair}", "blonde hair, pictures: [a.png, b.png, c.png]}")
        (files / "cast.yaml").write_text(text)
        where = [f"shots={files}/cast.yaml", f"paths.store={store.root}"]
        cfg = settings(Root("storyboard", Story), [*SMALL, *where, *more]).config
        return [shot.key_pictures[0] for shot in plan(cfg, store).shots]

    with_mira, _, pier = planned(*given)
    assert [one.source.path.name for one in with_mira.references] == ["a.png", "b.png"]
    assert {"ip_adapter", "image_encoder"} <= with_mira.draw.sources.keys()
    assert "3 reference pictures of Mira, keyframe sprite takes 2" in caplog.text
    assert with_mira.draw.consistency(2) == "2 reference pictures by IP-Adapter, 0.4"
    assert (pier.references, pier.draw.reference_scale) == ([], None)  # so nothing of it depends on them
    assert "ip_adapter" not in pier.draw.sources
    caplog.clear()
    assert planned()[0].references == []
    assert "keyframe sprite takes no reference pictures, those of Mira are not used" in caplog.text


BAD = [
    (["story= "], "story: there is none"),
    (["story=a", "shots=$story"], "story and shots both say what the film is"),
    (["shots=nowhere.yaml"], "nowhere.yaml does not exist"),
    (["shots=$story", "shots.9.seed=1"], "shots.9: there is no such shot"),
    (["shots=$story", "shots.bwo.seed=1"], "shots.bwo: no shot has that name; nearest: bow"),
    (["shots=$story", "shots.1.seed=-1"], "shots.1.seed"),
    (["shots=$story", "shots.1.frames=10"], "shots.1.frames: model ltx_2b makes 8k+1, 9 to 257 frames, got 10"),
    (["shots=$story", "shots.1.seconds=60"], "60 s are 1440 frames, model ltx_2b makes 249 at most"),
    (["shots=$story", "shots.1.picture=nowhere.png"], "shots.1.picture: there is no file nowhere.png"),
    (["shots=$story", "shots.2.transition={kind: crossfade, frames: 30}"], "its transitions take 30"),
    (["shots=$story", "shots.1.transition=crossfade"], "nothing before it to crossfade from"),
    (["shots=$story", "shots.1.transition=wipe"], "'cut', 'fade' or 'crossfade'"),
    (["shots=$story", "keyframe=picture"], "story.yaml:6:5: shots.1: it has no picture of its own"),
    (["shots=$story", "width=640", "height=640"], "keyframe: sprite draws 65,536 px at most"),
    (["shots=$story", "write=opnai"], "write=opnai: no such choice"),
    (["shots=$story", "film.music.file=$story"], "film.music.file"),
    (["shots=$story", "shots.1.sound=$story"], "shots.1.sound"),
    (["shots=$story", "animate.two_pass=true"], "animate.two_pass"),
    (
        ["shots=$story", "animate.timesteps=[1000,500]", "animate.num_inference_steps=4"],
        "animate.num_inference_steps: model ltx_2b takes the 2 time steps",
    ),
]


@pytest.mark.parametrize(("overrides", "told"), BAD, ids=[told for _, told in BAD])
def test_what_cannot_be_made_is_said_before_anything_is_computed(
    overrides: list[str], told: str, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = [one.replace("$story", f"{files}/story.yaml") for one in overrides]
    store = Store(tmp_path / "store")
    assert cli.main(["storyboard", *SMALL, "approve=yes", "tracking=none", f"paths.store={store.root}", *given]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "Traceback" not in said
    assert list_records(store)[0] == []


def test_a_key_that_a_writers_server_needs_is_asked_for_before_anything_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """No server of Prefect's is started for a request that cannot be sent."""
    for name in ("OPENAI_API_KEY", "WRITER_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("flows.storyboard.written.as_flow", lambda *_: pytest.fail("a run was begun"))
    url = "write.openai_compatible.url=https://api.openai.com/v1"
    film = ["storyboard", "model=ltx_2b", "approve=yes", "story=a", "write=openai_compatible", url]
    assert cli.main([*film, f"paths.store={tmp_path / 'store'}", f"paths.output={tmp_path / 'out'}"]) == 2
    told = capsys.readouterr().err
    assert "needs a key, and there is none" in told
    assert "fix: export OPENAI_API_KEY=..." in told
