"""The Hydra edge, end to end with real Hydra: what a command line gives, and what it says when it is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flows.config.compose import compose, compose_points
from flows.config.diagnose import parse_overrides
from flows.config.engine import hydra_ready
from flows.config.root import Root
from flows.config.shape import shape
from flows.edge import entry, job
from flows.sweep.axes import span
from tests.flows import demo
from tests.flows.demo_runs import caller, ran, settle, spawn
from tests.flows.hostile import HOSTILE


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    return caller(settle(tmp_path, monkeypatch), capsys)


def test_defaults_and_overrides(call):
    code, [got], _, _ = call("steps=12", "model=big", "control=[pose,lineart]", "controls.lineart.weight=0.3")
    assert code == 0
    assert (got["steps"], got["model"]["width"], got["prompt"]) == (12, 512, "a dancer")
    assert got["controls"] == {
        "pose": {"weight": 1.0, "end": 1.0, "note": ""},
        "lineart": {"weight": 0.3, "end": 1.0, "note": ""},
    }
    assert (got["_flow"], got["_num"], got["paths"]["output"]) == ("demo", None, None)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_single(call, text):
    prompt = f"\\{text}" if text == "@" else text
    code, [got], _, err = call(f"prompt={prompt}", f"clip=in/{text}.mp4", f"controls.pose.note={prompt}")
    assert (code, err) == (0, "")
    assert (got["prompt"], got["clip"], got["controls"]["pose"]["note"]) == (text, f"in/{text}.mp4", text)


@pytest.mark.parametrize("start", range(0, len(HOSTILE), 3))
def test_hostile_text_multirun(call, start):
    texts = HOSTILE[start : start + 3]
    prompt, negative, name = ([f"\\{text}" if text == "@" else text for text in texts] * 3)[:3]
    name = name or "empty"  # which no path is
    code, got, _, err = call("-m", f"prompt={prompt}", f"negative_prompt={negative}", f"clip={name}", "steps=4,5")
    assert code == 0, err
    expected = [text.removeprefix("\\") if text == "\\@" else text for text in (prompt, negative)]
    clip = str(Path(name))  # a path keeps a leading backslash: "\@" is a file name
    assert [(one["prompt"], one["negative_prompt"], one["clip"], one["steps"]) for one in got] == [
        (*expected, clip if name != "\\@" else "@", steps) for steps in (4, 5)
    ]


def test_choice_of_prompts_is_an_axis(call):
    code, got, _, _ = call("-m", 'prompt=choice("a, b", (c:1.2) ${d}, 1984)', "steps=4,5")
    assert code == 0
    assert [(one["prompt"], one["steps"]) for one in got] == [
        (prompt, steps) for prompt in ("a, b", "(c:1.2) ${d}", "1984") for steps in (4, 5)
    ]


def test_sweep_forms(call):
    code, got, _, err = call(
        "-m", "model=glob(*)", "control=[pose],[pose,lineart]", "steps=range(2,5)", "strength=choice(0.5)"
    )
    assert code == 0, err
    seen = [(one["model"]["name"], sorted(one["controls"]), one["steps"]) for one in got]
    assert len(seen) == 12
    assert seen[0] == ("big", ["pose"], 2)
    assert seen[-1] == ("small", ["lineart", "pose"], 4)
    assert [one["_num"] for one in got] == list(range(12))
    folders = {one["paths"]["output"] for one in got}
    assert len(folders) == 12
    assert all("/data/renders/sweep-demo-" in folder for folder in folders)


def test_prompt_from_a_file(call, tmp_path):
    (tmp_path / "p.txt").write_text("from ${a}, file\n", "utf-8")
    code, [got], _, _ = call("prompt=@p.txt")
    assert (code, got["prompt"]) == (0, "from ${a}, file")
    code, got, _, err = call("prompt=@q.txt")
    assert (code, got) == (2, [])
    assert err.startswith("error: prompt=@q.txt: cannot read the file (no such file or directory)\nfix: ")


def test_a_key_no_file_sets_can_be_set(call):
    code, [got], _, _ = call("controls.pose.note=a, b")
    assert (code, got["controls"]["pose"]["note"]) == (0, "a, b")


def test_an_experiment_is_taken_over(call):
    code, [got], _, _ = call("experiment=red", "steps=5")
    assert (code, got["prompt"], got["steps"]) == (0, "a red dancer", 5)


def test_a_group_can_be_left_out_altogether(call):
    assert call("~experiment", "steps=5")[0] == 0


BAD = [
    (["controls.pse.weight=1"], "unknown key 'controls.pse.weight'; nearest: controls.pose.weight"),
    (["weight=1"], "unknown key 'weight'; nearest: controls.pose.weight"),
    (["modle=big"], "unknown key 'modle'; nearest: model"),
    (["prmpt=a, b"], "unknown key 'prmpt'; nearest: prompt"),
    (["+controls.pose.wieght=1"], "unknown key 'controls.pose.wieght'"),
    (["~stesp"], "unknown key 'stesp'; nearest: steps"),
    (["controls.lineart.weight=1"], "'lineart' is a choice of control, and it is not chosen"),
    (["model=bgi"], "model=bgi: no such choice; nearest: big"),
    (["control=[pose,linart]"], "control=linart: no such choice; nearest: lineart"),
    (["experiment=rde"], "experiment=rde: no such choice; nearest: red"),
    (["experiment=null"], "experiment=null: names no file of conf/experiment\nfix: leave it out"),
    (["model="], "model=: names no file of conf/model"),
    (["control=[pose,null]"], "control=[pose,null]: names no file of conf/control"),
    (["-m", "model=small,null"], "names no file of conf/model"),
    (["steps=many"], "steps: must be a valid integer"),
    (["steps=0"], "steps: must be greater than or equal to 1 (got 0)"),
    (["controls.pose.weight=-0.5"], "controls.pose.weight: must be greater than or equal to 0 (got -0.5)"),
    (["steps=1,2"], "steps: '1,2' names several values, and this is one run"),
    (["seed=${nope}"], "seed: Interpolation key 'nope' not found"),
    (["seed=(1"], "seed: cannot read the value '(1'"),
    (["my.mp4"], "not of the form key=value: 'my.mp4'"),
    (["--multrun"], "unknown flag --multrun; nearest: --multirun"),
    (["-m", "steps=4,0,5"], "point #1 of the sweep: steps: must be greater than or equal to 1 (got 0)"),
    (["-m", "control=[pose],[linart]"], "control=linart: no such choice"),
    (["-m", "controls.pse.weight=1,2"], "unknown key 'controls.pse.weight'; nearest: controls.pose.weight"),
    (["-m", "steps=4,5", "paths.output=x"], "paths.output: 2 points of the sweep would write to the same folder x"),
    (["-m", "seed=interval(0,1)"], "seed=interval(0,1): an interval has no points of its own"),
    (["prmpt=(a:1.2), b"], "unknown key 'prmpt'; nearest: prompt"),
]


@pytest.mark.parametrize(("argv", "said"), BAD, ids=[" ".join(argv) for argv, _ in BAD])
def test_bad_input_is_explained_before_anything_runs(call, argv, said):
    code, got, _, err = call(*argv)
    assert (code, got) == (2, [])
    assert said in err
    assert err.startswith("error: ")
    assert "Traceback" not in err


def test_points_composed_together_are_those_composed_alone(call):
    """The sweep's check composes once a combination of groups; it must see what Hydra then runs."""
    root = Root("demo", demo.Demo, Path(demo.__file__).parent / "demo_conf")
    with hydra_ready(root) as engine:
        overrides = [
            "model=small,big",
            "model.width=64",
            "control=[pose],[pose,lineart]",
            "steps=range(2,4)",
            "prompt='\\${a}',b",
        ]
        plan = [point.overrides for point in span(parse_overrides(engine, overrides)).points]
        together = list(compose_points(engine, plan, []))
        alone = [compose(engine, point) for point in plan]
    assert len(plan) == 16
    assert [point.data for point in together] == [point.data for point in alone]
    assert [point.choices["model"] for point in together] == [point.choices["model"] for point in alone]


