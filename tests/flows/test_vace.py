"""dance renderer=vace as a whole: the real program with Wan's own classes at toy size, and what it refuses."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from flows import cli
from flows.config.compose import plain_settings
from flows.config.root import Root
from flows.dance.plan import plan
from flows.dance.settings import Dance
from flows.dance.vace_stages import VacePlan
from reel.clip import Clip
from reel.config import parse
from reel.errors import UserError
from reel.history.record import RenderRecord, list_records
from reel.store import Store
from tasks.animate.decode import eight_bit
from tests.flows.rendering import computed
from tests.tasks import animate_models as tiny
from tests.tasks.animate_models import one_thread  # noqa: F401

pytestmark = [pytest.mark.usefixtures("prefect_server", "families"), pytest.mark.filterwarnings("ignore")]
BASE = "{kind: embedded, id: tiny_vace, files: [transformer/*, vae/*, text_encoder/*, tokenizer/*, scheduler/*]}"
SMALL = [
    *("renderer=vace", f"model.base={BASE}", "extract.short_side=64", "extract.max_frames=9"),
    *("stylize.num_inference_steps=2", "compute.dtype=float32", "tracking=none", "assemble.contact_sheet=2"),
    *("prompt=the figure waves slowly and turns", "assemble.side_by_side=false", "measure=none", "seed=3"),
]
WINDOWS = ["stylize.windows.frames=5", "stylize.windows.overlap=1"]
Render = Callable[..., RenderRecord]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A family, and pictures."""
    here = tmp_path_factory.mktemp("files")
    tiny.write_vace(here / "models" / "tiny_vace")
    tiny.picture(5, 96, 64).save(here / "girl.png")
    tiny.picture(6, 20, 20).save(here / "small.png")
    (here / "text.png").write_text("a picture of nothing")
    return here


@pytest.fixture
def families(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(files / "models"))


@pytest.fixture(scope="module")
def warm(files: Path, tmp_path_factory: pytest.TempPathFactory, prefect_server: Path) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTOSCOPE_MODELS", str(files / "models"))
        yield rendered(tmp_path_factory.mktemp("warm"), f"stylize.references=[{files}/girl.png]")


def rendered(folder: Path, *more: str) -> Store:
    store = Store(folder / "store")
    where = [f"paths.store={store.root}", f"paths.output={folder / 'out'}"]
    assert cli.main(["dance", *SMALL, *where, *more]) == 0
    return store


@pytest.fixture
def render(warm: Store, tmp_path: Path) -> Render:
    shutil.copytree(warm.root, tmp_path / "store")
    return lambda *more: list_records(rendered(tmp_path, *more))[0][-1]


def test_a_clip_of_one_window_is_the_stock_pipelines_film(warm: Store, files: Path):
    from diffusers import WanVACEPipeline

    record = list_records(warm)[0][-1]
    assert [stage.op for stage in record.stages] == [
        *("extract", "preprocess.blazepose", "preprocess.pose_map", "animate.embed", "extract", "animate.encode"),
        *("vace.window", "animate.encode", "animate.denoise", "animate.decode", "vace.join", "assemble"),
    ]
    maps, film = (Clip.open(warm, record.pictures[name]) for name in ("map_pose", "frames"))
    reference = next(stage.digest for stage in record.stages[4:] if stage.op == "extract")
    (shown,) = Clip.open(warm, reference).array()
    assert (shown[:10] == 255).all(), "on white, as the picture is wider than the frame"
    pipe = WanVACEPipeline(**tiny.read_vace(files / "models" / "tiny_vace"))
    pipe.set_progress_bar_config(disable=True)
    stock = pipe(
        prompt="the figure waves slowly and turns",
        negative_prompt="",
        video=[Image.fromarray(frame) for frame in maps.frames()],
        reference_images=[Image.fromarray(shown)],
        width=64,
        height=64,
        num_frames=9,
        num_inference_steps=2,
        guidance_scale=5.0,
        max_sequence_length=512,
        generator=torch.Generator().manual_seed(3),
    ).frames[0]
    assert np.array_equal(film.array(), eight_bit(stock))
    assert film.pts == Clip.open(warm, record.pictures["original"]).pts, "shown when the source's frames are"
    assert film.fps == 16


def test_a_film_is_made_again_to_the_last_bit(warm: Store, capsys: Any):
    assert cli.main(["verify", "last", f"--store={warm.root}"]) == 0
    assert "frames   the same, to the last bit" in capsys.readouterr().out


