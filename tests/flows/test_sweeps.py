"""Sweeps that resume, end to end with real Hydra: what runs, what does not run twice, and what is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.config.diagnose import parse_overrides
from flows.config.engine import hydra_ready
from flows.config.root import Root
from flows.sweep.axes import run_order, span
from reel.errors import UserError
from reel.history.sweep_files import Axis
from tests.flows import demo
from tests.flows.demo_runs import ROOT, caller, settle, sweeps


@pytest.fixture
def place(tmp_path, monkeypatch):
    return settle(tmp_path, monkeypatch)


@pytest.fixture
def call(place, capsys):
    return caller(place, capsys, "-m")


def test_the_same_command_again_runs_nothing_and_another_order_of_axes_is_the_same_sweep(call, place):
    code, got, _, err = call("steps=4,5", "strength=0.5,0.6", "sweep.only_failed=false")
    assert (code, len(got)) == (0, 4)
    [sweep] = sweeps(place)
    assert f"sweep {sweep.id}: 4 points over steps, strength" in err
    assert [point.status for point in sweep.points] == ["done"] * 4
    assert dict(sweep.points[1].values) == {"steps": "4", "strength": "0.6"}
    code, got, _, err = call("strength=0.5,0.6", "steps=4,5")
    assert (code, got) == (0, [])
    assert "4 done of 4 points" in err
    assert err.splitlines()[-1] == f"side by side on one page: rotoscope compare sweep={sweep.id}"
    assert [one.id for one in sweeps(place)] == [sweep.id]


def test_where_and_how_a_sweep_runs_is_not_what_it_is(call, place):
    assert len(call("steps=4,5")[1]) == 2
    assert call("steps=4,5", "hydra.verbose=false", f"paths.renders={place}/elsewhere")[1] == []
    assert len(call("steps=4,5", "seed=1")[1]) == 2
    assert len(sweeps(place)) == 2


def test_what_changed_since_is_run_again(call, place):
    (place / "a.mp4").write_bytes(b"a")
    (place / "b.mp4").write_bytes(b"b")
    clips = ("clip=choice(a.mp4, b.mp4)", "steps=4,5")
    assert len(call(*clips)[1]) == 4
    (place / "b.mp4").write_bytes(b"another film")
    code, got, _, err = call(*clips)
    assert (code, [(one["clip"], one["steps"]) for one in got]) == (0, [("b.mp4", 4), ("b.mp4", 5)])
    assert "so far 2 done" in err


def test_failed_points_are_tried_again_when_it_is_asked_for(call, place, monkeypatch):
    monkeypatch.setenv("DEMO_HOOK", "5:memory")
    resource_limit = ("steps=4,5,6",)
    code, got, _, err = call(*resource_limit, "fail_at=6")
    assert (code, [one["steps"] for one in got]) == (1, [4])
    [sweep] = sweeps(place)
    assert [point.status for point in sweep.points] == ["done", "failed", "failed"]
    assert "MemoryError" in sweep.points[1].reason
    assert str(sweep.points[2].reason).startswith("steps: 6 is where it fails")
    monkeypatch.delenv("DEMO_HOOK")
    code, got, _, err = call(*resource_limit, "fail_at=6")
    assert (code, got) == (1, [])
    assert "so far 1 done, 2 failed; failed ones are tried again with sweep.only_failed=true" in err
    assert "#2 steps=6: failed before: steps: 6 is where it fails" in err
    code, got, _, err = call(*resource_limit, "fail_at=6", "sweep.only_failed=true")
    assert (code, [one["steps"] for one in got]) == (2, [5])
    assert [point.attempts for point in sweep.points] == [1, 2, 2]
    assert [point.status for point in sweep.points] == ["done", "done", "failed"]


def test_a_point_that_found_no_room_on_the_disk_is_open_again(call, place, monkeypatch):
    monkeypatch.setenv("DEMO_FULL", "5")
    code, got, _, err = call("steps=4,5,6")
    assert (code, [one["steps"] for one in got]) == (2, [4, 6])
    assert "point #1: no room left while writing film (No space left on device)" in err
    monkeypatch.delenv("DEMO_FULL")
    code, got, _, err = call("steps=4,5,6")
    assert (code, [one["steps"] for one in got]) == (0, [5])
    assert "3 done of 3 points" in err


def test_only_failed_leaves_pending_points_alone(call, place):
    call("steps=4,5,6")
    [sweep] = sweeps(place)
    (sweep.folder / "points" / "2.json").unlink()
    code, got, _, _ = call("steps=4,5,6", "sweep.only_failed=true")
    assert (code, got) == (0, [])
    assert [point.status for point in sweep.points] == ["done", "done", "pending"]
    assert [one["_num"] for one in call("steps=4,5,6")[1]] == [2]


def test_paired_axes_vary_together(call, place):
    code, got, _, err = call("steps=4,5", "strength=0.5,0.6", "model=small,big", "sweep.paired=[steps,model]")
    assert code == 0, err
    assert {(one["steps"], one["model"]["name"], one["strength"]) for one in got} == {
        (4, "small", 0.5),
        (4, "small", 0.6),
        (5, "big", 0.5),
        (5, "big", 0.6),
    }
    [sweep] = sweeps(place)
    assert [axis.name for axis in sweep.axes] == ["steps & model", "strength"]
    assert dict(sweep.points[2].values) == {"steps": "5", "strength": "0.5", "model": "big"}
    assert len(call("steps=4,5", "strength=0.5,0.6", "model=small,big")[1]) == 8  # not paired: another sweep
    pairs = "sweep.paired=[[steps,strength],[model,seed]]"
    assert len(call("steps=4,5", "strength=0.5,0.6", "model=small,big", "seed=7,8", pairs)[1]) == 4


def test_what_is_composed_once_for_many_points_is_what_hydra_composes_for_each(place):
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    from flows.sweep.sweeper import ComposedOnce

    points = [
        ["steps=4", "model=small", "hydra.sweeper.point=0"],
        ["steps=5", "model=small", 'prompt="a, ${b}"', "hydra.sweeper.point=1"],
        ["model=big", "++steps=6", "hydra.sweeper.point=2"],
        ["steps=4", "model=small", "hydra.sweeper.point=0"],
    ]
    root = Root("demo", demo.Demo, ROOT / "tests" / "flows" / "demo_conf")
    with hydra_ready(root) as engine:
        own = engine.loader
        master = engine.hydra.compose_config("demo", ["hydra.sweeper.id=x", "seed=3"], run_mode=RunMode.MULTIRUN)
        once = ComposedOnce(own)
        for point in points:
            ours, hydras = once.load_sweep_config(master, point), own.load_sweep_config(master, point)
            assert OmegaConf.to_container(ours) == OmegaConf.to_container(hydras)
            assert OmegaConf.is_struct(ours)
    assert len(once._bases) == 2


def test_files_are_composed_once_a_combination_however_many_points_there_are(call, place, monkeypatch):
    import hydra

    composed, compose = [], hydra.compose
    monkeypatch.setattr(
        hydra, "compose", lambda *args, **how: composed.append(how["overrides"]) or compose(*args, **how)
    )
    assert len(call("steps=4,5,6", "strength=0.5,0.6")[1]) == 6
    assert composed == [[]]
    (place / "out.jsonl").unlink()
    assert call("steps=4,5,6", "strength=0.5,0.6")[1] == []
    assert composed == [[], []]  # a later call reads the files again


def test_axes_in_a_config_file(call, place):
    code, got, _, err = call("experiment=axes", "seed=3")
    assert code == 0, err
    assert [(one["steps"], one["prompt"], one["seed"]) for one in got] == [
        (steps, prompt, 3) for steps in (4, 5) for prompt in ("a, b", "c")
    ]
    assert [one["steps"] for one in call("experiment=axes", "seed=3", "steps=6")[1]] == [6, 6]


BAD = [
    (["=0.4,0.6"], "not of the form key=value: '=0.4,0.6'"),
    (["0.4,0.6"], "not of the form key=value: '0.4,0.6'"),
    (["steps="], "steps=: an axis without values"),
    (["steps=range(5,5)"], "steps=range(5,5): an axis without values"),
    (["model=glob(x*)"], "model=glob(x*): an axis without values"),
    (["steps=4,,5"], "steps: cannot read the value '4,,5'"),
    (
        ["control=[pose],[pose,lineart]", "controls.lineart.weight=0.3"],
        "point #0 of the sweep: controls.lineart.weight: 'lineart' is not in use with control=[pose]",
    ),
    (["steps=range(4,8,0)"], "steps: range(4,8,0): the step of a range must not be 0"),
    (["steps=range(1e9)"], "1000000000 values; an axis has at most 100000"),
    (["steps=range(true)"], "steps: range(true): a range is of numbers, not of true and false"),
    (["strength=range(0,inf,0.1)"], "the numbers of a range must be finite"),
    (["steps=4,5,4"], "steps=4,5,4: 4 is given twice"),
    (["steps=4,5", "steps=6"], "steps is given twice, and it is an axis"),
    (["steps=4,5", "strength=0.5,0.6,0.7", "sweep.paired=[steps,strength]"], "steps has 2, strength has 3"),
    (["steps=4,5", "strength=0.5", "sweep.paired=[steps,strength]"], "sweep.paired: 'strength' is not an axis"),
    (
        ["steps=4,5", "sweep.paired=[step,strength]"],
        "sweep.paired: 'step' is not an axis of this sweep; nearest: steps",
    ),
    (["steps=4,5", "sweep.paired=[steps]"], "sweep.paired: a pair takes two axes or more"),
    (["steps=4,5", "seed=1,2", "sweep.paired=[steps,seed,steps]"], "sweep.paired: steps is named twice"),
    (["steps=4,5", "sweep.pln=true"], "unknown key 'sweep.pln'; nearest: sweep.plan"),
    (["steps=4,5", "sweep.plan=perhaps"], "sweep.plan: must be true or false"),
    (["steps=4,5", "sweep.plan=true", "hydra/sweeper=basic"], "sweep.plan=true: needs the default sweeper"),
]


@pytest.mark.parametrize(("argv", "said"), BAD, ids=[" ".join(argv) for argv, _ in BAD])
def test_bad_sweeps_are_explained_before_anything_runs(call, place, argv, said):
    code, got, _, err = call(*argv)
    assert (code, got) == (2, [])
    assert said in err
    assert "Traceback" not in err
    assert not (place / "store" / "sweeps").exists()


def test_help_tells_of_sweeps(place, capsys):
    assert demo.main(["--help", "sweep"]) == 0
    assert "sweep.only_failed=false" in (out := capsys.readouterr().out)
    assert "Axes that vary together" in out


def test_a_sweeps_settings_in_a_single_run_are_an_error(place, capsys):
    assert demo.main(["steps=4", "sweep.plan=true"]) == 2
    assert "sweep.plan=true: a setting of sweeps, and this is a single run\nfix: add -m" in capsys.readouterr().err
    assert not (place / "out.jsonl").exists()


def test_a_plan_runs_and_writes_nothing(call, place):
    code, got, out, _ = call("steps=4,5", "strength=0.5,0.6", "sweep.plan=true")
    assert (code, got) == (0, [])
    assert "4 points over steps (2), strength (2)" in out
    assert "nothing was run" in out
    assert not (place / "store" / "sweeps").exists()
    call("steps=4,5", "strength=0.5,0.6")
    out = call("steps=4,5", "strength=0.5,0.6", "sweep.plan=true")[2]
    assert out.count("done") == 4
    assert "0 points to run" in out


def test_sweeps_are_listed_and_an_unknown_one_is_told(call, place, capsys):
    from flows import cli

    call("steps=4,5,6", "fail_at=5")
    store = ["--store", str(place / "store")]
    [sweep] = sweeps(place)
    assert cli.main(["sweeps", *store]) == 0
    assert f"{sweep.id}  " in (listed := capsys.readouterr().out)
    assert "2 done, 1 failed" in listed
    assert cli.main(["sweeps", "latest", *store]) == 0
    assert "steps: 5 is where it fails" in capsys.readouterr().out
    assert cli.main(["sweeps", "demo-0", *store]) == 2
    err = capsys.readouterr().err
    assert "there is no sweep 'demo-0'" in err
    assert f"fix: sweeps here: {sweep.id}" in err


def test_hydras_own_sweeper_can_be_chosen(call, place):
    code, got, _, _ = call("steps=4,5,6", "fail_at=5", "hydra/sweeper=basic")
    assert (code, [one["steps"] for one in got]) == (2, [4, 6])
    assert sweeps(place) == []


def test_what_is_dear_to_change_changes_least_often():
    axes = [
        Axis(keys=("seed",), values=(("1",), ("2",))),
        Axis(keys=("controls.pose.weight", "control"), values=(("0.4", "[pose]"), ("0.8", "[pose,lineart]"))),
        Axis(keys=("model",), values=(("sd15",), ("sprite",))),
        Axis(keys=("compute.dtype",), values=(("float16",), ("float32",))),
    ]
    points = [
        {"seed": seed, "controls.pose.weight": weight, "control": control, "model": model, "compute.dtype": dtype}
        for seed in "12"
        for weight, control in (("0.4", "[pose]"), ("0.8", "[pose,lineart]"))
        for model in ("sd15", "sprite")
        for dtype in ("float16", "float32")
    ]
    order = run_order(axes, points)
    assert sorted(order) == list(range(16))
    ranked = [tuple(points[index][key] for key in ("model", "compute.dtype", "control", "seed")) for index in order]
    assert ranked == sorted(ranked, key=lambda one: (one[0] != "sd15", one[1], one[2] != "[pose]", one[3]))


def test_a_key_of_a_choice_that_every_point_makes(call):
    """The root's own choice does not have it."""
    code, got, _, err = call("control=[lineart],[pose,lineart]", "controls.lineart.weight=0.3")
    assert code == 0, err
    assert [one["controls"]["lineart"]["weight"] for one in got] == [0.3, 0.3]


