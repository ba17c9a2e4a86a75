"""`--help` and `--cfg` of a flow: what the YAML files and the settings class say, whatever else is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.edge import entry
from tests.flows import demo
from tests.flows.demo_runs import ROOT, caller, settle


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    return caller(settle(tmp_path, monkeypatch), capsys)


def test_help_teaches(call):
    code, got, out, _ = call("--help")
    assert (code, got) == (0, [])
    for wanted in (
        "A small flow for the tests",
        'rotoscope demo prompt="a blue dancer"',
        "control lineart pose*",
        "model big small*",
        "steps=8",
        "Denoising steps. (integer, 1 to 100)",
        "(number, above 0 to 1)",
        "controls.pose.weight=1.0",
        "Frame width (px). (integer, 8 or more)",
        "mask=null",
        "(path | null)",
        "130 interrupted",
    ):
        assert wanted in " ".join(out.split())  # wherever lines are broken


@pytest.mark.parametrize(
    "argv",
    [["prmpt=x", "-h"], ["--bogus", "--help", "steps=0"], ["--cfg", "no", "my.mp4", "--help"], ["steps=1,2", "-mh"]],
    ids=" ".join,
)
def test_help_wins_over_wrong_settings(call, argv):
    assert call(*argv) == call("--help")


def test_help_needs_no_valid_settings(tmp_path, capsys):
    """What conf/ holds may be what somebody needs help with."""
    conf = tmp_path / "conf"
    shutil.copytree(Path(demo.__file__).parent / "demo_conf", conf)
    root = conf / "demo.yaml"
    root.write_text(root.read_text("utf-8").replace("steps: 8", "steps: many"), "utf-8")
    assert entry.run_flow(demo.FLOW, ["--help", "steps"], conf=conf) == 0
    assert "steps=many  Denoising steps. (integer, 1 to 100)" in " ".join(capsys.readouterr().out.split(" " * 3))


def test_help_on_a_key_that_does_not_exist(call):
    code, _, _, err = call("--help", "stesp")
    assert (code, "error: --help stesp: no such key; nearest: steps" in err) == (2, True)


def test_help_follows_the_config(call):
    """Defaults in the help come from the YAML files, not from the classes."""
    assert demo.Control.model_fields["weight"].default == 1.0
    out = call("--help")[2]
    assert "prompt=a dancer" in out
    assert "model.width=128" in out


def test_cfg_prints_the_composed_config(call):
    code, got, out, _ = call("--cfg", "job", "-p", "model", "model=big")
    assert (code, got) == (0, [])
    assert "width: 512" in out
    assert "steps" not in out


HEAVY = ("torch", "diffusers", "transformers", "cv2", "mlflow", "controlnet_aux", "prefect")


@pytest.mark.parametrize("argv", [["--help"], ["steps=0"], ["prmpt=x"], ["-m", "steps=0,1"]], ids=" ".join)
def test_help_and_errors_import_nothing_heavy(tmp_path, argv):
    code = (
        "import sys; from tests.flows import demo; demo.main(sys.argv[1:]);"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    space = {**os.environ, "PYTHONPATH": str(ROOT), "ROTOSCOPE_STORE": str(tmp_path), "ROTOSCOPE_ROOT": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code, *argv], env=space, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"