def test_what_changes_runs_again_and_nothing_else(render: Render, files: Path):
    given = f"stylize.references=[{files}/girl.png]"
    tail = ["animate.denoise", "animate.decode", "vace.join", "assemble"]
    assert render(given).reused
    assert computed(render(given, "controls.pose.weight=0.5")) == tail, "as a sweep varies it"
    assert computed(render(given, "controls.pose.layer_weights=[1,0.5]")) == tail
    assert computed(render(given, "stylize.flow_shift=5")) == tail
    assert computed(render(given, "prompt=she turns slowly to the left and waves")) == ["animate.embed", *tail]
    assert computed(render("stylize.references=[]")) == tail
    assert computed(render(given, "stylize.decode_tiling=true"))[0] == "animate.decode"


def test_a_longer_clip_goes_on_from_its_last_frames(render: Render, tmp_path: Path):
    record = render("stylize.references=[]", *WINDOWS)
    store, stages = Store(tmp_path / "store"), record.stages
    made = [stage.op for stage in stages if stage.op.partition(".")[0] in ("vace", "animate")]
    assert made == [
        *("animate.embed", "vace.window", "animate.encode", "vace.noise", "animate.denoise", "animate.decode"),
        *("vace.window", "vace.window", "animate.encode", "vace.noise", "animate.denoise", "animate.decode"),
        *("vace.seam", "vace.join"),
    ]
    first = Clip.open(store, next(stage.digest for stage in stages if stage.op == "animate.decode"))
    _, control, mask = (Clip.open(store, stage.digest) for stage in stages if stage.op == "vace.window")
    assert np.array_equal(control.frame(0), first.frame(4))
    assert [int(frame.mean()) for frame in mask.frames()] == [0, 255, 255, 255, 255]
    seams = next(stage.facts["seams"] for stage in stages if stage.op == "vace.join")
    assert {"seam", "inner"} <= seams.keys()
    assert Clip.open(store, record.pictures["frames"]).count == 9


def test_the_place_stays_and_the_person_is_drawn_anew(render: Render, tmp_path: Path):
    record = render("stylize.references=[]", "stylize.composite=keep_background", "stylize.composite_dilate=0")
    store = Store(tmp_path / "store")
    film, source = (Clip.open(store, record.pictures[name]).array() for name in ("frames", "original"))
    mask = Clip.open(store, next(stage.digest for stage in record.stages if stage.op == "vace.outline")).array()
    assert 0.02 < (mask == 255).mean() < 0.8
    assert np.array_equal(film[mask == 0], source[mask == 0])
    assert (film[mask == 255] != source[mask == 255]).mean() > 0.9


def test_two_maps_are_drawn_into_one(render: Render, tmp_path: Path):
    record = render("control=[pose,lineart]", "controls.lineart.weight=1", "stylize.overlay=[lineart,pose]")
    store = Store(tmp_path / "store")
    pose, both = (Clip.open(store, record.pictures[f"map_{name}"]).array() for name in ("pose", "overlay"))
    drawn = (pose >= 8).any(axis=-1)
    assert np.array_equal(both[drawn], pose[drawn])
    assert both[~drawn].any(), "lines between"


@pytest.fixture(scope="module")
def composed(files: Path) -> dict[str, Any]:
    return plain_settings(Root("dance", Dance), SMALL)


def changed(data: dict[str, Any], changes: dict[str, Any], files: Path) -> dict[str, Any]:
    found = copy.deepcopy(data)
    for key, value in changes.items():
        *path, last = key.split(".")
        at = found
        for step in path:
            at = at.setdefault(step, {})
        at[last] = [one.replace("$", str(files)) for one in value] if key == "stylize.references" else value
    return found


