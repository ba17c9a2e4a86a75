"""What is kept between processes is never stale, and never needed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.config import engine, kept
from flows.config.compose import plain_settings, settings
from flows.config.engine import hydra_ready
from flows.config.root import Root, project_root
from reel.config import Config
from reel.errors import UserError


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """Where things are kept; the sources count as older than this process."""
    monkeypatch.setattr(kept, "PLACE", tmp_path / "kept")
    monkeypatch.setattr(kept, "_BEGAN", 2**63)
    monkeypatch.setattr(kept, "variables", {})
    return tmp_path / "kept"


@pytest.fixture
def conf(tmp_path, monkeypatch, place) -> Path:
    """A copy of the project's conf/ that may be changed."""
    monkeypatch.setenv("ROTOSCOPE_ROOT", str(tmp_path))
    monkeypatch.delenv("ROTOSCOPE_STORE", raising=False)
    shutil.copytree(project_root() / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "conf"


@pytest.fixture
def composed(conf, monkeypatch):
    """Compose `dance`; gives its data, and whether Hydra was needed."""
    needed: list[bool] = []
    hydra = engine.Engine.hydra.func

    def asked(self: Any) -> Any:
        needed.append(True)
        return hydra(self)

    watched = type(engine.Engine.hydra)(asked)
    watched.__set_name__(engine.Engine, "hydra")
    monkeypatch.setattr(engine.Engine, "hydra", watched)

    def compose(*overrides: str) -> tuple[dict[str, Any], bool]:
        needed.clear()
        data = plain_settings(Root("dance", Config, conf), overrides)
        return data, bool(needed)

    return compose


def test_the_same_settings_need_no_hydra_twice(composed):
    first, cold = composed("seed=3")
    again, warm = composed("seed=3")
    assert (cold, warm) == (True, False)
    assert again == first
    assert first["seed"] == 3


def test_values_are_set_on_what_was_composed_before_and_interpolated_anew(composed, conf):
    composed()
    data, cold = composed("model.multiple_of=16", "seed=5", "extract={fps: 4}")
    assert cold  # braces are not a plain form
    quick, cold = composed("model.multiple_of=16", "seed=5", "extract.fps=4")
    assert not cold
    assert (quick["seed"], quick["extract"]["multiple_of"], quick["extract"]["fps"]) == (5, 16, 4)
    assert quick == data


def test_a_choice_of_files_is_composed_once(composed):
    composed()
    assert composed("control=[pose,lineart]")[1]
    data, cold = composed("control=[pose,lineart]", "controls.lineart.weight=0.25")
    assert not cold
    assert data["controls"]["lineart"]["weight"] == 0.25


CHANGES = {
    "a value in the root": lambda conf: _edit(conf / "dance.yaml", "seed: 0", "seed: 11"),
    "a value in a group": lambda conf: _edit(conf / "control" / "pose.yaml", "weight: 1.0", "weight: 0.75"),
    "the same length": lambda conf: _edit(conf / "control" / "pose.yaml", "weight: 1.0", "weight: 1.5"),
    "one's own settings": lambda conf: (conf / "local" / "default.yaml").write_text("# @package _global_\nseed: 12\n"),
    "a file of a root taken in": lambda conf: _edit(conf / "tracking" / "default.yaml", "timeout: 2.0", "timeout: 7.0"),
    "what is chosen": lambda conf: _edit(conf / "dance.yaml", "- control: [pose]", "- control: [pose, tile]"),
}


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_file_is_read_anew(composed, conf, change):
    before, _ = composed("guidance_schedule=null")
    stat = (conf / "dance.yaml").stat()
    change(conf)
    os.utime(conf / "dance.yaml", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # no trust in times of change
    after, cold = composed("guidance_schedule=null")
    assert cold
    assert after != before
    shutil.rmtree(kept.PLACE)
    assert composed("guidance_schedule=null")[0] == after  # as without anything kept


def test_a_new_file_of_a_group_can_be_chosen(conf, place):
    root = Root("dance", Config, conf)
    with hydra_ready(root) as one:
        assert "mine" not in one.options["model"]
    shutil.copy(conf / "model" / "sprite.yaml", conf / "model" / "mine.yaml")
    with hydra_ready(root) as one:
        assert "mine" in one.options["model"]
    (conf / "model" / "mine.yaml").unlink()
    with hydra_ready(root) as one:
        assert "mine" not in one.options["model"]


def test_variables_that_files_read_count(composed, conf, monkeypatch):
    assert composed("seed=1")[0]["paths"]["store"] == f"{conf.parent}/data/.store"
    monkeypatch.setenv("ROTOSCOPE_STORE", "/elsewhere")
    assert composed("seed=1")[0]["paths"]["store"] == "/elsewhere"
    monkeypatch.setenv("ROTOSCOPE_STORE", "/again")
    data, cold = composed("seed=2")
    assert not cold  # set on what was composed before: variables are read each time
    assert data["paths"]["store"] == "/again"
    monkeypatch.delenv("ROTOSCOPE_STORE")
    assert composed("seed=1")[0]["paths"]["store"] == f"{conf.parent}/data/.store"


def test_what_follows_from_a_variable_of_the_users_own_is_not_kept(composed, conf, place, monkeypatch):
    """It may be a password, whatever it is called."""
    monkeypatch.setenv("MY_OWN_WORDS", "hunter2-hunter2")
    _edit(conf / "dance.yaml", "seed: 0", "seed: 0\nnegative_prompt_too: ${oc.env:MY_OWN_WORDS}")
    for _ in range(2):
        assert composed("embed_facts=true")[0]["negative_prompt_too"] == "hunter2-hunter2"
    assert not any("hunter2" in path.read_text("utf-8") for path in place.rglob("*.json"))


def test_a_variable_whose_name_is_worked_out_counts(composed, conf, monkeypatch):
    _edit(conf / "dance.yaml", "seed: 0", "negative_prompt_of: NAME\nseed: ${oc.env:${negative_prompt_of},1}")
    assert composed("embed_facts=true")[0]["seed"] == "1"
    monkeypatch.setenv("NAME", "2")
    assert composed("embed_facts=true")[0]["seed"] == "2"


@pytest.mark.parametrize(
    "line",
    [
        "${now:%f}",
        "${hydra:runtime.cwd}",
        "${hydra.runtime.cwd}",
        "${paths.${x}}",
        "${${x}:y}",
        "${mine:}",
        "${ hydra.x }",
    ],
)
def test_what_depends_on_more_is_not_kept(composed, conf, place, line):
    (conf / "local" / "default.yaml").write_text(f"# @package _global_\nextract:\n  background: '{line}'\n")
    assert kept.fingerprint(conf) is None
    with contextlib.suppress(UserError):  # those that mean nothing here
        composed("seed=3")
    assert not place.exists()


def test_overrides_that_depend_on_more_are_not_kept(composed, place):
    composed("seed=3")
    items = len(list(place.iterdir()))
    first = composed("negative_prompt=${now:%f}")[0]["negative_prompt"]
    assert composed("negative_prompt=${now:%f}")[0]["negative_prompt"] != first
    assert len(list(place.iterdir())) == items


def test_logging_in_the_time_of_a_run_is_not_kept(conf, place):
    _edit(
        conf / "hydra" / "job_logging" / "rotoscope.yaml",
        "stream: ext://sys.stderr",
        "stream: ext://sys.stderr\n    x: ${now:%f}",
    )
    from flows.dance.settings import Dance

    root = Root("dance", Dance, conf)
    first, again = (settings(root, ["seed=4"]).job_logging["handlers"]["console"]["x"] for _ in range(2))
    assert first != again


@pytest.mark.parametrize("damage", ["a byte", "half", "empty", "no JSON"])
def test_damage_is_as_if_nothing_were_kept(composed, place, damage):
    before, _ = composed("seed=3")
    for path in place.iterdir():
        data = path.read_bytes()
        at = data.rindex(b"dancing") if b"dancing" in data else len(data) - 3
        broken = {
            "a byte": data[:at] + b"D" + data[at + 1 :],
            "half": data[: len(data) // 2],
            "empty": b"",
            "no JSON": b"\xff" * 40,
        }
        path.write_bytes(broken[damage])
    after, cold = composed("seed=3")
    assert cold
    assert after == before
    assert not composed("seed=3")[1]  # and it is mended


def test_a_place_that_cannot_be_written_to_is_no_error(composed, place):
    place.write_text("a file stands in the way")
    assert composed("seed=3")[0]["seed"] == 3
    assert composed("seed=3")[1]


def test_old_items_make_room(composed, place, monkeypatch):
    monkeypatch.setattr(kept, "MOST", 5)
    for seed in range(5):
        composed(f"seed={seed}")
    assert len(list(place.iterdir())) == 5
    assert not composed("seed=4")[1]


def test_sources_newer_than_the_process_are_not_those_it_runs(composed, conf, place, monkeypatch):
    monkeypatch.setattr(kept, "_BEGAN", 0)
    assert kept.fingerprint(conf) is None
    composed("seed=3")
    assert not place.exists()


def test_every_source_and_distribution_counts(conf, place, monkeypatch, tmp_path):
    code = tmp_path / "code"
    for package in kept.FIRST_PARTY:
        (code / package / "inner").mkdir(parents=True)
    module = code / "tasks" / "inner" / "module.py"
    module.write_text("a = 1\n")
    monkeypatch.setattr(kept, "_CODE", code)
    site = tmp_path / "site"
    (site / "pydantic-2.0.dist-info").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    seen = [kept.fingerprint(conf)]
    module.write_text("a = 2\n")
    seen.append(kept.fingerprint(conf))
    (code / "reel" / "new.py").write_text("")
    seen.append(kept.fingerprint(conf))
    (site / "pydantic-2.0.dist-info").rename(site / "pydantic-2.1.dist-info")
    seen.append(kept.fingerprint(conf))
    (site / "hydra_plugins").mkdir()
    (site / "hydra_plugins" / "own.py").write_text("")
    seen.append(kept.fingerprint(conf))
    assert None not in seen
    assert len({one.digest for one in seen}) == len(seen)


def test_nothing_is_kept_of_files_that_changed_while_they_were_composed(conf, place):
    store = kept.Kept(conf)
    _edit(conf / "dance.yaml", "seed: 0", "seed: 11")
    store.put({"made of": "both"}, "x")
    _edit(conf / "dance.yaml", "seed: 11", "seed: 0")
    assert kept.Kept(conf).get("x") is None
    store.put({"made of": "both"}, "x")  # the same bytes again, but written since
    assert kept.Kept(conf).get("x") is None


def test_data_that_json_would_change_is_not_kept(conf, place):
    store = kept.Kept(conf)
    for name, data in enumerate(({1: "a"}, [(1, 2)], {"a": object()}, [Path("a")])):
        store.put(data, str(name))
        assert store.get(str(name)) is None
    store.put({"a": [1, 1.0, "1", None, True]}, "x")
    assert repr(store.get("x")) == "{'a': [1, 1.0, '1', None, True]}"


RUN = """
import json, sys
from flows.cli import main
code = main(sys.argv[1:])
heavy = ("hydra", "omegaconf", "pydantic", "yaml", "numpy", "flows.dance.settings")
print(json.dumps([code, [name for name in heavy if name in sys.modules]]))
"""


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["dance", "--help"], "Exit codes: 0 done"),
        (["dance", "seed=1", "--help", "stylize.windows"], "stylize.windows.context_length=16"),
        (["dance", "seeed=1"], "error: unknown key 'seeed'; nearest: seed"),
        (["dance", "model=sd51"], "error: model=sd51: no such choice; nearest: sd15"),
        (["dance", "prompt=(a:1.2), b", "controls.pse.weight=1"], "nearest: controls.pose.weight"),
    ],
)
def test_help_and_typos_import_next_to_nothing(tmp_path, argv, said):
    """Neither the flow nor what settings are made with, once they are kept."""
    space = {**os.environ, "PYTHONPATH": str(project_root()), "ROTOSCOPE_STORE": str(tmp_path / "store")}
    command = [sys.executable, "-c", RUN, *argv]
    first, again = (
        subprocess.run(command, env=space, cwd=tmp_path, capture_output=True, text=True, check=True) for _ in range(2)
    )
    assert said in again.stdout + again.stderr
    assert (first.stdout.splitlines()[:-1], first.stderr) == (again.stdout.splitlines()[:-1], again.stderr)
    assert json.loads(again.stdout.splitlines()[-1])[1] == []