def test_points_stand_in_the_order_of_hydras_own_sweeper():
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    root = Root("demo", demo.Demo, Path(demo.__file__).parent / "demo_conf")
    with hydra_ready(root) as engine:
        parsed = parse_overrides(engine, ["steps=range(2,5)", "seed=1", "model=glob(*)", "prompt='a, b',c"])
        expected = BasicSweeper.split_arguments(parsed, None)[0]
        assert [list(point.overrides) for point in span(parsed).points] == expected
    assert len(expected) == 12


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("axes", "points"),
    [
        (["seed=range(0,20000)"], 20_000),
        (["seed=range(0,200)", "steps=range(1,101)"], 20_000),
        (["seed=range(0,1,0.00005)"], 20_000),
    ],
)
def test_more_points_than_anybody_renders_are_counted_and_not_made(axes, points):
    root = Root("demo", demo.Demo, Path(demo.__file__).parent / "demo_conf")
    with hydra_ready(root) as engine:
        parsed = parse_overrides(engine, axes)
        with pytest.raises(UserError, match=f"the sweep would have {points} points, at most 10000 are possible"):
            span(parsed)
        few = span(parse_overrides(engine, ["seed=range(0,5)", "steps=1,2", "strength=choice(0.5,1)"]))
        assert len(few.points) == 20
        together = parse_overrides(engine, ["seed=range(0,200)", "steps=range(1,201)"])
        assert len(span(together, [["seed", "steps"]]).points) == 200