DEPTH = {"preprocess": "figure_depth", "kind": "depth", "weight": 1.0}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"controls": {}}, "driven by a map, and there is none"),
    ({"controls.pose.weight": 0.0}, "driven by a map, and there is none"),
    ({"controls.depth": DEPTH}, "reads one map, got depth and pose: it was not trained on several"),
    ({"stylize.overlay": ["pose", "depth"]}, "names pose, depth; the controls in use are pose"),
    ({"stylize.overlay": ["pose"]}, "one map needs none"),
    ({"controls.depth": DEPTH, "controls.pose.weight": 0.5, "stylize.overlay": ["depth", "pose"]}, "have one weight"),
    ({"controls.pose.kind": "tile"}, "was not trained on maps of kind tile; on openpose, depth"),
    ({"controls.pose.control_guidance_end": 0.5}, "pose.control_guidance_end: renderer vace does not read it"),
    ({"controls.pose.mask": {"region": "face"}}, "pose.mask: renderer vace does not read it"),
    ({"controls.pose.layer_weights": [1.0, 1.0, 1.0]}, "3 values; model wan_vace_1_3b has 2 VACE layers"),
    ({"controls.pose.weight_schedule": "0: 1; 4: 0.5"}, "pose.weight_schedule: renderer vace has one prompt"),
    ({"prompt_schedule": "0: red; 4: blue"}, "prompt_schedule: renderer vace has one prompt and one weight"),
    ({"regions": {"wall": {"prompt": "green", "mask": {"region": "background"}}}}, "regions: renderer vace"),
    ({"prompt": ""}, "prompt: model wan_vace_1_3b needs one"),
    ({"extract.fps": "24"}, "trained at 16 frames a second, and is told no other rate; got 24"),
    ({"extract.max_frames": 8}, r"makes 4k\+1 frames, 5 at least; the clip has 8"),
    ({"extract.max_frames": 1}, r"makes 4k\+1 frames, 5 at least; the clip has 1"),
    ({"extract.short_side": 32}, "sides have 64 px at least, got 32x32"),
    ({"extract.short_side": 72, "extract.multiple_of": 8}, "multiples of 16 px, got 72x72"),
    ({"extract.short_side": 800}, r"800x800 are more pixels than it makes \(399,360\)"),
    ({"stylize.windows.frames": 85}, "makes 81 frames at once, got 85"),
    ({"stylize.references": ["$/absent.png"]}, "stylize.references.0: there is no file"),
    ({"stylize.references": ["$/text.png"]}, "stylize.references.0: .*text.png"),
    ({"stylize.references": ["$/small.png"]}, "32 px a side are the least"),
    ({"stylize.references": ["$"]}, "stylize.references.0: .* is a folder"),
    ({"stylize.references": ["$/girl.png"] * 5}, "takes 4 pictures at most, got 5"),
    ({"stylize.strength": 0.5}, "unknown key 'stylize.strength'"),
    ({"stylize.num_inference_steps": 0}, "stylize.num_inference_steps: must be greater"),
    ({"model.architecture": "ltx"}, "is not drawn by stylize=vace: it brings pictures to life, with rotoscope animate"),
    ({"model.motion_window": 16}, "unknown key 'model.motion_window'"),
    ({"model.call": {"conditioning_scale": 2.0}}, "model.call: conditioning_scale is not set there"),
]


@pytest.mark.parametrize(("changes", "told"), REFUSED, ids=[str(changes)[:60] for changes, _ in REFUSED])
def test_what_vace_does_not_make_is_refused(
    changes: dict[str, Any], told: str, composed: dict[str, Any], files: Path, store: Store
):
    with pytest.raises(UserError, match=told):
        plan(parse(Dance, changed(composed, changes, files)), store)


def test_a_family_of_vace_is_no_animator_of_pictures(files: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["animate", "model=wan_vace_1_3b", f"picture={files}/girl.png", "prompt=she waves"]) == 2
    assert "it is made for another flow" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (["model=wan_vace_14b"], "it is made for another renderer fix: renderer=vace, or another model=NAME"),
        (["renderer=vace", "model=sprite"], "made for another renderer fix: renderer=animatediff, or another model"),
        (["model=svd"], "it is made for another flow fix: another model=NAME"),
    ],
    ids=["of VACE", "of AnimateDiff", "of neither"],
)
def test_a_family_of_another_renderer_names_it(chosen: list[str], told: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["dance", *chosen]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_search_says_that_a_clip_is_made_in_one(store: Store, capsys: pytest.CaptureFixture[str]):
    small = [one for one in SMALL if not one.startswith("measure")]
    asked = ["search", *small, "control=[pose]", "search.trials=1", "search.objectives=[flicker.mean,pose.oks]"]
    assert cli.main([*asked, "search.constraints={}", "measure=[flicker,pose]", f"paths.store={store.root}"]) == 2
    assert "this renderer makes a clip in one" in capsys.readouterr().err


def test_a_window_of_the_budget_holds_for_every_window(composed: dict[str, Any], files: Path, store: Store):
    data = changed(composed, {"stylize.windows": {"frames": 5, "overlap": 1}, "compute.max_memory": "2GiB"}, files)
    found = plan(parse(Dance, data), store)
    assert isinstance(found, VacePlan)
    assert [part.window.count for part in found.vace.parts] == [5, 5]
    assert len({part.decode.tiling for part in found.vace.parts}) == 1


def test_an_unknown_renderer_is_told_with_those_that_there_are(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["dance", "renderer=vace", "stylize.renderer=wan", "model=wan_vace_1_3b"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "stylize.renderer: there is no 'wan'" in said
    assert "fix: renderer=vace or renderer=wan_animate" in said