@pytest.mark.parametrize("sweep", [[], ["-m"]], ids=["single", "multirun"])
def test_a_file_that_is_no_yaml_is_named_with_its_line(tmp_path, capsys, sweep):
    conf = tmp_path / "conf"
    shutil.copytree(Path(demo.__file__).parent / "demo_conf", conf)
    (conf / "experiment" / "red.yaml").write_text("steps: 5\nprompt: [1\nseed: }\n")
    code = entry.run_flow(demo.FLOW, [*sweep, "experiment=red", "steps=5"], conf=conf)
    err = capsys.readouterr().err
    assert code == 2
    assert f"{conf / 'experiment' / 'red.yaml'}:3:5: cannot be read as YAML" in err
    assert "Traceback" not in err


def test_several_wrong_values_are_told_at_once(call):
    _, _, _, err = call("steps=0", "strength=2")
    assert "steps: must" in err
    assert "strength: must" in err


def test_an_error_of_the_run_is_told_without_traceback(call):
    code, _, _, err = call("steps=4", "fail_at=4")
    assert code == 2
    assert err.startswith("error: steps: 4 is where it fails\n  <override>:1:7\n    1 | steps=4\n")
    assert err.endswith("\nfix: another step count\n")


def test_debug_shows_the_traceback(call, monkeypatch):
    assert "Traceback" in call("steps=4", "fail_at=4", "--debug")[3]
    monkeypatch.setenv("ROTOSCOPE_DEBUG", "1")
    assert "Traceback" in call("steps=4", "fail_at=4")[3]


