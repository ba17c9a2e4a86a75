"""Files of conf/ are looked over before anything is made of them: whoever writes one is told what is wrong, at once."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from flows.config import yaml_files
from flows.config.compose import settings
from flows.config.root import Root, project_root
from flows.edge import entry
from flows.flow import get
from reel.errors import UserError
from tests.flows import demo

HUNDRED = f"a: &a [{', '.join('x' * 100)}]\n"


def told(tmp_path: Path, content: bytes | str) -> str:
    path = tmp_path / "x.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError) as caught:
        yaml_files.load(path)
    assert caught.value.message.startswith(str(path))
    return str(caught.value).removeprefix(str(path))


def test_plain_files_are_read(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text(f"{HUNDRED}b: *a\nbase: &base {{c: 1}}\nd:\n  <<: *base\n  e: [1, {{f: null}}]\n", "utf-8")
    assert yaml_files.load(path)["d"] == {"c": 1, "e": [1, {"f": None}]}
    path.write_text("", "utf-8")
    assert yaml_files.load(path) is None


def test_aliases_that_grow(tmp_path: Path):
    assert "line 2: aliases such as *a stand for more than 10000 values" in told(
        tmp_path, f"{HUNDRED}b: [{', '.join(['*a'] * 101)}]\n"
    )
    rows = "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
    assert "line 3: aliases such as *b stand for more than" in told(tmp_path, HUNDRED + rows)


def test_an_alias_of_what_it_stands_in(tmp_path: Path):
    assert "line 1: *a stands within what it stands for" in told(tmp_path, "a: &a [1, *a]\n")


def test_depth(tmp_path: Path):
    assert "line 1: nested more than 32 levels deep" in told(tmp_path, f"a: {'[' * 32}{']' * 32}")
    half = f"a: &a {'[' * 16}{']' * 16}\nb: {'[' * 16}*a{']' * 16}"
    assert "line 2: nested more than 32 levels deep" in told(tmp_path, half)


def test_a_key_that_is_given_twice(tmp_path: Path):
    assert "line 3: 'seed' is given twice in one group" in told(tmp_path, "seed: 1\nother: {seed: 3}\nseed: 2\n")


def test_what_is_no_text(tmp_path: Path):
    assert "line 2: not UTF-8 (byte 0xe9)" in told(tmp_path, b"seed: 1\n# caf\xe9\n")
    assert "line 2: holds a NUL" in told(tmp_path, b"seed: 1\n# \0\n")
    assert "has 1000001 bytes, at most 1000000 are read" in told(tmp_path, "#" * 1_000_001)


def test_what_is_no_yaml(tmp_path: Path):
    assert ":2:1: cannot be read as YAML" in told(tmp_path, "a: [1\n")
    assert ":1:4: cannot be read as YAML" in told(tmp_path, "a: !mine 5\n")


@pytest.mark.timeout(20)
def test_what_is_no_file(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(UserError, match="is not a regular file"):
        yaml_files.load(tmp_path / "pipe.yaml")


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo flow's conf/ as a folder of its own, whose local settings take part."""
    monkeypatch.setenv("ROTOSCOPE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("DEMO_OUT", str(tmp_path / "out.jsonl"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(Path(demo.__file__).parent / "demo_conf", tmp_path / "conf")
    return tmp_path / "conf"


def run(conf: Path, capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert entry.run_flow(demo.FLOW, argv, conf=conf) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert not (conf.parent / "out.jsonl").exists()
    return err


GLOBAL = "# @package _global_\n"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("sweep", [[], ["-m"]], ids=["single", "multirun"])
def test_no_file_hangs_a_command(conf: Path, capsys: pytest.CaptureFixture[str], sweep: list[str]):
    os.mkfifo(conf / "experiment" / "pipe.yaml")
    assert f"{conf}/experiment/pipe.yaml: is not a regular file" in run(conf, capsys, *sweep, "steps=5")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"{HUNDRED}prompt: [{', '.join(['*a'] * 110)}]\n", "line 2: aliases such as *a"),
        (f"prompt: {'[' * 40}{']' * 40}\n", "line 1: nested more than 32 levels deep"),
        (b"prompt: caf\xe9\n", "line 1: not UTF-8"),
        ("- a\n- b\n", "must be a group of keys, each with its value, and is a list"),
        ("text\n", "must be a group of keys, each with its value, and is a single value"),
        ("defaults: 5\n", "defaults: must be a list"),
        (f"{GLOBAL}defaults:\n  - x\n", "its defaults list includes itself"),
        (f"{GLOBAL}defaults:\n  - /experiment/x\n", "its defaults list includes itself"),
        (f"{GLOBAL}defaults:\n  - /experiment: [red, x]\n", "its defaults list includes itself"),
    ],
)
def test_a_file_of_a_group(conf: Path, capsys: pytest.CaptureFixture[str], content: str | bytes, said: str):
    (conf / "experiment" / "x.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    err = run(conf, capsys, "experiment=x")
    assert f"{conf}/experiment/x.yaml" in err
    assert said in err
    assert "fix: " in err


def test_files_that_editors_leave_are_passed_over(conf: Path, capsys: pytest.CaptureFixture[str]):
    (conf / "experiment" / ".#red.yaml").symlink_to("somebody@host.1234")
    (conf / "experiment" / ".red.yaml.swp").write_bytes(b"\0\xff")
    assert entry.run_flow(demo.FLOW, ["experiment=red", "steps=5"], conf=conf) == 0
    capsys.readouterr()


def test_files_that_include_one_another(conf: Path, capsys: pytest.CaptureFixture[str]):
    (conf / "experiment" / "x.yaml").write_text(f"{GLOBAL}defaults:\n  - y\n")
    (conf / "experiment" / "y.yaml").write_text(f"{GLOBAL}defaults:\n  - x\n")
    assert "its defaults list includes itself, by way of" in run(conf, capsys, "experiment=x")


def test_a_root_that_includes_itself(conf: Path, capsys: pytest.CaptureFixture[str]):
    root = conf / "demo.yaml"
    root.write_text(root.read_text("utf-8").replace("defaults:\n", "defaults:\n  - demo\n", 1), "utf-8")
    assert f"{root}: its defaults list includes itself" in run(conf, capsys, "steps=5")


@pytest.mark.parametrize("head", ["", "# @package global\n"], ids=["absent", "mistyped"])
def test_an_experiment_without_its_package_line(conf: Path, capsys: pytest.CaptureFixture[str], head: str):
    (conf / "experiment" / "x.yaml").write_text(f"{head}steps: 5\n")
    err = run(conf, capsys, "experiment=x")
    assert f"error: {conf}/experiment/x.yaml: its settings stand under '{'global' if head else 'experiment'}'" in err
    assert "fix: begin the file with this line, as it is: # @package _global_" in err


def test_an_experiment_that_chooses_what_there_is_not(conf: Path, capsys: pytest.CaptureFixture[str]):
    path = conf / "experiment" / "x.yaml"
    path.write_text(f"{GLOBAL}defaults:\n  - override /control: [psoe]\n")
    assert f"error: {path}: control=psoe: no such choice; nearest: pose" in run(conf, capsys, "experiment=x")
    path.write_text(f"{GLOBAL}defaults:\n  - override /contrl: [pose]\n")
    err = run(conf, capsys, "experiment=x")
    assert f"error: {path}: override contrl: the root config chooses no group of that name; nearest: control" in err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lineart", "'controls.lineart' is set, and 'lineart' is a choice of control that is not chosen"),
        ("linart", "unknown key 'controls.linart'; nearest: controls.lineart"),
    ],
)
def test_keys_of_a_choice_that_is_not_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str):
    """Told by what was written, and not by the keys that its file would have set."""
    shutil.copytree(project_root() / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("local"))
    path = tmp_path / "conf" / "experiment" / "dance" / "x.yaml"
    path.write_text(f"{GLOBAL}seed: 5\ncontrols:\n  {name}:\n    weight: 1\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        settings(Root("dance", get("dance").settings, tmp_path / "conf"), ["experiment=dance/x"])
    assert "conf/experiment/dance/x.yaml:5:5" in caught.value.message


def test_a_value_where_a_group_belongs(conf: Path, capsys: pytest.CaptureFixture[str]):
    path = conf / "experiment" / "x.yaml"
    path.write_text(f"{GLOBAL}model: 5\n")
    err = run(conf, capsys, "experiment=x")
    assert "error: model: must be a group of keys, each with its value" in err
    assert "conf/experiment/x.yaml:2:" in err
