"""Published renders: what makes DVC render and what does not, in real clones with a real remote."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.commands.resolve import main, resolved
from flows.render.published import guard
from reel.errors import UserError

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "conf" / "experiment" / "dance").glob("*.yaml"))


def pipeline() -> dict:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())


def test_every_experiment_is_published_and_nothing_else():
    assert len(NAMES) >= 2
    matrices = pipeline()["vars"][0]
    assert sorted(matrices["dance"]) == NAMES
    for stage in pipeline()["stages"].values():
        assert stage["matrix"] == {"experiment": "${dance}"}


def test_dvc_owns_published_renders_only():
    outs = [
        next(iter(out)) if isinstance(out, dict) else out for s in pipeline()["stages"].values() for out in s["outs"]
    ]
    assert outs
    assert all(out.startswith("data/published/${item.experiment}") for out in outs)


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_resolves_to_what_it_renders_and_not_to_a_machine(name):
    data = resolved("dance", [f"experiment=dance/{name}"])
    assert data["clip"] == "data/source/sample.mp4"
    assert data["prompt"]
    assert data["compute"] == {"dtype": "float32"}
    assert str(ROOT) not in yaml.safe_dump(data)
    assert not {"paths", "tracking"} & set(data)
    used = {control["preprocess"] for control in data["controls"].values()}
    assert used
    assert used <= set(data["preprocess"])


def test_settings_that_change_nothing_do_not_change_the_file():
    one = ["experiment=dance/traced", "controls.lineart.weight=0.3"]
    same = [*one, "compute.device=cpu", "compute.threads=1", "paths.renders=/elsewhere", "tracking=none"]
    same += ["preprocess.canny.low_threshold=33"]  # no control uses it
    assert resolved("dance", one) == resolved("dance", same)
    assert resolved("dance", one) != resolved("dance", ["experiment=dance/traced", "controls.lineart.weight=0.2"])
    odd = ["experiment=dance/traced", "controls.lineart.weight=0.30000000000000004"]
    assert resolved("dance", one) == resolved("dance", odd)


def test_a_dropped_control_takes_its_preprocessor_along():
    data = resolved("dance", ["experiment=dance/traced", "controls.lineart.weight=0"])
    assert "lineart" not in data["controls"]
    assert "lineart" not in data["model"]["controlnets"]
    assert "lineart_standard" not in data["preprocess"]
    assert {"blazepose", "pose_map"} <= set(data["preprocess"])


def test_wrong_names_are_named(tmp_path, capsys):
    with pytest.raises(UserError, match=r"no flow 'danse' to resolve.*dance"):
        resolved("danse", [])
    out = tmp_path / "x.yaml"
    assert main(["dance", "experiment=dance/nothing", "--out", str(out)]) == 2
    assert "traced" in capsys.readouterr().err
    assert not out.exists()


def test_nobody_but_dvc_writes_published_renders(tmp_path, monkeypatch):
    published = tmp_path / "data" / "published"
    monkeypatch.delenv("DVC_STAGE", raising=False)
    for folder in (published, published / "traced", tmp_path / "data" / "renders" / ".." / "published" / "x"):
        with pytest.raises(UserError, match="only `dvc repro` writes"):
            guard(folder, tmp_path)
    guard(tmp_path / "data" / "renders" / "x", tmp_path)
    guard(tmp_path / "data" / "published-too", tmp_path)
    monkeypatch.setenv("DVC_STAGE", "dance@traced")
    guard(published / "traced", tmp_path)


class Checkout:
    """A clone of a small copy of this project, with a store of its own, on which real `git` and `dvc` are called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder),
            "ROTOSCOPE_ROOT": str(folder),
            "ROTOSCOPE_STORE": str(folder / "data" / ".store"),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        self.environment.pop("DVC_STAGE", None)

    def run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def git(self, *arguments: str) -> str:
        return self.run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments)

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new))

    def renders(self) -> int:
        """Renders that ever ran here, cached ones included."""
        return len(list((self.folder / "data" / ".store" / "records").glob("*.json")))


