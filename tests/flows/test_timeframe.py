"""timeframe: the real program with the embedded family; tracks compiled for each renderer, planned and rendered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows import cli
from flows.config.compose import settings
from flows.config.root import Root
from flows.timeframe import handed_over
from flows.timeframe.plan import plan
from flows.timeframe.settings import Timeframe
from flows.timeframe.stages import TimeframePlan
from flows.timeframe.track import on_frames
from reel.clip import Clip
from reel.errors import UserError
from reel.history.record import RenderRecord, list_records
from reel.schedule.read import read
from reel.store import Store
from tests.flows.rendering import computed
from tests.tasks import sprite_sparse

pytestmark = [pytest.mark.usefixtures("families"), pytest.mark.filterwarnings("ignore")]
SMALL = [
    *("width=64", "height=64", "stylize.num_inference_steps=1", "tracking=none", "compute.dtype=float32"),
    *("measure=[first_frame,key_pictures]", sprite_sparse.SETTING, "draw.num_inference_steps=1"),
    *("assemble.contact_sheet=2", "assemble.side_by_side=false"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Families, and three pictures of one size."""
    here = tmp_path_factory.mktemp("files")
    sprite_sparse.write(here / "models")
    for name, colour in (("a", (200, 60, 60)), ("b", (60, 60, 200)), ("c", (60, 200, 60))):
        Image.new("RGB", (64, 64), colour).save(here / f"{name}.png")
    return here


@pytest.fixture
def families(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(files / "models"))
    monkeypatch.chdir(files)


def planned(tmp_path: Path, *overrides: str) -> TimeframePlan:
    cfg = settings(Root("timeframe", Timeframe), [*SMALL, *overrides, f"paths.store={tmp_path / 'store'}"]).config
    found = plan(cfg, Store(tmp_path / "store"))
    assert isinstance(found, TimeframePlan)
    return found


def test_every_range_is_held_by_what_it_says(tmp_path):
    todo = planned(
        tmp_path,
        "track=0-2: x --pic a.png; 2-6: y --pic b.png --by sparsectrl --strength 0.5; 6-8: z --pic a.png",
        "sparsectrl.every=2",
    )
    denoise = todo.stylize.denoise
    assert list(denoise.controls) == ["tile_a"]
    assert denoise.controls["tile_a"].weight_schedule == [1, 1, 0, 0, 0, 0, 1, 1]
    assert todo.tile.ordered["tile_a"].which == [0] * 8
    held = denoise.sparse["pictures"]
    assert (held.at, held.strength) == ([2, 4], [0, 0, 0.5, 0.5, 0.5, 0.5, 0, 0])
    assert (todo.sparse.which, todo.sparse.latents, todo.begins) == ([1, 1], True, [0, 1, 0])
    assert [text for text, _ in todo.stylize.embed.texts] == ["x", "y", "z"]
    assert denoise.prompts.a == [0, 0, 1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("track", "said"),
    [
        ("0s-0.5s: x --pic a.png; 0.25s-1s: y --pic b.png", "the ranges 0-4 and 2-8 overlap"),
        ("0%-75%: x --pic a.png; 50%-100%: y --pic b.png", "the ranges 0-6 and 4-8 overlap"),
        ("0s-0.5s: x --pic a.png; 0.5s-2s: y --pic b.png", "the range 4-16 lies past the end: the clip has 8 frames"),
        ("0: x --pic a.png; 20: y --pic b.png", "the range that begins at frame 20 lies past the end"),
    ],
)
def test_places_in_seconds_and_shares_are_held_against_the_clip_too(tmp_path, track: str, said: str):
    with pytest.raises(UserError, match=said):
        planned(tmp_path, f"track={track}", "frames=8", "fps=8")


def test_a_transition_shows_two_pictures_at_a_time(tmp_path):
    todo = planned(tmp_path, "track=then: blend(2); 0-4: --pic a.png; 4-8: --pic b.png", "tile.weight=0.6")
    controls = todo.stylize.denoise.controls
    assert list(controls) == ["tile_a", "tile_b"]
    assert {one.weight for one in controls.values()} == {0.6}
    shares = np.array([one.weight_schedule for one in controls.values()])
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    both = np.flatnonzero((shares > 0).all(axis=0))
    assert both.size
    assert set(both) < {2, 3, 4}


def test_the_example_of_six_ranges_is_drawn_from_one_noise(tmp_path):
    todo = planned(tmp_path, "experiment=timeframe/wink")
    assert todo.size.frames == 46
    assert [key.at for key in todo.shown.keys] == [0, 6, 12, 22, 32, 40]
    assert len(todo.pictures) == 6
    assert len({one.draw.seed for one in todo.pictures}) == 1
    head = "a girl with short brown hair, white background"  # a portrait is no word of the embedded family
    assert [one.draw.prompt for one in todo.pictures][:2] == [f"{head}, eyes closed", f"{head}, eyes open"]


def test_the_same_track_is_handed_to_an_animator(tmp_path):
    overrides = ["track=0-6: x --pic a.png; 6-16: y --pic b.png --strength 0.8", "renderer=animate", "prompt=a girl"]
    cfg = settings(Root("timeframe", Timeframe), [*SMALL, *overrides]).config
    own = handed_over.settings(cfg, on_frames(cfg, read(cfg.track, what="track")))
    assert (own.model.name, own.track, own.frames, own.snap) == ("sprite_ltx", cfg.track, 16, "nearest")
    assert (own.width, own.height, own.prompt, own.seed) == (64, 64, "a girl", 0)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., RenderRecord]:
    def run(*overrides: str) -> RenderRecord:
        where = [f"paths.store={tmp_path / 'store'}", f"paths.output={tmp_path / 'out'}"]
        assert cli.main(["timeframe", *SMALL, *overrides, *where]) == 0
        return list_records(Store(tmp_path / "store"))[0][-1]

    return run


@pytest.mark.usefixtures("prefect_server")
def test_a_track_becomes_a_clip_and_only_what_changed_is_computed_again(run, tmp_path):
    track = "track=0-2: red top --pic a.png; 2-4: blue top --pic b.png --by sparsectrl"
    first = run(track)
    assert computed(first) == [
        *("extract", "extract", "stylize.blank", "stylize.embed", "keyframe.sheet", "preprocess.tile"),
        *("stylize.ordered", "keyframe.sheet", "stylize.encode", "stylize.denoise", "stylize.decode"),
        *("animate.shown", "assemble", "measure.first_frame", "measure.key_pictures"),
    ]
    store = Store(tmp_path / "store")
    shown = Clip.open(store, first.pictures["map_pictures"])
    assert [int(shown.frame(number)[0, 0, 0]) for number in range(4)] == [200, 200, 60, 60]
    assert len(Clip.open(store, first.pictures["frames"])) == 4
    assert cli.main(["verify", first.run, f"--store={store.root}"]) == 0, "made again to the last bit"
    weaker = run(f"{track} --strength 0.5")
    assert computed(weaker)[:2] == ["stylize.denoise", "stylize.decode"]
