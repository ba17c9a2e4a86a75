"""The Hydra edge, end to end with real Hydra: what a command line gives, and what it says when it is wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.config.compose import compose, compose_points
from flows.config.diagnose import parse_overrides
from flows.config.engine import hydra_ready
from flows.config.root import Root
from flows.config.shape import shape
from flows.edge import entry, exits, job
from flows.sweep.axes import span
from reel import interrupt
from tests.flows import demo
from tests.flows.hostile import HOSTILE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run the demo flow; gives (exit code, settings of every run, stdout, stderr)."""
    out = tmp_path / "out.jsonl"
    monkeypatch.setenv("DEMO_OUT", str(out))
    monkeypatch.setenv("ROTOSCOPE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("ROTOSCOPE_ROOT", str(tmp_path))
    monkeypatch.setenv("ROTOSCOPE_DEBUG", "0")  # put back afterwards: --debug sets it
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        out.unlink(missing_ok=True)
        code = demo.main(list(argv))
        lines = out.read_text("utf-8").splitlines() if out.exists() else []
        captured = capsys.readouterr()
        return code, [json.loads(line) for line in lines], captured.out, captured.err

    return run


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


def spawn(tmp_path, *argv):
    space = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ROTOSCOPE_")},
        "DEMO_OUT": str(tmp_path / "out"),
        "ROTOSCOPE_STORE": str(tmp_path / "store"),
        "ROTOSCOPE_ROOT": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.flows.demo", *argv]
    return subprocess.Popen(
        command,
        cwd=tmp_path,
        env=space,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background ignores Ctrl-C
    )


@pytest.mark.parametrize("argv", [["fail_at=1000"], ["-m", "fail_at=1000,1"]], ids=["single", "multirun"])
def test_ctrl_c_exits_130(tmp_path, argv):
    process = spawn(tmp_path, *argv)
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "go on    the same command" in err, "of a program that is not rotoscope's nothing can be pasted"
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["/x/bin/rotoscope", "dance", "prompt=a girl, red"], "rotoscope dance 'prompt=a girl, red'"),
        (["/x/flows/cli.py", "dance", "-m", "seed=1,2"], "python -m flows.cli dance -m seed=1,2"),
        (["/x/bin/pytest", "-q"], "the same command"),
    ],
)
def test_ctrl_c_says_what_is_kept_and_the_command_that_goes_on(argv, shown, monkeypatch, capsys):
    from flows.edge import exits

    def work() -> None:
        with exits.keeping(lambda: "2 of 6 points"), exits.keeping(lambda: ""), exits.keeping(lambda: "4 steps"):
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.argv", argv)
    assert exits.guarded(work) == 130
    assert capsys.readouterr().err.splitlines()[1:] == [
        "interrupted",
        "  kept     4 steps",
        "  kept     2 of 6 points",
        f"  go on    {shown}",
    ]


def test_what_cannot_be_told_hides_no_interruption():
    from flows.edge import exits

    with pytest.raises(KeyboardInterrupt), exits.keeping(lambda: 1 // 0):
        raise KeyboardInterrupt


@pytest.mark.slow
def test_a_launcher_with_processes_of_its_own(tmp_path, prefect_server):
    process = spawn(
        tmp_path, "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "steps=4,5,6", "fail_at=5", "prompt=a, ${b}"
    )
    err = process.communicate(timeout=120)[1]
    lines = [json.loads(line) for line in (tmp_path / "out").read_text("utf-8").splitlines()]
    assert sorted((one["steps"], one["_num"], one["prompt"]) for one in lines) == [(4, 0, "a, ${b}"), (6, 2, "a, ${b}")]
    assert "steps: 5 is where it fails" in err
    assert process.returncode == 2


def test_words_of_the_shell_arrive_unchanged(tmp_path):
    text = "1girl, (red:1.2) 'x' ${oc.env:HOME} 🕺"
    process = spawn(tmp_path, f"prompt={text}")
    assert process.communicate(timeout=120)[1] == ""
    assert json.loads((tmp_path / "out").read_text("utf-8"))["prompt"] == text


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


def test_an_interruption_inside_exec_ends_with_the_same_code(tmp_path):
    """Dataclasses are made by exec(), so that importing anything may be interrupted in one."""
    (tmp_path / "made.py").write_text(
        "import sys\nfrom flows.edge.exits import guarded\nsys.exit(guarded(lambda: exec('raise KeyboardInterrupt')))\n"
    )
    done = subprocess.run([sys.executable, "-m", "made"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (exits.INTERRUPTED, "")
    assert "interrupted" in done.stderr


class Finalised:
    """Python drops what its end raises ("Exception ignored in ...")."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __del__(self) -> None:
        raise self.error


def test_an_interruption_that_python_drops_alarms_nobody_while_it_is_remembered(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: told.append(lost.exc_type))

    def work():
        Finalised(KeyboardInterrupt())
        Finalised(ValueError())
        interrupt.remember("why")
        Finalised(KeyboardInterrupt())

    assert exits.guarded(work) == exits.OK
    assert told == [KeyboardInterrupt, ValueError]
    Finalised(KeyboardInterrupt())
    assert len(told) == 3
