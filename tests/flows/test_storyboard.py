"""storyboard as a whole: the real program with LTX's own classes at toy size and the embedded family's key pictures."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.runs import ROOT
from flows import cli
from flows.commands.resolve import resolved
from flows.storyboard import stages
from reel.clip import Clip
from reel.history.record import RenderRecord, list_records
from reel.history.sweep import Manifest
from reel.store import Store
from tests.flows.rendering import computed
from tests.tasks import animate_models as tiny
from tests.tasks.animate_models import one_thread  # noqa: F401
from tests.tasks.film_samples import frames_of

pytestmark = [pytest.mark.usefixtures("prefect_server", "families"), pytest.mark.filterwarnings("ignore")]
BASE = "{kind: embedded, id: tiny_ltx, files: [transformer/*, vae/*, text_encoder/*, tokenizer/*, scheduler/*]}"
SMALL = [
    *("model=ltx_2b", f"model.base={BASE}", "width=64", "height=64", "frames=9"),
    *("animate.num_inference_steps=1", "draw.num_inference_steps=1", "compute.dtype=float32", "tracking=none"),
    *("measure=[flicker]", "film.output.timeline=false", "film.output.preset=ultrafast", "animate.extra_frames=0"),
]
STORY = """\
title: "The </script> lantern"
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
    motion: the camera waits
    seconds: 0.5
    seed: 3
"""
Render = Callable[..., RenderRecord]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storyboard with a picture of its own, and families."""
    here = tmp_path_factory.mktemp("files")
    tiny.write_ltx(here / "models" / "tiny_ltx")
    (here / "models" / "sprite").symlink_to(ROOT / "data" / "models" / "sprite")
    tiny.picture(5, 90, 80).save(here / "own.png")
    (here / "story.yaml").write_text(STORY)
    return here


@pytest.fixture
def families(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(files / "models"))


def rendered(folder: Path, *more: str, code: int = 0) -> Store:
    store = Store(folder / "store")
    where = [f"paths.store={store.root}", f"paths.output={folder / 'out'}"]
    assert cli.main(["storyboard", *SMALL, *where, *more]) == code
    return store