def test_a_bug_is_a_traceback_and_exit_code_1(call):
    code, _, _, err = call("steps=4", "fail_at=-4")
    assert code == 1
    assert "RuntimeError: a bug" in err


def test_a_failing_point_does_not_stop_the_later_ones(call):
    code, got, _, err = call("-m", "steps=4,5,6", "fail_at=5")
    assert (code, [one["steps"] for one in got]) == (2, [4, 6])
    assert "error: point #1: steps: 5 is where it fails" in err
    assert "1 of 3 points failed" in err


def test_a_bug_in_a_point_gives_exit_code_1(call):
    code, got, _, err = call("-m", "steps=4,5", "fail_at=-4")
    assert (code, [one["steps"] for one in got]) == (1, [5])
    assert "RuntimeError: a bug" in err


def test_nothing_is_left_in_the_folder(call, tmp_path):
    call("steps=5")
    assert {path.name for path in tmp_path.iterdir()} <= {"out.jsonl", "store"}
    call("-m", "steps=5,6")
    assert {path.name for path in tmp_path.iterdir()} <= {"out.jsonl", "store", "data"}
    [sweep] = (tmp_path / "data/renders").iterdir()
    assert sorted(path.name for path in sweep.iterdir()) == ["0", "1", "multirun.yaml"]


def test_hydra_state_is_cleared_for_the_run(call):
    """A flow may compose on its own (the search does), so nothing of Hydra's may be left behind."""
    from hydra.core.global_hydra import GlobalHydra

    call("steps=5")
    assert not GlobalHydra.instance().is_initialized()


def test_current_outside_of_a_run():
    assert job.current() == job.Job(flow="")


def test_keys_of_a_class():
    keys = shape(demo.Demo)
    assert keys.has("controls.anything.note")
    assert keys.has("model")
    assert keys.has("model.width")
    assert not keys.has("controls.pose.nope")
    assert not keys.has("model.width.deeper")


@pytest.mark.slow
def test_a_launcher_with_processes_of_its_own(tmp_path, prefect_server):
    process = spawn(
        tmp_path, "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "steps=4,5,6", "fail_at=5", "prompt=a, ${b}"
    )
    err = process.communicate(timeout=120)[1]
    lines = ran(tmp_path)
    assert sorted((one["steps"], one["_num"], one["prompt"]) for one in lines) == [(4, 0, "a, ${b}"), (6, 2, "a, ${b}")]
    assert "steps: 5 is where it fails" in err
    assert process.returncode == 2


def test_words_of_the_shell_arrive_unchanged(tmp_path):
    text = "1girl, (red:1.2) 'x' ${oc.env:HOME} 🕺"
    process = spawn(tmp_path, f"prompt={text}")
    assert process.communicate(timeout=120)[1] == ""
    assert [one["prompt"] for one in ran(tmp_path)] == [text]
