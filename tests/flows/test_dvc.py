"""Published renders: what makes DVC render and what does not, in real clones with a real remote."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.runs import ROOT
from flows import flow as flows
from flows.commands.resolve import main, resolved
from flows.render.published import guard
from reel import keys, op
from reel.errors import UserError
from reel.files import sha256_file
from tasks import cached

CLIP = ROOT / "data" / "source" / "sample.mp4"
ELSEWHERE = {
    "comfyui/pyramid_flow": "a ComfyUI server with its pack",
    "comfyui/videocrafter": "a ComfyUI server with its pack",
    "loop/breathing": "a SparseCtrl, which no family in git has yet",
    "timeframe/wink": "eyes that close, which no family in git draws yet",
}
"""Experiments that need what is not in a checkout: DVC cannot publish them here."""
NAMES = sorted(
    name
    for path in (ROOT / "conf" / "experiment").glob("*/*.yaml")
    if (name := f"{path.parent.name}/{path.stem}") not in ELSEWHERE
)


def pipeline() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    return found


def test_every_experiment_is_published_and_nothing_else():
    assert len(NAMES) >= 2
    published = pipeline()["vars"][0]["published"]
    assert sorted(published) == NAMES
    assert {name: one["flow"] for name, one in published.items()} == {name: name.partition("/")[0] for name in NAMES}


def test_a_shell_takes_every_name_as_it_is():
    """DVC puts names into a shell's command line; within single quotes all is literal but the quote itself."""
    for name in NAMES:
        assert re.fullmatch(r"[\w. -]+(/[\w. -]+)+", name), f"{name}: rename the file"
    stages = pipeline()["stages"]
    for stage in stages.values():
        command = stage["do"]["cmd"]
        assert command.count("${") == len(re.findall(r"'[^' ]*\$\{(?:key|item\.flow)\}[^' ]*'", command)) >= 2
        filled = command.replace("${key}", "dance/a b; c $(d) `e` & f").replace("${item.flow}", "g h")
        words = shlex.split(filled)
        assert "experiment=dance/a b; c $(d) `e` & f" in words
        assert "g h" in words


def test_dvc_owns_published_renders_only_and_renders_for_one_reason():
    stages = {name: stage["do"] for name, stage in pipeline()["stages"].items()}
    outs = [next(iter(out)) if isinstance(out, dict) else out for stage in stages.values() for out in stage["outs"]]
    assert sorted(outs) == ["data/published/${key}", "data/published/${key}.yaml"]
    assert stages["render"]["deps"] == ["data/published/${key}.yaml"]
    assert "always_changed" not in stages["render"]


def experiment(name: str, *overrides: str) -> dict[str, Any]:
    flow = name.partition("/")[0]
    return resolved(flow, [f"experiment={name}", "~local", *overrides])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_published_is_up_to_date(name: str):
    """`dvc repro` and a commit of dvc.lock and data/published/*/*.yaml put it right."""
    file = ROOT / "data" / "published" / f"{name}.yaml"
    assert yaml.safe_load(file.read_text("utf-8")) == experiment(name)
    known = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    md5 = hashlib.md5(file.read_bytes()).hexdigest()
    assert known[f"resolve@{name}"]["outs"][0]["md5"] == md5
    assert known[f"render@{name}"]["deps"][0]["md5"] == md5


def test_the_file_is_the_render_stage_by_stage():
    data = experiment("dance/traced")
    stages = data["stages"]
    assert data["flow"] == "dance"
    assert stages["extract"]["inputs"] == {"source": sha256_file(CLIP)}
    assert stages["stylize.denoise"]["inputs"] == {
        "latents": "stylize.encode",
        "embeddings": "stylize.embed",
        "map_lineart": "preprocess.lineart_standard",
        "map_pose": "preprocess.pose_map",
    }
    assert stages["stylize.denoise"]["settings"]["dtype"] == "float32"
    assert stages["stylize.denoise"]["version"] == op.get("stylize", "denoise").version
    assert all(len(content) > 64 for content in stages["stylize.denoise"]["models"].values())
    assert stages["assemble"]["settings"]["metadata"]["render"] == "stylize.denoise"
    text = yaml.safe_dump(data)
    assert str(ROOT) not in text
    assert not any(stage.startswith("measure.") for stage in stages)
    assert "null" not in text


