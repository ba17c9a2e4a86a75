"""animate as a whole: the real program with LTX's own classes at toy size; and what it refuses before it computes."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.runs import ROOT
from flows import cli
from flows import flow as flows
from flows.animate.plan import plan
from flows.animate.settings import Animate
from flows.commands.resolve import resolved
from flows.config.compose import plain_settings
from flows.config.root import Root
from reel.clip import Clip
from reel.config import parse
from reel.errors import UserError
from reel.history.record import RenderRecord, list_records
from reel.history.why import explain
from reel.models.animator import Animator
from reel.store import Store
from tests.flows.rendering import computed
from tests.tasks import animate_models as tiny
from tests.tasks.animate_models import one_thread  # noqa: F401

pytestmark = [pytest.mark.usefixtures("prefect_server", "families"), pytest.mark.filterwarnings("ignore")]
BASE = "{kind: embedded, id: tiny_ltx, files: [transformer/*, vae/*, text_encoder/*, tokenizer/*, scheduler/*]}"
SMALL = [
    *("model=ltx_2b", f"model.base={BASE}", "width=64", "height=64", "frames=9", "animate.num_inference_steps=2"),
    *("compute.dtype=float32", "tracking=none", "prompt=the figure waves slowly", "assemble.contact_sheet=2"),
]
Render = Callable[..., RenderRecord]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of all kinds, a family, a track."""
    here = tmp_path_factory.mktemp("files")
    tiny.write_ltx(here / "models" / "tiny_ltx")
    for number, name in enumerate(("key", "end")):
        tiny.picture(number, 96, 96).save(here / f"{name}.png")
    tiny.picture(5, 300, 60).save(here / "wide.png")
    tiny.picture(6, 20, 20).save(here / "small.png")
    Image.new("RGBA", (96, 96), (255, 0, 0, 90)).save(here / "clear.png")
    Image.new("RGB", (96, 96)).save(here / "moving.gif", save_all=True, append_images=[tiny.picture(1, 96, 96)])
    (here / "empty.png").write_bytes(b"")
    (here / "text.png").write_text("a picture of nothing")
    cut = (here / "key.png").read_bytes()
    (here / "cut.png").write_bytes(cut[: len(cut) // 2])
    (here / "blink.yaml").write_text(
        f"kind: track\nkeys:\n  0-4: {{picture: {here}/key.png}}\n  8: {{picture: {here}/end.png}}\n"
    )
    return here


@pytest.fixture
def families(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(files / "models"))


@pytest.fixture(scope="module")
def warm(files: Path, tmp_path_factory: pytest.TempPathFactory, prefect_server: Path) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTOSCOPE_MODELS", str(files / "models"))
        yield rendered(tmp_path_factory.mktemp("warm"), files)


@pytest.mark.usefixtures("prefect_server")
def test_the_embedded_family_brings_a_drawn_figure_to_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its weights in git, by the command of the manual in fewer frames and steps."""
    monkeypatch.delenv("ROTOSCOPE_MODELS")
    store, where = Store(tmp_path / "store"), [f"paths.store={tmp_path}/store", f"paths.output={tmp_path}/out"]
    few = ["frames=9", "animate.num_inference_steps=2", "compute.dtype=float32", "tracking=none"]
    picture = f"picture={ROOT}/data/source/figure.png"
    assert cli.main(["animate", picture, "prompt=she stands still, wide shot of a pier", *few, *where]) == 0
    record = list_records(store)[0][-1]
    assert record.metrics["first_frame.psnr"] > 20
    clip = Clip.open(store, record.pictures["frames"])
    assert (clip.count, clip.width, clip.height) == (9, 128, 128)
    again = ["prompt=she stands still", *few, *where]  # what is not read is in no key
    assert cli.main(["animate", picture, *again]) == 0
    assert "animate.denoise" not in computed(list_records(store)[0][-1])


def rendered(folder: Path, files: Path, *more: str) -> Store:
    store = Store(folder / "store")
    where = [f"picture={files}/key.png", f"paths.store={store.root}", f"paths.output={folder / 'out'}"]
    assert cli.main(["animate", *SMALL, *where, *more]) == 0
    return store


@pytest.fixture
def render(warm: Store, files: Path, tmp_path: Path) -> Render:
    shutil.copytree(warm.root, tmp_path / "store")
    return lambda *more: list_records(rendered(tmp_path, files, *more))[0][-1]


def test_a_film_its_files_and_its_figures(warm: Store):
    record = list_records(warm)[0][-1]
    assert [stage.op for stage in record.stages] == [
        *(
            "animate.embed",
            "extract",
            "animate.encode",
            "animate.denoise",
            "animate.decode",
            "animate.shown",
            "assemble",
        ),
        *("measure.end_flash", "measure.first_frame", "measure.flicker", "measure.movement"),
    ]
    assert {"movie.mp4", "side_by_side.mp4", "contact_sheet.png"} <= {output.name for output in record.outputs}
    film = Clip.open(warm, record.pictures["frames"])
    assert (film.count, film.width, film.height, film.fps) == (9, 64, 64, 24)
    shown = Clip.open(warm, record.pictures["map_pictures"])
    assert (shown.count, shown.meta["keys"]) == (9, [0])
    assert {"first_frame.psnr", "movement.amount", "flicker.mean", "end_flash.brightness"} <= record.metrics.keys()
    denoise = next(stage for stage in record.stages if stage.op == "animate.denoise")
    assert denoise.facts["steps"] == 2


TAIL = ["animate.denoise", "animate.decode", "assemble"]
CHANGES = [
    ("seed=3", TAIL, "config.seed: 0 -> 3"),
    ("animate.guidance_scale=2", TAIL, "config.guidance_scale: 3.0 -> 2.0"),
    ("strength=0.5", ["animate.denoise", "animate.decode", "animate.shown", "assemble"], "config.keys[0]: "),
    ("prompt=the figure stands still", ["animate.embed", *TAIL], "-> the figure stands still"),
    ("animate.decode_timestep=0.1", TAIL[1:], "config.decode_timestep: 0.05 -> 0.1"),
    ("animate.decode_tiling=true", TAIL[1:2], "config.tiling: false -> true"),
    ("frames=17", ["animate.denoise", "animate.decode", "animate.shown", "assemble"], "config.frames: 17 -> 25"),
    ("assemble.crf=20", TAIL[2:], "config.crf: null -> 20"),
]


@pytest.mark.parametrize(("override", "stages", "why"), CHANGES, ids=[change[0] for change in CHANGES])
def test_what_changes_runs_again_and_nothing_else(
    override: str, stages: list[str], why: str, render: Render, tmp_path: Path
):
    record = render("measure=none", override)
    assert computed(record) == stages
    first = next(stage for stage in record.stages if not stage.reused)
    differences = explain(Store(tmp_path / "store"), first.key).differences
    assert any(why in difference for difference in differences), differences


def test_unchanged_is_reused_whole(render: Render):
    assert render().reused


def test_a_film_is_made_again_to_the_last_bit(warm: Store, capsys: Any):
    assert cli.main(["verify", "last", f"--store={warm.root}"]) == 0
    assert "frames   the same, to the last bit" in capsys.readouterr().out


def test_what_was_decoded_anew_is_the_same_where_nothing_changed(render: Render, warm: Store):
    """More frames than asked for are made and cut off, so that the cut changes nothing before it."""
    first = list_records(warm)[0][-1].pictures["frames"]
    again = render("measure=none", "frames=17", "animate.extra_frames=0")
    film = Clip.open(warm, first)
    assert again.pictures["frames"] != first
    assert film.count == 9


def planned(data: dict[str, Any], store: Store) -> Any:
    return plan(parse(Animate, data), store)


@pytest.fixture(scope="module")
def composed(files: Path) -> dict[str, Any]:
    return plain_settings(Root("animate", Animate), [*SMALL, f"picture={files}/key.png"])


@pytest.fixture
def settings(composed: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(composed)


def changed(data: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for step in path:
        data = data[step]
    data[last] = value


def filled(value: Any, files: Path) -> Any:
    """A value with the files' folder in the place of $, and the sample clip in that of $sample."""
    if isinstance(value, str):
        return value.replace("$sample", str(ROOT / "data/source/sample.mp4")).replace("$", str(files))
    if isinstance(value, dict):
        return {name: filled(item, files) for name, item in value.items()}
    return [filled(item, files) for item in value] if isinstance(value, list) else value


HOSTILE: list[tuple[dict[str, Any], str]] = [
    ({"picture": "$/absent.png"}, "picture: there is no file"),
    ({"picture": "$"}, "picture: .* is a folder"),
    ({"picture": ""}, "picture: is empty"),
    ({"picture": "$/empty.png"}, r"picture: .* is empty \(0 bytes\)"),
    ({"picture": "$/text.png"}, "picture: .*text.png"),
    ({"picture": "$/moving.gif"}, "picture: moving.gif is not a still picture"),
    ({"picture": "$/cut.png"}, "picture: .*cut.png"),
    ({"picture": "$/small.png"}, "32 px a side are the least"),
    ({"picture": "$/clear.png"}, "transparent pixels"),
    ({"picture": "$/wide.png"}, "cropping would cut 80% of it away"),
    ({"picture": "$/wide.png", "fit": "pad"}, "borders would fill 80% of the frame"),
    ({"picture": "$/wide.png", "fit": "stretch"}, "stretched to 5.0 times its shape"),
    ({"picture": "https://example.org/a.png"}, "picture: .* only local files are read"),
    ({"picture": None}, "picture: there is none"),
    ({"loop": True, "last": "$/end.png"}, "loop ends with the first picture"),
    ({"loop": True, "picture": None, "last": "$/end.png"}, "loop ends with|leave one of them out"),
    ({"extend": "$/moving.gif"}, "picture and extend both say"),
    ({"extend": "$/moving.gif", "picture": None}, "extend: moving.gif "),
    ({"extend": "$/absent.mp4", "picture": None}, "extend: there is no file"),
    ({"extend": "$sample", "picture": None, "extend_frames": 8, "frames": 17}, r"takes 8k\+1 frames of a clip, got 8"),
    ({"extend": "$sample", "picture": None, "extend_frames": 9}, "leave nothing to be made"),
    ({"frames": 10}, r"makes 8k\+1, 9 to 257 frames, got 10"),
    ({"frames": 0}, "frames: must be greater than or equal to 1"),
    ({"frames": 257}, "more than the 257"),
    ({"frames": 100_001}, "frames: model ltx_2b makes"),
    ({"fps": 0}, "fps: must be greater than 0"),
    ({"fps": 500}, "makes 1 to 60 frames a second"),
    ({"fps": float("nan")}, "fps: must be a finite number"),
    ({"width": 70}, "width: sides must be multiples of 32"),
    ({"height": 32}, "height: sides must be multiples of 32 px and 64 at least"),
    ({"width": 8192, "height": 8192}, "more pixels than model ltx_2b makes"),
    ({"pictures": [{"picture": "$/end.png", "at": 9}]}, "frame 9 is past the end"),
    ({"pictures": [{"picture": "$/end.png", "at": -1}]}, "pictures.0.at"),
    ({"pictures": [{"picture": "$/end.png", "at": 0}]}, "frame 0 has a picture already"),
    ({"pictures": [{"picture": "$/end.png", "at": 4, "strength": 1.5}]}, "pictures.0.strength"),
    ({"pictures": [{"picture": "$/end.png"}]}, "pictures.0.at: a value is needed"),
    ({"pictures": [{"picture": "$/absent.png", "at": 4}]}, "pictures.0: there is no file"),
    ({"strength": 0}, "strength: must be greater than 0"),
    ({"prompt": ""}, "prompt: model ltx_2b needs one"),
    ({"seed": -1}, "seed"),
    ({"track": "0-4: --pic absent.png", "picture": None}, "absent.png"),
    ({"track": "0: red; 4: blue"}, "track"),
    ({"animate.two_pass": True}, "names no latent upsampler"),
    ({"animate.extra_frames": 3}, "makes multiples of 8 more"),
    ({"animate.timesteps": [1, 500]}, "must descend"),
    ({"animate.num_inference_steps": 0}, "num_inference_steps"),
    (
        {"animate.loras": [{"source": {"kind": "file", "id": "$/absent.safetensors"}}]},
        "absent.safetensors does not exist",
    ),
    ({"animate.loras": [{"source": {"kind": "file", "id": "$/key.png"}}]}, "only .safetensors files are loaded"),
    ({"model.base.id": "nowhere"}, "nowhere"),
    ({"model.architecture": "ltx3"}, "of architecture 'ltx3'"),
    ({"model.call": {"stg_scale": 1.0}}, r"model.call: stg_scale is not set there"),
    ({"background": "red"}, "background"),
    ({"compute.max_memory": "64KiB"}, "compute.max_memory: 0.00 GiB are too little: "),
    ({"compute.dtype": "float16", "compute.device": "cpu"}, "float16 does not work on a CPU"),
]


@pytest.mark.parametrize(("given", "said"), HOSTILE, ids=[str(case[0])[:60] for case in HOSTILE])
def test_bad_input_is_refused_before_anything_is_computed(
    given: dict[str, Any], said: str, settings: dict[str, Any], files: Path, store: Store
):
    for key, value in given.items():
        changed(settings, key, filled(value, files))
    with pytest.raises(UserError, match=said):
        planned(settings, store)


def test_pictures_at_frames_first_and_last_and_from_a_track(settings: dict[str, Any], files: Path, store: Store):
    def places(**given: Any) -> list[tuple[int, float]]:
        todo = planned({**settings, **given}, store)
        return [(one.key.at, one.key.strength) for one in todo.held]

    end = str(files / "end.png")
    assert places(last=end, last_strength=0.8) == [(0, 1.0), (8, 0.8)]
    assert places(loop=True) == [(0, 1.0), (8, 1.0)]
    assert places(pictures=[{"picture": end, "at": 4, "strength": 0.5}, {"picture": end, "at": "last"}]) == [
        *((0, 1.0), (4, 0.5), (8, 1.0))
    ]
    assert places(picture=None, frames=17, track=f"@{files}/blink.yaml") == [(0, 1.0), (8, 1.0)]


def test_a_clip_is_gone_on_from_by_its_last_frames(settings: dict[str, Any], store: Store):
    sample = str(ROOT / "data/source/sample.mp4")
    todo = planned({**settings, "picture": None, "extend": sample, "frames": 25}, store)
    assert todo.held[0].pick is not None
    assert len(todo.held[0].pick.frames) == 9
    assert todo.held[0].extract.fps == "24"
    within = {"pictures": [{"picture": f"{settings['picture']}", "at": 4}]}
    with pytest.raises(UserError, match=r"pictures\.0: frame 4 is the clip's, which the film shows on frames 0 to 8"):
        planned({**settings, "picture": None, "extend": sample, "frames": 25, **within}, store)


def test_sections_of_a_long_film_have_the_prompts_of_the_schedule(files: Path, store: Store):
    long = [*SMALL, f"picture={files}/key.png", "model=ltx_long", f"model.base={BASE}", "frames=97"]
    data = plain_settings(Root("animate", Animate), [text for text in long if text != "model=ltx_2b"])
    data["prompt_schedule"] = "0: she waves; 50: she turns; 90: she jumps"
    todo = planned(data, store)
    assert [positive for positive, _ in todo.passes.embed.texts] == ["she waves", "she turns"]
    with pytest.raises(UserError, match="prompt_schedule: model ltx_2b reads one prompt for the whole film"):
        short = plain_settings(Root("animate", Animate), [*SMALL, f"picture={files}/key.png"])
        planned({**short, "prompt_schedule": "0: she waves; 8: she turns"}, store)


def test_the_size_follows_the_picture(settings: dict[str, Any], files: Path, store: Store):
    tiny.picture(3, 90, 160).save(files / "tall.png")
    common = {**settings, "picture": str(files / "tall.png")}
    chosen = planned({**common, "width": None, "height": None}, store).passes.denoise
    assert (chosen.width, chosen.height) == (480, 832)
    asked = planned({**common, "width": 64, "height": None}, store).passes.denoise
    assert (asked.width, asked.height) == (64, 96)
    moved = planned({**common, "width": 70, "height": 120, "snap": "nearest", "frames": 12}, store).passes
    assert (moved.denoise.width, moved.denoise.height, moved.decode.keep) == (64, 128, 9)


def test_a_render_is_resolved_for_dvc_and_takes_dropped_pictures(files: Path, monkeypatch: pytest.MonkeyPatch):
    found = resolved("animate", [*SMALL, f"picture={files}/key.png", "compute.memory_format=contiguous"])
    assert {"animate.embed", "animate.encode", "animate.denoise", "animate.decode"} <= found["stages"].keys()
    assert (drop := flows.get("animate").drop)
    assert drop.key == "picture"


def test_a_sweep_is_planned(warm: Store, files: Path, tmp_path: Path, capsys: Any):
    shutil.copytree(warm.root, tmp_path / "store")
    where = [f"picture={files}/key.png", f"paths.store={tmp_path}/store", "measure=none"]
    assert cli.main(["animate", "-m", *SMALL, *where, "seed=0,1", "animate.guidance_scale=1,3", "sweep.plan=true"]) == 0
    assert "4 points over seed (2), animate.guidance_scale (2)" in capsys.readouterr().out


def test_without_a_model_the_embedded_one_animates():
    """Nobody's gigabytes are fetched for a model that was not asked for."""
    for flow in ("animate", "storyboard"):
        chosen = plain_settings(Root(flow, flows.get(flow).settings), [])["model"]
        model = Animator.model_validate(chosen)
        assert {source.kind for source in model.sources().values()} == {"embedded"}


def test_a_family_of_another_flow_is_refused(capsys: Any):
    assert cli.main(["animate", "model=sd15", "picture=key.png", "prompt=she waves"]) == 2
    assert "model: the chosen one has no advice.frames, which frames starts from" in capsys.readouterr().err
    assert cli.main(["animate", "--help"]) == 0
    told = capsys.readouterr().out
    assert "animate.guidance_scale" in told
    assert "wan22_5b" in told
    assert "dreamshaper8" not in told, "a family of another flow"


def test_frames_are_pixels(warm: Store):
    record = list_records(warm)[0][-1]
    assert np.ptp(Clip.open(warm, record.pictures["frames"]).array()) > 0


def test_a_family_without_words_embeds_nothing(files: Path, tmp_path: Path):
    """Stable Video Diffusion's classes at toy size: a picture, and no text encoder."""
    from tests.tasks import video_models

    video_models.write(files / "models" / "tiny_svd", video_models.svd())
    given = [
        *("model=svd", "model.base={kind: embedded, id: tiny_svd, files: null}", f"picture={files}/key.png"),
        *("width=256", "height=256", "frames=8", "animate.num_inference_steps=1", "compute.dtype=float32"),
        *("tracking=none", "measure=none", f"paths.store={tmp_path}/store", f"paths.output={tmp_path}/out"),
    ]
    assert cli.main(["animate", *given]) == 0
    record = list_records(Store(tmp_path / "store"))[0][-1]
    assert [stage.op for stage in record.stages] == [
        *("extract", "animate.encode", "animate.denoise", "animate.decode", "animate.shown", "assemble"),
    ]
    film = Clip.open(Store(tmp_path / "store"), record.pictures["frames"])
    assert (film.count, film.width, film.fps) == (8, 256, 7)
