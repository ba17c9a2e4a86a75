"""dance as a whole: the real program on the sample clip with the embedded family, at a small size."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.runs import ROOT
from flows.prefect_server import run as flowrun
from flows.render.render import counted, profile
from reel.clip import Clip
from reel.history.record import StageRecord, list_records
from reel.history.why import explain
from reel.store import Store
from tests.flows import rendering
from tests.flows.rendering import Render, computed

pytestmark = pytest.mark.usefixtures("prefect_server")
SAMPLE = ROOT / "data" / "source" / "sample.mp4"
SMALL = [*rendering.SMALL, "assemble.contact_sheet=2", "measure=none"]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, prefect_server: Path) -> Store:
    """A store in which the small render stands already; copied by the tests that use it."""
    return rendering.rendered(tmp_path_factory.mktemp("warm"), SMALL)


@pytest.fixture
def render(warm: Store, tmp_path: Path) -> Render:
    return rendering.on_a_copy(warm, tmp_path, SMALL)


def test_files_and_record(warm: Store):
    record = list_records(warm)[0][-1]
    assert record.status == "done"
    assert [stage.op for stage in record.stages] == [
        *("extract", "preprocess.blazepose", "preprocess.pose_map"),
        *("stylize.encode", "stylize.embed", "stylize.denoise", "stylize.decode", "assemble"),
    ]
    names = {output.name for output in record.outputs}
    assert {"movie.mp4", "contact_sheet.png", "map_preview.png"} <= names
    for output in record.outputs:
        assert (Path(record.output or "") / output.name).stat().st_size == output.size


def test_a_render_says_what_it_sees_and_how_far_it_is(render: Render, capsys: pytest.CaptureFixture[str]):
    render("assemble.crf=20")
    said = capsys.readouterr()
    lines = [" ".join(line.split()) for line in said.err.splitlines()]
    assert lines[0] == "dance"
    assert lines[1].startswith("clip sample.mp4: 480x480, 24 fps"), "first of all"
    assert "to do assemble" in lines
    assert lines.index("reused extract") < next(i for i, line in enumerate(lines) if line.startswith("people "))
    assert next(line for line in lines if line.startswith("1 of 1")).startswith("1 of 1 assemble")
    assert re.match(r"  movie +\S+/movie\.mp4$", said.out.splitlines()[-1]), "the film is the last that is told"


def test_unchanged_is_reused_whole(render: Render):
    record = render()
    assert record.reused
    assert computed(record) == []


# One field changed: the stages that run again, and what `why` says of the first of them.
POSE = ["preprocess.blazepose", "preprocess.pose_map"]
EMBED, TAIL = "stylize.embed", ["stylize.denoise", "stylize.decode", "assemble"]
CHANGES = [
    ("controls.pose.weight=0.7", TAIL, "config.controls.pose.weight: 1.0 -> 0.7"),
    ("controls.pose.control_guidance_end=0.8", TAIL, "config.controls.pose.control_guidance_end: 1.0 -> 0.8"),
    ("seed=3", TAIL, "config.seed: 0 -> 3"),
    ("stylize.num_inference_steps=3", TAIL, "config.num_inference_steps: 2 -> 3"),
    ("stylize.scheduler=euler", TAIL, "config.scheduler: ddim -> euler"),
    ("stylize.guidance_scale=4", TAIL, "config.guidance_scale: 1.0 -> 4.0"),
    ("stylize.strength=0.6", TAIL, "config.strength: 1.0 -> 0.6"),
    ("prompt=a girl with short black hair", [EMBED, *TAIL], "-> a girl with short black hair"),
    ("compute.dtype=bfloat16", ["stylize.encode", EMBED, *TAIL], "config.dtype: float32 -> bfloat16"),
    ("assemble.crf=20", TAIL[2:], "config.crf: null -> 20"),
    ("extract.fps=6", ["extract", *POSE, "stylize.encode", *TAIL], "config.fps: 8 -> 6"),
    ("extract.max_frames=2", ["extract", *POSE, "stylize.encode", *TAIL], "config.max_frames: 3 -> 2"),
    ("preprocess.blazepose.max_people=5", POSE[:1], "config.max_people: 6 -> 5"),  # the same points: nothing follows
]


@pytest.mark.slow
@pytest.mark.parametrize(("override", "stages", "reason"), CHANGES, ids=[change[0] for change in CHANGES])
def test_one_change_runs_exactly_what_follows_from_it(render: Render, override: str, stages: list[str], reason: str):
    record = render(override)
    assert computed(record) == stages
    store = Store(Path(record.config["paths"]["store"]))
    first = next(stage for stage in record.stages if not stage.reused)
    (difference,) = [d for d in explain(store, first.key).differences if d.startswith(reason) or d.endswith(reason)]
    assert difference
    assert len(explain(store, first.key).differences) == 1


def test_one_byte_more_in_the_clip_is_another_source(render: Render, tmp_path: Path):
    other = tmp_path / "other.mp4"
    other.write_bytes(SAMPLE.read_bytes() + b"\0\0\0\x08free")
    record = render(f"clip={other}")
    store = Store(Path(record.config["paths"]["store"]))
    assert computed(record)[0] == "extract"
    (difference,) = explain(store, record.stages[0].key).differences
    assert difference.startswith("inputs.source: ")


def test_another_name_for_the_same_bytes_is_the_same_source(render: Render, tmp_path: Path):
    other = tmp_path / "my clip (1), it's = 100% $HOME [x].mp4"
    shutil.copy(SAMPLE, other)
    assert render(f"clip={other}").reused


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ("reel.keys.library_version", "libraries.diffusers: "),
        ("op version", "version: "),
        ("model file", "models."),
    ],
)
def test_libraries_ops_and_model_files_count(render: Render, monkeypatch: pytest.MonkeyPatch, patch: str, reason: str):
    import dataclasses

    from reel import keys, op
    from tasks import cached

    if patch == "op version":
        known = op.get("stylize", "denoise")
        monkeypatch.setitem(op._REGISTRY, ("stylize", "denoise"), dataclasses.replace(known, version=99))
    elif patch == "model file":
        real = cached.content_id
        monkeypatch.setattr(cached, "content_id", lambda s: "sha256:0" if s.subfolder == "motion_adapter" else real(s))
    else:
        real_version = keys.library_version
        monkeypatch.setattr(keys, "library_version", lambda n: "9.9" if n == "diffusers" else real_version(n))
    record = render()
    assert "stylize.denoise" in computed(record)
    stage = next(stage for stage in record.stages if stage.op == "stylize.denoise")
    differences = explain(Store(Path(record.config["paths"]["store"])), stage.key).differences
    assert [d for d in differences if d.startswith(reason)]


def test_weight_zero_is_no_control_at_all(render: Render):
    record = render("control=[pose,lineart]", "controls.lineart.weight=0")
    assert record.reused


def test_a_masked_control_that_its_schedule_leaves_at_0_is_none_and_needs_no_poses(render: Render):
    without = render("control=[]")
    dead = render("control=[lineart]", "controls.lineart.mask.region=hair", "controls.lineart.weight_schedule=0: 0")
    assert dead.reused
    assert [(stage.op, stage.key) for stage in dead.stages] == [(stage.op, stage.key) for stage in without.stages]
    assert "preprocess.blazepose" not in [stage.op for stage in dead.stages]


def test_masks_bring_in_the_poses_and_files_the_frames(render: Render, tmp_path: Path):
    from PIL import Image

    pose = ["preprocess.blazepose", "preprocess.pose_map"]
    hair = render("control=[lineart]", "controls.lineart.mask.region=hair")
    assert [s.op for s in hair.stages][1:3] == ["preprocess.lineart_standard", "preprocess.blazepose"]
    assert computed(hair) == ["preprocess.lineart_standard", *TAIL]
    picture = tmp_path / "mask.png"
    Image.new("RGB", (64, 64)).save(picture)
    nowhere = ["controls.pose.mask.region=file", f"controls.pose.mask_file={picture}"]
    black = render(*nowhere)
    assert computed(black)[:2] == ["extract", "stylize.denoise"], pose
    assert black.stages[-2].digest == render().stages[-2].digest, "a mask of nothing takes nothing out"
    Image.new("RGB", (64, 64), "white").save(picture)
    white, without = render(*nowhere), render("control=[]")
    assert white.stages[-2].digest == without.stages[-2].digest, "a mask of everything takes the control out"


def test_a_mask_picture_goes_with_any_part_of_the_clip(render: Render, tmp_path: Path):
    """The clip's range and rate are not the picture's: another part of the clip takes the same mask."""
    from PIL import Image

    picture = tmp_path / "mask.png"
    Image.new("RGB", (64, 64)).save(picture)
    mask = ["controls.pose.mask.region=file", f"controls.pose.mask_file={picture}"]
    first = render(*mask, "extract.start=0.5", "extract.end=1.5")
    assert computed(first).count("extract") == 2
    later = render(*mask, "extract.start=1", "extract.fps=4")
    assert computed(later).count("extract") == 1


def test_words_for_a_part_of_the_picture(render: Render, tmp_path: Path):
    """A region of the whole picture by a file is as the prompt; one from the outline brings in the poses."""
    from PIL import Image

    picture = tmp_path / "mask.png"
    Image.new("RGB", (64, 64), "white").save(picture)
    words = "a knight on a yellow background"
    file = f"{{prompt: {words}, mask: {{region: file}}, mask_file: {picture}}}"
    everywhere = render("control=[]", f"regions={{all: {file}}}")
    assert computed(everywhere)[:3] == ["extract", "stylize.embed", "stylize.denoise"]
    plain, told = render("control=[]"), render("control=[]", f"prompt={words}")
    store = Store(Path(told.config["paths"]["store"]))
    frames = [Clip.open(store, record.stages[-2].digest).array().astype(int) for record in (everywhere, told, plain)]
    assert np.abs(frames[0] - frames[1]).max() <= 1
    assert np.abs(frames[0] - frames[2]).max() > 10
    wall = render("control=[]", "regions.wall={prompt: a yellow background, mask: {region: background}}")
    assert computed(wall) == ["stylize.embed", *TAIL]
    brought = [{stage.op for stage in record.stages} >= {"preprocess.blazepose"} for record in (plain, wall)]
    assert brought == [False, True]
    assert wall.config["regions"]["wall"]["prompt"] == "a yellow background"


def test_a_cached_rerun_never_loads_torch(warm: Store):
    code = (
        "import json, sys\n"
        "from flows import cli\n"
        "code = cli.main(['dance', *sys.argv[1:]])\n"
        "print(json.dumps([code, [m for m in ('torch', 'diffusers', 'transformers', 'cv2') if m in sys.modules]]))\n"
    )
    arguments = [*SMALL, f"paths.store={warm.root}", f"paths.output={warm.root.parent / 'out'}"]
    out = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert json.loads(out.stdout.splitlines()[-1]) == [0, []], out.stderr[-2000:]
    assert "nothing rendered anew" in out.stdout


def test_what_is_wholly_in_the_store_starts_no_server(render: Render, monkeypatch: pytest.MonkeyPatch):
    """Without a server at hand; damage is noticed all the same, and then a server is needed."""
    store = Store(Path(render().config["paths"]["store"]))
    monkeypatch.delenv("PREFECT_API_URL")
    monkeypatch.setattr(flowrun, "start_temporary", lambda: pytest.fail("a server was started"))
    record = render()
    assert record.reused
    assert len(record.stages) == 8
    assert record.outputs
    (store.folder(record.stages[-1].digest) / "movie.mp4").unlink()
    with pytest.raises(pytest.fail.Exception, match="server was started"):
        render()


def test_a_profile_says_where_the_time_went_the_longest_first():
    def stage(reused: bool, **facts: object) -> StageRecord:
        return StageRecord(op="stylize.denoise", key="0" * 64, digest="1" * 64, reused=reused, seconds=4.0, facts=facts)

    measured = {"profile_seconds": {"controlnet:pose": 1.0, "motion": 3.0, "scheduler": 0.0}}
    said = profile([stage(False), stage(False, **measured)])
    assert said == "motion 3.0 s (75%), controlnet:pose 1.0 s (25%), scheduler 0.0 s (0%)"
    assert profile([stage(True, **measured)]) == f"{said} when it was computed"
    assert profile([stage(True)]).startswith("nothing measured")


def test_stages_that_repeat_are_counted_in_the_order_in_which_they_come():
    assert counted(["keyframe.draw", "animate.embed", "keyframe.draw", "film.cut"]) == (
        "keyframe.draw ×2, animate.embed, film.cut"
    )
    assert counted([]) == ""


def test_damaged_objects_are_made_anew(render: Render, warm: Store):
    record = list_records(warm)[0][-1]
    digest = next(stage.digest for stage in record.stages if stage.op == "preprocess.pose_map")
    again = render()
    store = Store(Path(again.config["paths"]["store"]))
    victim = store.folder(digest) / "frames" / "000001.png"
    victim.write_bytes(victim.read_bytes()[:-20])
    healed = render()
    assert computed(healed) == ["preprocess.pose_map"]
    assert [stage.digest for stage in healed.stages] == [stage.digest for stage in record.stages]


UNPRIVILEGED = [*("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")] if os.geteuid() == 0 else []
"""Before a command, so that it is held to the modes of files, as root is not."""


def test_a_read_only_store_gives_what_it_holds_and_says_what_it_lacks(warm: Store, tmp_path: Path):
    """And is left exactly as it was."""
    store = tmp_path / "store"
    shutil.copytree(warm.root, store)
    for path in [store, *store.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}

    def dance(*overrides: str) -> subprocess.CompletedProcess[str]:
        settings = [*SMALL, "tracking.enabled=true", f"paths.store={store}", f"paths.output={tmp_path / 'out'}"]
        command = [*UNPRIVILEGED, sys.executable, "-m", "flows.cli", "dance", *settings, *overrides]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    done, refused = dance(), dance("seed=5")
    assert done.returncode == 0, done.stderr
    assert "nothing rendered anew" in done.stdout
    assert "is read-only: no record is kept of this render" in done.stderr
    assert (tmp_path / "out" / "movie.mp4").stat().st_size > 0
    assert refused.returncode == 2, refused.stderr
    assert "is read-only, and not all of this render is in it; missing: assemble, stylize.decode" in refused.stderr
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before
    for path in [store, *store.rglob("*")]:
        path.chmod(0o755)  # or pytest cannot tidy up
