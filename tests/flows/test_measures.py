"""Measuring as part of `dance`: numbers in the record, metrics that do not fit passed over, nothing lost to them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.runs import ROOT
from flows import cli
from reel import measure
from reel.history.record import list_records
from reel.store import Store
from tests.flows import rendering
from tests.flows.rendering import Render, computed

pytestmark = pytest.mark.usefixtures("prefect_server")
SMALL = [*rendering.SMALL, "assemble.contact_sheet=0"]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, prefect_server: Path) -> Store:
    """A store in which the small render stands already, measured by default; copied by the tests that use it."""
    return rendering.rendered(tmp_path_factory.mktemp("warm"), SMALL)


@pytest.fixture
def render(warm: Store, tmp_path: Path) -> Render:
    return rendering.on_a_copy(warm, tmp_path, SMALL)


def test_a_render_has_its_numbers_and_each_of_them_is_declared(warm: Store):
    record = list_records(warm)[0][-1]
    wanted = {"flicker.mean", "motion.kept", "palette.consistency", "ssim.mean", "probe_joints.error"}
    assert wanted | {"probe_attributes.share", "probe_attributes.hair_color"} <= record.metrics.keys()
    for key, number in record.metrics.items():
        found = measure.describe(key)
        assert found, key
        assert found[1].low is None or number >= found[1].low
        assert found[1].high is None or number <= found[1].high
    assert not any(key.startswith("pose.") for key in record.metrics)
    last = [stage.op for stage in record.stages[-6:]]
    assert last == [
        f"measure.{n}" for n in ("flicker", "motion", "palette", "probe_attributes", "probe_joints", "ssim")
    ]


def test_an_unchanged_render_measures_nothing_and_loads_nothing(warm: Store):
    code = (
        "import json, sys\n"
        "from flows import cli\n"
        "code = cli.main(['dance', *sys.argv[1:]])\n"
        "heavy = ('torch', 'diffusers', 'transformers', 'cv2', 'scipy', 'skimage')\n"
        "print(json.dumps([code, [m for m in heavy if m in sys.modules]]))\n"
    )
    arguments = [*SMALL, f"paths.store={warm.root}", f"paths.output={warm.root.parent / 'out'}"]
    out = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert json.loads(out.stdout.splitlines()[-1]) == [0, []], out.stderr[-2000:]
    assert "nothing rendered anew" in out.stdout
    assert "metric   probe_joints.error " in out.stdout
    assert "pose not measured: its detector is made for people, not for cartoons of sprite" in out.stdout
    first, *_, last = list_records(warm)[0]
    assert last.reused
    assert last.metrics == first.metrics


def test_one_metrics_setting_measures_that_one_anew(render: Render):
    record = render("measure.flicker.occlusion_check=false")
    assert computed(record) == ["measure.flicker"]
    assert record.metrics["flicker.matched"] == 1


def test_metrics_can_be_chosen_and_switched_off(render: Render):
    assert computed(render("measure=[ssim,vmaf]")) == ["measure.vmaf"]
    assert render("measure=none").metrics == {}
    assert render("measure=[]").metrics == {}


def test_the_render_is_read_by_the_detector_that_read_the_source(render: Render, capsys: pytest.CaptureFixture[str]):
    record = render("measure=[pose]", "measure.pose.embedded=true")
    assert computed(record) == ["preprocess.blazepose", "measure.pose"]
    assert 0 <= record.metrics["pose.oks"] <= 1
    assert "metric   pose.oks " in capsys.readouterr().out


def test_emphasis_is_not_asked_for(render: Render):
    record = render("prompt=a girl with (pink:1.2) hair", "measure=[probe_attributes]")
    assert record.metrics.keys() == {
        f"probe_attributes.{name}" for name in ("share", "probability", "kept", "hair_color")
    }


def test_a_metric_without_anything_to_measure_is_told(render: Render, capsys: pytest.CaptureFixture[str]):
    record = render("extract.max_frames=1", "measure=[flicker,ssim]")
    assert record.metrics.keys() == {"ssim.mean"}
    assert "flicker not measured: the clip has one frame" in capsys.readouterr().out


def test_a_film_is_out_before_a_metric_can_fail(render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from tasks.measure import ssim

    def broken(first: object, second: object) -> float:
        raise ZeroDivisionError("a mistake in a metric")

    monkeypatch.setattr(ssim, "similarity", broken)
    arguments = [*SMALL, f"paths.store={tmp_path / 'store'}", f"paths.output={tmp_path / 'out'}", "seed=5"]
    render("measure=none")  # fills nothing new; the store is there
    assert cli.main(["dance", *arguments, "measure=[ssim]"]) == 1
    assert (tmp_path / "out" / "movie.mp4").stat().st_size > 500
    monkeypatch.undo()
    assert cli.main(["dance", *arguments, "measure=[ssim]"]) == 0
    assert computed(list_records(Store(tmp_path / "store"))[0][-1]) == ["measure.ssim"]


BAD = [
    (["measure=[flickr]"], "nearest: flicker"),
    (["measure.flicker.still=1"], "unknown key 'measure.flicker.still'"),
    (["measure.pose.threshold=0"], "measure.pose.threshold: must be greater than 0"),
    (["measure.vmaf.model=x"], "'vmaf' is a choice of measure, and it is not chosen"),
    (["measure.probe_joints.detector=canny"], "measure: detector 'canny' finds no poses"),
    (["measure.probe_joints.detector=blazepsoe"], "nearest: blazepose"),
    (["measure=[clip_image]"], "measure.clip_image compares with a picture of the character, and there is none"),
    (["measure=[clip_image]", "reference=/nowhere/me.png"], "reference: there is no file /nowhere/me.png"),
    (["measure=[clip_text]"], "openai/clip-vit-large-patch14"),
    (["measure=[subject_consistency]"], "vit_base_patch16_224.dino"),
]


@pytest.mark.parametrize(("overrides", "says"), BAD, ids=[" ".join(bad[0]) for bad in BAD])
def test_bad_input_is_refused_before_anything_runs(
    overrides: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    from tasks.weights import files as weights_files

    monkeypatch.setattr(weights_files.time, "sleep", lambda seconds: None)
    base = [f"paths.store={tmp_path / 'store'}", f"paths.output={tmp_path / 'out'}", "tracking=none"]
    assert cli.main(["dance", *SMALL, *base, *overrides]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert "Traceback" not in captured.err
    assert not Store(tmp_path / "store").digests()


def test_metrics_that_do_not_fit_are_passed_over_in_a_plan():
    from flows.config.compose import single
    from flows.config.engine import hydra_ready
    from flows.config.root import Root
    from flows.dance.about import subject
    from flows.dance.settings import Dance
    from flows.render import measures

    def planned(*overrides: str) -> measures.Measures:
        cfg = single(engine, list(overrides)).config
        return measures.plan(cfg.measure, subject(cfg))

    root = Root("dance", Dance)
    with hydra_ready(root) as engine:
        sprite, real = planned(), planned("model=sd15")
        scheduled = planned("prompt_schedule='0: red top; 8: blue top'")
    assert set(sprite.metrics) == {"flicker", "motion", "palette", "probe_attributes", "probe_joints", "ssim"}
    assert set(real.metrics) == {"flicker", "motion", "palette", "pose", "ssim"}
    assert set(real.passed_over) == {"probe_attributes", "probe_joints"}
    assert real.passed_over["probe_joints"] == "it reads renders of sprite only, and the model is sd15"
    assert scheduled.passed_over.keys() == {"pose", "probe_attributes"}
    assert (set(sprite.detectors), set(real.detectors)) == ({"blazepose"}, {"blazepose"})
