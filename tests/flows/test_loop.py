"""loop as a whole: the real program with the embedded family and a random SparseCtrl; what is computed again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from flows import cli
from flows.config.compose import settings
from flows.config.root import Root
from flows.loop.flow import FLOW
from flows.loop.settings import Loop
from reel.history.record import RenderRecord, list_records
from reel.store import Store
from tests.flows.rendering import computed
from tests.tasks import sprite_sparse

pytestmark = [pytest.mark.usefixtures("families"), pytest.mark.filterwarnings("ignore")]
SMALL = [
    *("frames=4", "width=64", "height=64", "stylize.num_inference_steps=1", "tracking=none", "compute.dtype=float32"),
    *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1", "assemble.contact_sheet=2"),
    *("measure=[first_frame,flash,key_pictures]", sprite_sparse.SETTING, "prompt=a girl with pink hair"),
    *("draw.num_inference_steps=1", "assemble.side_by_side=false"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Families, and two pictures of one size."""
    here = tmp_path_factory.mktemp("files")
    sprite_sparse.write(here / "models")
    for name, colour in (("a", (200, 60, 60)), ("b", (60, 60, 200))):
        Image.new("RGB", (64, 64), colour).save(here / f"{name}.png")
    return here


@pytest.fixture
def families(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(files / "models"))


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., int]:
    def run(*overrides: str) -> int:
        where = [f"paths.store={tmp_path / 'store'}", f"paths.output={tmp_path / 'out'}"]
        return cli.main(["loop", *SMALL, *overrides, *where])

    return run


def last(tmp_path: Path) -> RenderRecord:
    return list_records(Store(tmp_path / "store"))[0][-1]


@pytest.mark.usefixtures("prefect_server")
def test_two_pictures_become_a_loop_and_only_what_changed_is_computed_again(run, files, tmp_path):
    pictures = f"pictures=[{files}/a.png,{files}/b.png]"
    assert run(pictures) == 0
    first = last(tmp_path)
    assert computed(first) == [
        *("extract", "extract", "keyframe.sheet", "stylize.encode", "stylize.blank", "stylize.embed"),
        *("stylize.denoise", "stylize.decode", "animate.shown", "assemble"),
        *("measure.first_frame", "measure.flash", "measure.key_pictures"),
    ]
    assert first.metrics["key_pictures.changed"] == 1
    assert first.metrics["flash.luminance"] == first.metrics["flash.luminance_before"] > 2
    assert cli.main(["verify", first.run, f"--store={tmp_path / 'store'}"]) == 0, "made again to the last bit"

    assert run(pictures, "match_colour=1") == 0
    matched = last(tmp_path)
    assert computed(matched)[:2] == ["stylize.match_colour", "assemble"]
    assert matched.metrics["flash.luminance_before"] == first.metrics["flash.luminance"]
    assert matched.metrics["flash.luminance"] <= 2
    assert matched.metrics["flash.colour"] <= 2
    assert matched.pictures["map_unmatched"] == first.pictures["frames"] != matched.pictures["frames"]

    assert run(f"pictures=[{{picture: {files}/a.png, strength: 0.5}},{files}/b.png]") == 0
    assert computed(last(tmp_path))[:2] == ["stylize.denoise", "stylize.decode"]


@pytest.mark.usefixtures("prefect_server")
def test_drawn_pictures_are_shown_first_and_how_much_changed_is_measured(run, tmp_path, capsys):
    stills = "stills=[red top,blue top]"
    assert run(stills) == 2
    told = capsys.readouterr().err
    assert "approve: nobody is at the terminal to say whether the key pictures will do" in told
    shown = last(tmp_path)
    assert computed(shown) == ["keyframe.draw", "keyframe.draw", "keyframe.sheet", "measure.key_pictures"]
    assert 0 < shown.metrics["key_pictures.changed"] < 1
    assert (tmp_path / "out" / "key_pictures.png").is_file()
    assert run(stills, "approve=yes") == 0
    made = last(tmp_path)
    assert "keyframe.draw" not in computed(made)
    assert made.metrics["key_pictures.changed"] == shown.metrics["key_pictures.changed"]


def planned(tmp_path: Path, *overrides: str) -> Loop:
    return settings(Root("loop", Loop), [*SMALL, *overrides, f"paths.store={tmp_path / 'store'}"]).config


def test_words_follow_drawn_pictures_and_strength_runs_over_the_joint(tmp_path, files):
    store = Store(tmp_path / "store")
    todo = FLOW.plan(planned(tmp_path, "stills=[red top,blue top]"), store)
    denoise = todo.stylize.denoise
    assert todo.stylize.embed.texts[0][0] == "a girl with pink hair, red top"
    assert denoise.prompts.a[0] == 0
    assert denoise.prompts.blend[1] == denoise.prompts.blend[3] == 0.5, "half way to the other picture, and back"
    assert (denoise.sparse["pictures"].at, todo.latents) == ([0, 2], True)
    two = f"pictures=[{{picture: {files}/a.png, at: 1, strength: 1}},{{picture: {files}/b.png, at: 3, strength: 0.5}}]"
    held = FLOW.plan(planned(tmp_path, two), store).stylize.denoise.sparse["pictures"]
    assert (held.at, held.strength) == ([1, 3], [0.75, 1, 0.75, 0.5])


def test_the_preset_for_screensavers(files):
    cfg = settings(Root("loop", Loop), ["experiment=loop/breathing", f"pictures=[{files}/a.png]", "model=sd15"]).config
    assert (cfg.frames, cfg.match_colour, cfg.assemble.format, cfg.at) == (32, 1, "webp", [0])
    assert cfg.stylize.windows.context_length == cfg.frames  # one picture holds all that a window sees
    assert sorted(cfg.model.sparsectrls) == ["rgb", "scribble"]


def test_without_a_sparsectrl_of_that_kind_it_says_which_there_are(tmp_path, files, capsys):
    argv = ["loop", f"pictures=[{files}/a.png]", f"paths.store={tmp_path}", "tracking=none", "kind=scribble"]
    assert cli.main(argv) == 2
    told = capsys.readouterr().err
    assert "kind: model sprite has no SparseCtrl 'scribble'; it has: rgb" in told
    assert "fix: kind=rgb, or model=sd15" in told
