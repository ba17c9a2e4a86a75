"""dance renderer=wan_animate as a whole: the real program with Wan's own classes at toy size, and what it refuses."""

from __future__ import annotations

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
from reel.clip import Clip
from reel.config import parse
from reel.errors import UserError
from reel.history.record import RenderRecord, list_records
from reel.store import Store
from tasks.animate.decode import eight_bit
from tests.flows.rendering import computed
from tests.flows.test_vace import changed
from tests.tasks import video_models as tiny
from tests.tasks.animate_models import one_thread, picture  # noqa: F401

pytestmark = [pytest.mark.usefixtures("prefect_server", "families"), pytest.mark.filterwarnings("ignore")]
BASE = "{kind: embedded, id: tiny_wan_animate, files: null}"
WORDS = "the figure waves slowly and turns"
SMALL = [
    *("renderer=wan_animate", f"model.base={BASE}", "extract.short_side=64", "extract.max_frames=9"),
    *("stylize.num_inference_steps=2", "compute.dtype=float32", "tracking=none", "assemble.contact_sheet=2"),
    *(f"prompt={WORDS}", "assemble.side_by_side=false", "measure=none", "seed=3"),
]
SEGMENTS = ["stylize.segments.frames=5", "extract.max_frames=11"]
Render = Callable[..., RenderRecord]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A family, and pictures."""
    here = tmp_path_factory.mktemp("files")
    tiny.write(here / "models" / "tiny_wan_animate", tiny.wan_animate())
    picture(5, 96, 64).save(here / "girl.png")
    picture(6, 20, 20).save(here / "small.png")
    picture(7, 40, 200).save(here / "tall.png")
    (here / "text.png").write_text("a picture of nothing")
    return here


@pytest.fixture
def families(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(files / "models"))


def rendered(folder: Path, files: Path, *more: str) -> Store:
    store = Store(folder / "store")
    given = [f"stylize.references=[{files}/girl.png]", f"paths.store={store.root}", f"paths.output={folder / 'out'}"]
    assert cli.main(["dance", *SMALL, *given, *more]) == 0
    return store


@pytest.fixture(scope="module")
def warm(files: Path, tmp_path_factory: pytest.TempPathFactory, prefect_server: Path) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTOSCOPE_MODELS", str(files / "models"))
        yield rendered(tmp_path_factory.mktemp("warm"), files)


@pytest.fixture
def render(warm: Store, files: Path, tmp_path: Path) -> Render:
    shutil.copytree(warm.root, tmp_path / "store")
    return lambda *more: list_records(rendered(tmp_path, files, *more))[0][-1]


def driving(store: Store, record: RenderRecord) -> dict[str, list[Image.Image]]:
    """The clips that a render was drawn after, as arguments of the stock pipeline's call."""
    made = {stage.op: stage.digest for stage in record.stages if stage.op != "pick.pick"}
    found = {"pose_video": made["preprocess.pose_map"], "face_video": made["wan_animate.face"]}
    if "wan_animate.place" in made:
        found |= {"background_video": made["wan_animate.place"], "mask_video": made["vace.outline"]}
    return {
        name: [Image.fromarray(frame) for frame in Clip.open(store, digest).frames()] for name, digest in found.items()
    }


def stock(files: Path, given: dict[str, Any], frames: int) -> np.ndarray:
    """The film that diffusers makes of the same in one call."""
    from diffusers import UniPCMultistepScheduler, WanAnimatePipeline

    parts = tiny.read(files / "models" / "tiny_wan_animate", tiny.wan_animate())
    parts["scheduler"] = UniPCMultistepScheduler.from_config(parts["scheduler"].config, flow_shift=5.0)
    pipe = WanAnimatePipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    found = pipe(
        image=Image.open(files / "girl.png").convert("RGB"),
        prompt=WORDS,
        width=64,
        height=64,
        segment_frame_length=frames,
        num_inference_steps=2,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(3),
        **given,
    )
    return eight_bit(found.frames[0])


def test_a_clip_of_one_segment_is_the_stock_pipelines_film(warm: Store, files: Path):
    record = list_records(warm)[0][-1]
    assert [stage.op for stage in record.stages] == [
        *("extract", "preprocess.blazepose", "preprocess.pose_map", "wan_animate.face", "extract", "animate.embed"),
        *("animate.encode", "animate.denoise", "animate.decode", "vace.join", "assemble"),
    ]
    film = Clip.open(warm, record.pictures["frames"])
    given = driving(warm, record)
    assert given["face_video"][0].size == (16, 16), "what the tiny family's face encoder takes"
    assert np.array_equal(film.array(), stock(files, given, 9))
    assert film.pts == Clip.open(warm, record.pictures["original"]).pts, "shown when the source's frames are"
    assert film.fps == 30


def test_a_longer_clip_is_the_film_of_the_pipelines_own_segments(render: Render, files: Path, tmp_path: Path):
    """Each by stages of its own, which never have the whole film; replaced, the place stays and the person does not."""
    record = render(*SEGMENTS, "stylize.mode=replace", "stylize.composite_dilate=0")
    store, made = Store(tmp_path / "store"), [stage.op for stage in record.stages]
    assert made.count("animate.encode") == made.count("animate.denoise") == made.count("animate.decode") == 3
    film, source = (Clip.open(store, record.pictures[name]).array() for name in ("frames", "original"))
    given = driving(store, record)
    expected = stock(files, {**given, "mode": "replace"}, 5)
    mask = np.stack([np.asarray(one) for one in given["mask_video"]])
    assert 0.02 < (mask == 255).mean() < 0.8
    assert len(film) == 11
    assert np.array_equal(film, np.where(mask == 255, expected, source))
    assert (np.stack([np.asarray(one) for one in given["background_video"]])[mask == 255] == 0).all()
    assert {"seam", "inner"} <= next(stage.facts["seams"] for stage in record.stages if stage.op == "vace.join").keys()


