"""text2video as a whole: the real program with the embedded family; what is computed again, what is refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from benchmarks.runs import ROOT
from flows import cli
from flows.config.compose import settings
from flows.config.root import Root
from flows.text2video.opening import opening
from flows.text2video.settings import TextToVideo
from reel.clip import Clip
from reel.history.record import RenderRecord, list_records
from reel.store import Store
from tasks.stylize.settings.camera import with_moves
from tests.flows.rendering import computed

pytestmark = pytest.mark.filterwarnings("ignore")
SAMPLE = ROOT / "data" / "source" / "sample.mp4"
SMALL = [
    *("frames=3", "width=64", "height=64", "stylize.num_inference_steps=2", "tracking=none", "measure=[flicker]"),
    *("compute.dtype=float32", "assemble.contact_sheet=2"),
]


def rendered(store: Store, *overrides: str) -> RenderRecord:
    output = store.root.parent / "out"
    assert cli.main(["text2video", *SMALL, *overrides, f"paths.store={store.root}", f"paths.output={output}"]) == 0
    return list_records(store)[0][-1]


@pytest.mark.usefixtures("prefect_server")
def test_words_become_a_film_and_only_what_changed_is_computed_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    first = rendered(store)
    assert computed(first) == [
        *("stylize.blank", "stylize.embed", "stylize.denoise", "stylize.decode", "assemble", "measure.flicker"),
    ]
    clip = Clip.open(store, first.pictures["frames"])
    assert (len(clip), clip.width, clip.height, clip.time_base) == (3, 64, 64, Fraction(1, 8))
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"movie.mp4", "contact_sheet.png"}
    assert computed(rendered(store)) == []
    seed = rendered(store, "seed=1")
    assert computed(seed) == ["stylize.denoise", "stylize.decode", "assemble", "measure.flicker"]
    assert computed(rendered(store, "stylize.decode_chunk_size=2"))[0] == "stylize.decode"
    scheduled = rendered(store, "prompt_schedule=0: red top; 2: blue top")
    assert computed(scheduled)[:2] == ["stylize.embed", "stylize.denoise"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("stylize.strength=0.5", "stylize.strength: there is no source of which anything could be kept"),
        ("width=60", "sides must be multiples of 8 px: 60x64 -> 56x64\nfix: width=56 height=64"),
        ("control=[pose]", "control=[pose] follows a clip's maps, and none is named: motion=walk.mp4"),
        (f"motion={SAMPLE}", "motion names a clip, and no control follows its maps: control=[pose]"),
        ("clip=a.mp4", "unknown key 'clip'"),
        ("camera=[zoom_in]", "camera: zoom_in is made for AnimateDiff's v2 motion module, model sprite has another"),
    ],
)
def test_what_has_no_meaning_without_a_source_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, said: str
) -> None:
    assert cli.main(["text2video", *SMALL, override, f"paths.store={tmp_path / 'store'}"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("prefect_server")
def test_controls_follow_the_maps_of_a_clip(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    motion = [f"motion={SAMPLE}", "control=[lineart]", "motion_start=0.5"]
    first = rendered(store, *motion)
    maps = Clip.open(store, first.pictures["map_lineart"])
    assert (len(maps), maps.width, maps.height) == (3, 64, 64)
    assert maps.pts[0] == 0, "the film begins where the clip is entered"
    assert computed(rendered(store, *motion, "controls.lineart.weight=0.2"))[:2] == [
        "stylize.denoise",
        "stylize.decode",
    ]
    alone = rendered(store)
    frames = [Clip.open(store, one.pictures["frames"]).array() for one in (first, alone)]
    assert (frames[0] != frames[1]).mean() > 0.1, "the maps lead the drawing"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("frames=40", "motion: sample.mp4 has 16 frames at 8 a second, the film has 40"),
        ("motion_start=9", "motion: "),
        ("motion=nowhere.mp4", "motion: there is no file nowhere.mp4"),
        ("motion=", "follows a clip's maps, and none is named"),
        ("controls.pose.mask.region=face", "a control counts everywhere here"),
        ("controls.pose.kind=segmentation", "segmentation"),
    ],
)
def test_a_motion_that_leads_nowhere_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, said: str
) -> None:
    motion = [f"motion={SAMPLE}", "control=[pose]"]
    assert cli.main(["text2video", *SMALL, *motion, override, f"paths.store={tmp_path / 'store'}"]) == 2
    assert said in capsys.readouterr().err


def test_what_users_found_of_sdxl_is_told_first() -> None:
    told = dict(opening(settings(Root("text2video", TextToVideo), ["model=sdxl_beta"]).config))
    assert told["drawn"] == "16 frames, 2 s at 8 fps, 1024x1024, 25 steps"
    assert "its users found its films grainy" in told["note"]
    assert "note" not in dict(opening(settings(Root("text2video", TextToVideo), ["model=sd15"]).config))


def test_camera_moves_are_motion_loras_with_weights_of_their_own() -> None:
    own = "stylize.motion_loras=[{source: {kind: file, id: shake.safetensors}, weight: 0.2}]"
    moves = ["camera=[zoom_in,pan_left,tilt_up]", "moves.zoom_in.weight=0.6", "moves.tilt_up.weight=0"]
    cfg = settings(Root("text2video", TextToVideo), ["model=sd15_v2", *moves, own]).config
    found = with_moves(cfg.stylize, cfg.moves, cfg.model).motion_loras
    assert [(one.source.id.rpartition("/")[2], one.weight) for one in found] == [
        ("shake.safetensors", 0.2),
        ("animatediff-motion-lora-pan-left", 1.0),
        ("animatediff-motion-lora-zoom-in", 0.6),
    ]
    assert list(cfg.result_part()["moves"]) == ["pan_left", "zoom_in"], "a move of weight 0 changes nothing"