@pytest.fixture(scope="module")
def warm(files: Path, tmp_path_factory: pytest.TempPathFactory, prefect_server: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTOSCOPE_MODELS", str(files / "models"))
        folder = tmp_path_factory.mktemp("warm")
        rendered(folder, f"shots={files}/story.yaml", "approve=yes")
        yield folder


@pytest.fixture
def render(warm: Path, files: Path, tmp_path: Path) -> Render:
    """Renders on a copy of the store; the film's record."""
    shutil.copytree(warm / "store", tmp_path / "store")

    def run(*more: str, file: str = f"{files}/story.yaml") -> RenderRecord:
        return films(rendered(tmp_path, f"shots={file}", "approve=yes", *more))[-1]

    return run


def films(store: Store) -> list[RenderRecord]:
    return [one for one in list_records(store)[0] if one.flow == "storyboard"]


CLIP = ["animate.embed", "animate.encode", "animate.denoise", "animate.decode", "animate.shown"]


def test_a_film_its_files_its_shots_and_its_page(warm: Path):
    store = Store(warm / "store")
    [film] = films(store)
    stages = Counter(stage.op for stage in film.stages)
    assert stages == {**dict.fromkeys([*CLIP, "measure.flicker"], 3), "keyframe.draw": 2, "extract": 1,
                      "keyframe.sheet": 1, "film.cut": 1}  # fmt: skip
    assert {"movie.mp4", "contact_sheet.png", "film.html", "story.yaml"} <= {one.name for one in film.outputs}
    shots = [one for one in list_records(store)[0] if one.flow == "shot"]
    assert [(one.parent, one.title, one.status) for one in shots] == [
        (film.run, title, "done") for title in ("shot 1", "shot 2 (bow)", "shot 3")
    ]
    assert film.metrics["flicker.mean"] == pytest.approx(sum(one.metrics["flicker.mean"] for one in shots) / 3)
    assert [Clip.open(store, one.pictures["frames"]).count for one in shots] == [9, 9, 9]
    assert Clip.open(store, film.pictures["frames"]).count == 3  # the key pictures
    told = shots[0].config["shot"]
    assert told["drawn_as"] == ["a girl with short blonde hair, green background"]
    assert told["animated_as"].endswith("she waves. the camera pushes in slowly")
    assert told["consistency"] == "words and seed"
    page = (warm / "out" / "film.html").read_text()
    assert page.count("</script>") == 2  # what the story says ends no element
    data = json.loads(re.findall(r'id="data">(.*?)</script>', page)[0])
    assert ["keyframe.draw" in shot["computed"] for shot in data["shots"]] == [True, False, True]
    assert [round(shot["start"] * 24) for shot in data["shots"]] == [0, 6, 15]  # a crossfade of three frames
    assert data["movie"].startswith("data:video/mp4;base64,")
    with Image.open(warm / "out" / "contact_sheet.png") as sheet:
        assert sheet.width > 3 * 200


def test_a_film_is_made_again_shot_by_shot(warm: Path, capsys: pytest.CaptureFixture[str]):
    store = Store(warm / "store")
    assert cli.main(["verify", "last", f"--store={store.root}"]) == 0
    told = capsys.readouterr().out
    assert all(f"shot_{number}   the same, to the last bit" in told for number in range(3))
    shot = next(one for one in list_records(store)[0] if one.flow == "shot")
    assert cli.main(["verify", shot.run, f"--store={store.root}"]) == 2
    assert f"{shot.run} is a part of {shot.parent} (shot) and no render of its own" in capsys.readouterr().err


def test_unchanged_is_reused_whole(render: Render):
    assert render().reused


def test_takes_of_a_shot_stand_side_by_side_and_the_chosen_one_is_in_the_cut(
    render: Render, files: Path, tmp_path: Path
):
    base = [*SMALL, f"shots={files}/story.yaml", f"paths.store={tmp_path / 'store'}", f"paths.renders={tmp_path}"]
    assert cli.main(["storyboard", "-m", *base, "shots.3.seed=5", "shots.bow.seed=1,2"]) == 0
    store = Store(tmp_path / "store")
    points, known = Manifest.load(store, "latest").points, {one.run: one for one in list_records(store)[0]}
    takes = [known[point.run or ""] for point in points]
    clips = [Clip.open(store, take.pictures["frames"]) for take in takes]
    assert [clip.count for clip in clips] == [9, 9]
    assert len({clip.digest for clip in clips}) == 2
    for take, clip in zip(takes, clips, strict=True):
        [own] = [one for one in known.values() if one.parent == take.run and one.title == "shot 2 (bow)"]
        assert (own.pictures["frames"], own.metrics) == (clip.digest, take.metrics)  # of the take, not of the film
    assert sorted(computed(takes[1])) == sorted([*CLIP[2:4], "measure.flicker", "film.cut"])

    out = tmp_path / "compared"
    where = [f"paths.store={store.root}", f"paths.output={out}"]
    assert cli.main(["compare", "sweep=latest", "tracking=none", *where]) == 0
    assert len(frames_of(out / "grid.mp4")) == 9  # neither the film's frames nor the key pictures

    assert computed(render("shots.2.seed=2")) == ["film.cut"]
    chosen = files / "chosen.yaml"
    chosen.write_text(STORY.replace("name: bow", "name: bow\n    seed: 2").replace("seed: 3", "seed: 5"))
    assert computed(render(file=str(chosen))) == []


def test_a_film_is_resolved_for_dvc_by_its_words_and_pictures(files: Path, tmp_path: Path):
    def found(*more: str, story: str = STORY) -> dict[str, Any]:
        shutil.copy(files / "own.png", tmp_path)
        (tmp_path / "story.yaml").write_text(story)
        same = ["compute.memory_format=contiguous", f"shots={tmp_path}/story.yaml", f"paths.store={tmp_path}/none"]
        return resolved("storyboard", [*SMALL, *same, *more])["stages"]

    made = found()
    assert {"keyframe.draw 2", "animate.denoise 3", "extract", "film.cut"} <= made.keys()
    assert str(tmp_path) not in json.dumps(made)
    assert found("approve=yes", "compute.threads=1", story=f"# a comment\n{STORY}") == made
    other = found(story=STORY.replace("a pier", "a girl in a red top"))
    assert {name for name in made if made[name] != other[name]} == {"keyframe.draw 2", "animate.embed 3"}


def test_a_film_that_breaks_off_keeps_its_finished_shots(
    render: Render, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real, calls = stages.animated, []

    def broken(*args: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args)  # type: ignore[arg-type]

    more = ["measure=none", "shots.1.seed=4", "shots.2.seed=4", f"shots={files}/story.yaml", "approve=yes"]
    monkeypatch.setattr(
        stages, "animated", lambda *args: broken(*args) if args[-1].say else real(*args)
    )  # say: no dry run
    with contextlib.suppress(KeyboardInterrupt):
        rendered(tmp_path, *more, code=130)
    assert len(calls) == 3
    monkeypatch.setattr(stages, "animated", real)
    assert computed(render(*more[:3])) == ["film.cut"]


def test_key_pictures_are_shown_before_anything_is_animated(
    render: Render, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    ask = [f"shots={files}/story.yaml", "measure=none", "shots.1.seed=8"]
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    rendered(tmp_path, *ask, code=2)
    said = capsys.readouterr().err
    assert "nobody is at the terminal" in said
    assert "contact_sheet.png" in said
    store = Store(tmp_path / "store")
    assert [stage.op for stage in films(store)[-1].stages if not stage.reused] == ["keyframe.draw", "keyframe.sheet"]
    answer = io.StringIO("y\n")
    answer.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", answer)
    rendered(tmp_path, *ask)
    assert "animate these 3 shots?" in capsys.readouterr().out
    assert computed(films(store)[-1])[-1] == "film.cut"


def test_a_story_is_written_into_as_many_shots_as_are_asked_for(render: Render, tmp_path: Path):
    store = rendered(tmp_path, "story=A girl waits. She waves.", "count=2", "approve=yes", "measure=none")
    film = films(store)[-1]
    assert film.stages[0].op == "write.template"
    assert (tmp_path / "out" / "story.yaml").read_text().count("  - prompt:") == 2