def test_a_film_is_made_again_to_the_last_bit(warm: Store, capsys: Any):
    assert cli.main(["verify", "last", f"--store={warm.root}"]) == 0
    assert "frames   the same, to the last bit" in capsys.readouterr().out


def test_what_changes_runs_again_and_nothing_else(render: Render):
    tail = ["animate.denoise", "animate.decode", "vace.join", "assemble"]
    assert render().reused
    assert computed(render("seed=4")) == tail
    assert computed(render("prompt=she turns slowly to the left and waves")) == ["animate.embed", *tail]
    assert computed(render("stylize.face_scale=2")) == ["wan_animate.face", "animate.encode", *tail]
    assert computed(render("stylize.decode_tiling=true"))[0] == "animate.decode"


@pytest.fixture(scope="module")
def composed(files: Path) -> dict[str, Any]:
    data = plain_settings(Root("dance", Dance), SMALL)
    return changed(data, {"stylize.references": ["$/girl.png"]}, files)


DEPTH = {"preprocess": "figure_depth", "kind": "depth", "weight": 1.0}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"stylize.references": []}, "draws the character of one picture, and there is none"),
    ({"stylize.references": ["$/girl.png"] * 2}, "draws the character of one picture, got 2"),
    ({"stylize.references": ["$/absent.png"]}, "stylize.references.0: there is no file"),
    ({"stylize.references": ["$/text.png"]}, "stylize.references.0: .*text.png"),
    ({"stylize.references": ["$/small.png"]}, "32 px a side are the least"),
    ({"stylize.references": ["$/tall.png"]}, "tall.png is 40x200 px and the film 64x64: borders would fill 80%"),
    ({"controls": {}}, "driven by a map, and there is none"),
    ({"controls.depth": DEPTH}, "was not trained on maps of kind depth; on openpose"),
    ({"controls.other": {"preprocess": "blazepose", "kind": "openpose"}}, "reads one map, got other and pose"),
    ({"controls.pose.weight": 0.5}, "pose.weight: renderer wan_animate does not read it: the map counts as it was"),
    ({"controls.pose.layer_weights": [1.0]}, "pose.layer_weights: renderer wan_animate does not read it"),
    ({"controls.pose.mask": {"region": "face"}}, "pose.mask: renderer wan_animate does not read it"),
    ({"controls.pose.weight_schedule": "0: 1; 4: 0.5"}, "pose.weight_schedule: renderer wan_animate has one prompt"),
    ({"prompt_schedule": "0: red; 4: blue"}, "prompt_schedule: renderer wan_animate has one prompt"),
    ({"prompt": ""}, "prompt: model wan_animate needs one"),
    ({"extract.fps": "8"}, "trained at 30 frames a second, and is told no other rate; got 8"),
    ({"extract.max_frames": 4}, "makes 5 frames at least; the clip has 4"),
    (
        {"extract.max_frames": 5, "stylize.segments.carried": 5, "stylize.segments.frames": 13},
        r"makes 6 frames at least \(stylize.segments.carried=5\); the clip has 5",
    ),
    ({"extract.short_side": 72, "extract.multiple_of": 8}, "multiples of 16 px, got 72x72"),
    ({"extract.short_side": 1088}, r"more pixels than it makes \(921,600\)"),
    ({"stylize.segments.frames": 81}, "makes 77 frames at once, got 81"),
    ({"stylize.segments.frames": 8}, r"frames must be 4k\+1 .* got 8: frames=9"),
    ({"stylize.segments.frames": 9, "stylize.segments.carried": 5}, r"more than twice the carried \(5\): frames=13"),
    ({"stylize.segments.carried": 3}, "stylize.segments.carried: must be 1 or 5"),
    ({"stylize.detector": "canny"}, "finds no poses"),
    ({"stylize.detector": "blazeposes"}, "stylize.detector: no preprocess named 'blazeposes'; nearest: blazepose"),
    ({"stylize.face_steady": 8}, "face_steady: as many frames before as behind, so an odd number: 7, or 9"),
    ({"stylize.composite": "keep_background"}, "unknown key 'stylize.composite'; nearest: composite_dilate"),
    ({"stylize.renderer": "vace"}, "stylize.renderer: the other settings of stylize are wan_animate's"),
    ({"model.call": {"mode": "replace"}}, "model.call: mode is not set there"),
    ({"model.architecture": "vace"}, "is not drawn by stylize=wan_animate: renderer=vace draws it"),
]


@pytest.mark.parametrize(("changes", "told"), REFUSED, ids=[str(changes)[:60] for changes, _ in REFUSED])
def test_what_wan_animate_does_not_make_is_refused(
    changes: dict[str, Any], told: str, composed: dict[str, Any], files: Path, store: Store
):
    with pytest.raises(UserError, match=told):
        plan(parse(Dance, changed(composed, changes, files)), store)