def test_which_map_goes_where_is_in_the_file():
    one = ["controls.pose.preprocess=lineart_standard", "controls.lineart.preprocess=blazepose"]
    swapped, given = experiment("dance/traced", *one), experiment("dance/traced")
    assert swapped["stages"]["stylize.denoise"]["settings"] == given["stages"]["stylize.denoise"]["settings"]
    assert swapped != given


NOTHING = [
    *("compute.device=cpu", "compute.threads=1", "compute.batch=3", "tracking=none", "paths.renders=/elsewhere"),
    *("measure=none", "preprocess.canny.low_threshold=33", "controls.lineart.weight=0.40000000000000004"),
]


def test_what_changes_no_byte_does_not_change_the_file():
    assert experiment("dance/traced", *NOTHING) == experiment("dance/traced")


def test_a_dropped_control_takes_its_map_and_its_model_along():
    stages = experiment("dance/traced", "controls.lineart.weight=0")["stages"]
    assert "preprocess.lineart_standard" not in stages
    assert "lineart" not in yaml.safe_dump(stages["stylize.denoise"])
    assert {"preprocess.blazepose", "preprocess.pose_map"} <= stages.keys()


def test_a_machines_libraries_and_code_that_is_not_accepted_do_not_change_the_file(monkeypatch: pytest.MonkeyPatch):
    before = experiment("dance/traced")
    monkeypatch.setattr(keys, "library_version", lambda name: "9.9")
    monkeypatch.setattr(keys, "namespace", lambda *which: "dev-0")
    assert experiment("dance/traced") == before


def test_an_ops_version_a_model_and_a_sources_content_change_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    before = experiment("dance/traced")
    denoise = op.get("stylize", "denoise")
    with monkeypatch.context() as patched:
        patched.setitem(op._REGISTRY, ("stylize", "denoise"), replace(denoise, version=99))
        assert experiment("dance/traced") != before
    with monkeypatch.context() as patched:
        patched.setattr(cached, "content_id", lambda source: "sha256:0")
        assert experiment("dance/traced") != before
    with monkeypatch.context() as patched:  # of an op that is not in use
        edges = op.get("preprocess", "canny")
        patched.setitem(op._REGISTRY, ("preprocess", "canny"), replace(edges, version=99))
        assert experiment("dance/traced") == before
    same, other = tmp_path / "same.mp4", tmp_path / "other.mp4"
    same.write_bytes(CLIP.read_bytes())
    other.write_bytes(CLIP.read_bytes() + b"\0\0\0\x08free")
    assert experiment("dance/traced", f"clip={same}") == before
    assert experiment("dance/traced", f"clip={other}") != before


def test_what_a_machine_decides_must_be_said():
    with pytest.raises(UserError, match=r"compute\.dtype: auto is another result on another machine") as told:
        experiment("dance/traced", "compute.dtype=auto")
    assert "compute.dtype=" in str(told.value.fix)
    with pytest.raises(UserError, match=r"compute\.memory_format, compute\.device: auto"):
        experiment("dance/traced", "compute.memory_format=auto", "compute.max_memory=4GiB")


def test_wrong_names_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(UserError, match=r"there is no flow 'danse'; nearest: dance"):
        resolved("danse", [])
    with pytest.raises(UserError, match="search renders nothing that could be published") as told:
        resolved("search", [])
    assert str(told.value.fix) == f"flows that do: {', '.join(n for n in flows.names() if flows.get(n).plan)}"
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
    monkeypatch.setenv("DVC_STAGE", "render@dance/traced")
    guard(published / "dance" / "traced", tmp_path)


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