SMALL = """\
# @package _global_
# A comment.
clip: ${paths.root}/data/source/sample.mp4
extract: {max_frames: 4}
stylize: {num_inference_steps: 2, strength: 1.0}
assemble: {contact_sheet: 2, side_by_side: false}
compute: {dtype: float32}
tracking: {enabled: false}
"""


@pytest.fixture(scope="module")
def origin(tmp_path_factory, prefect_server) -> Checkout:
    """The project with one quick experiment, rendered, committed, its output pushed to a remote folder."""
    top = tmp_path_factory.mktemp("dvc")
    checkout = Checkout(top / "origin")
    left_out = shutil.ignore_patterns("__pycache__", ".store", "renders", "published", "dance", "cache", "tmp")
    for name in ("conf", "flows", "reel", "tasks", "data", ".dvc"):
        shutil.copytree(ROOT / name, checkout.folder / name, ignore=left_out)
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, checkout.folder / name)
    (checkout.folder / "data" / "published").mkdir()
    shutil.copy(ROOT / "data/published/.gitignore", checkout.folder / "data/published/.gitignore")
    (checkout.folder / "conf/experiment/dance").mkdir()
    (checkout.folder / "conf/experiment/dance/small.yaml").write_text(SMALL)
    checkout.edit("dvc.yaml", "[new_character, traced]", "[small]")
    checkout.git("init", "-q")
    checkout.run("dvc", "remote", "add", "-q", "-d", "shelf", str(top / "shelf"))
    checkout.run("dvc", "repro", "-q")
    checkout.git("add", ".")
    checkout.git("commit", "-q", "-m", "published")
    checkout.run("dvc", "push", "-q")
    return checkout


@pytest.fixture
def clone(origin: Checkout, tmp_path: Path) -> Checkout:
    """A fresh clone, its published render pulled, its store empty."""
    subprocess.run(["git", "clone", "-q", str(origin.folder), str(tmp_path / "clone")], check=True)
    clone = Checkout(tmp_path / "clone")
    clone.run("dvc", "pull", "-q")
    return clone


@pytest.mark.slow
def test_the_render_lies_in_the_published_folder_and_git_holds_only_its_settings(origin):
    files = {path.name for path in (origin.folder / "data/published/small").iterdir()}
    assert any(name.endswith(".mp4") for name in files)
    tracked = origin.git("ls-files", "data/published").split()
    assert sorted(tracked) == ["data/published/.gitignore", "data/published/small.yaml"]
    assert origin.renders() == 1
    assert origin.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_a_comment_renders_nothing_even_in_a_fresh_clone_with_an_empty_store(origin, clone):
    clone.edit("conf/experiment/dance/small.yaml", "# A comment.", "# Another comment, and a blank line.\n")
    (clone.folder / "conf/local/default.yaml").write_text("# @package _global_\nseed: 99\n")
    said = clone.run("dvc", "repro")
    assert "resolve@small" in said
    assert clone.renders() == 0
    for path in (origin.folder / "data/published/small").iterdir():
        assert (clone.folder / "data/published/small" / path.name).read_bytes() == path.read_bytes()
    changed = clone.git("status", "--porcelain").split()
    assert set(changed) == {"M", "conf/experiment/dance/small.yaml", "dvc.lock"}


@pytest.mark.slow
def test_a_changed_setting_renders_and_shows_in_git(origin, clone):
    clone.environment["ROTOSCOPE_STORE"] = str(origin.folder / "data" / ".store")  # only the last stage is new
    before = origin.renders()
    clone.edit("conf/experiment/dance/small.yaml", "contact_sheet: 2", "contact_sheet: 3")
    clone.run("dvc", "repro", "-q")
    assert origin.renders() == before + 1
    assert "contact_sheet: 3" in clone.git("diff", "data/published/small.yaml")
    assert "contact_sheet.png" in clone.run("dvc", "diff")