NAME = "dance/a small one"
"""To a shell these are three words."""
SMALL = """\
# @package _global_
# A comment.
clip: ${paths.root}/data/source/sample.mp4
extract: {max_frames: 4}
stylize: {num_inference_steps: 2, strength: 1.0}
assemble: {contact_sheet: 2, side_by_side: false}
compute: {dtype: float32, memory_format: contiguous}
tracking: {enabled: false}
"""


@pytest.fixture(scope="module")
def origin(tmp_path_factory, prefect_server) -> Checkout:
    """The project with one quick experiment, rendered, committed, its output pushed to a remote folder."""
    top = tmp_path_factory.mktemp("dvc")
    checkout = Checkout(top / "origin")
    left_out = shutil.ignore_patterns("__pycache__", ".store", "renders", "published", "dance.lock", "cache", "tmp")
    for name in ("conf", "flows", "reel", "tasks", "data", ".dvc"):
        shutil.copytree(ROOT / name, checkout.folder / name, ignore=left_out)
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, checkout.folder / name)
    (checkout.folder / "data" / "published").mkdir()
    shutil.copy(ROOT / "data/published/.gitignore", checkout.folder / "data/published/.gitignore")
    shutil.rmtree(checkout.folder / "conf/experiment/dance")
    (checkout.folder / "conf/experiment/dance").mkdir()
    (checkout.folder / f"conf/experiment/{NAME}.yaml").write_text(SMALL)
    whole = (checkout.folder / "dvc.yaml").read_text()
    listed = "".join(f"      {name}: {{flow: {name.partition('/')[0]}}}\n" for name in NAMES)
    assert listed in whole
    (checkout.folder / "dvc.yaml").write_text(whole.replace(listed, f"      {NAME}: {{flow: dance}}\n"))
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
def test_the_render_lies_in_the_published_folder_and_git_holds_only_what_it_is_made_of(origin):
    files = {path.name for path in (origin.folder / "data/published" / NAME).iterdir()}
    assert any(name.endswith(".mp4") for name in files)
    tracked = origin.git("ls-files", "-z", "data/published").split("\0")
    assert sorted(filter(None, tracked)) == ["data/published/.gitignore", f"data/published/{NAME}.yaml"]
    assert origin.renders() == 1
    assert origin.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_a_fresh_clone_with_an_empty_store_renders_nothing_whatever_changes_no_byte(origin, clone):
    said = clone.run("dvc", "repro")
    assert f"resolve@{NAME}" in said
    assert clone.git("status", "--porcelain") == ""
    clone.edit(f"conf/experiment/{NAME}.yaml", "# A comment.", "# Another comment, and a blank line.\n")
    (clone.folder / "conf/local/default.yaml").write_text("# @package _global_\nseed: 99\n")
    (clone.folder / "data/source/other.mp4").write_bytes(b"another clip")
    clone.edit("tasks/assemble.py", "    timing = _timing(", "    timing = None\n    timing = _timing(")
    clone.run("python", "-m", "reel.code_hash")  # accepts it
    clone.run("dvc", "repro")
    assert clone.renders() == 0
    for path in (origin.folder / "data/published" / NAME).iterdir():
        assert (clone.folder / "data/published" / NAME / path.name).read_bytes() == path.read_bytes()
    changed = {line[3:].strip('"') for line in clone.git("status", "--porcelain").splitlines()}
    mine = {f"conf/experiment/{NAME}.yaml", "data/source/other.mp4", "tasks/assemble.py", "tasks/ops.json"}
    assert changed == mine, "neither dvc.lock nor what is published"


@pytest.mark.slow
def test_a_changed_setting_renders_and_shows_in_git(origin, clone):
    clone.environment["ROTOSCOPE_STORE"] = str(origin.folder / "data" / ".store")  # only the last stage is new
    before = origin.renders()
    clone.edit(f"conf/experiment/{NAME}.yaml", "contact_sheet: 2", "contact_sheet: 3")
    clone.run("dvc", "repro", "-q")
    assert origin.renders() == before + 1
    assert "contact_sheet: 3" in clone.git("diff", f"data/published/{NAME}.yaml")
    assert "contact_sheet.png" in clone.run("dvc", "diff")
