"""The program: its help, its flags, the stores and mirrors that it is given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows import cli
from flows.commands.models import names, painters
from reel.store import Store
from tests.flows.program import program, render


@pytest.fixture
def run(capsys, monkeypatch):
    return program(capsys, monkeypatch)


def test_overview_lists_every_flow_and_command(run):
    code, out, _ = run()
    assert code == 0
    assert run("--help")[1] == out
    listed = re.findall(r"^  ([a-z][\w-]*) +\S", out, re.MULTILINE)
    assert {"dance", "doctor", "up", "down", "runs", "why", "models", "gc"} <= set(listed)
    assert set(listed) == set(cli.available())
    assert re.search(r"^  runs +list the renders, ", out, re.MULTILINE)  # what it does, and not its details alone
    assert re.search(r"^  dance +a live-action clip ", out, re.MULTILINE)


def test_the_page_of_the_command_line_names_every_flow_and_command():
    """In its usage; and below it a row of the table for each command, on rows without a gap, or it is no table."""
    page = (Path(cli.__file__).parents[1] / "docs" / "cli.md").read_text("utf-8")
    usage = page.split("```")[1]
    assert set(re.findall(r"(?<=[ ,])[a-z][\w-]+(?=,|\n)", usage)) >= set(cli.available())
    table = page.partition("\n## Commands\n\n")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z]+)", table)) >= set(cli.COMMANDS)


def test_every_root_config_has_its_flow():
    """conf/<flow>.yaml and flows/<flow>.py, or the package of that name, share the stem."""
    root = Path(cli.__file__).parents[1]
    stems = {path.stem for path in (root / "conf").glob("[!_]*.yaml")}  # _render.yaml is part of others
    assert "dance" in stems
    assert stems <= {path.stem for path in (root / "flows").iterdir()}


@pytest.mark.parametrize("name", cli.available())
def test_help_wins_over_whatever_stands_beside_it(name, capsys):
    try:
        code = cli.main([name, "--bogus", "no.such=1", "clip=", "-n", "many", "--help", "--store"])
    except SystemExit as end:  # argparse's way to be done
        code = end.code
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert f"rotoscope {name} " in out.partition("\n")[0]
    assert len(out.splitlines()) > 5


@pytest.mark.parametrize("argv", [["-h"], ["--debug", "--help"], ["--bogus", "-h"]], ids=" ".join)
def test_help_of_the_program(run, argv):
    assert run(*argv)[:2] == run("--help")[:2]


def test_help_of_a_command_below_another(capsys):
    for argv in (["lint", "--frames", "none", "-h"], ["--bogus", "lint", "--help"]):
        with pytest.raises(SystemExit) as end:
            cli.main(["schedule", *argv])
        assert end.value.code == 0
        assert capsys.readouterr().out.startswith("usage: rotoscope schedule lint ")


def test_version(run):
    assert re.fullmatch(r"rotoscope \d\S*.*\n", run("--version")[1])


def test_a_typo_names_the_nearest_command(run):
    code, _, err = run("dnace")
    assert code == 2
    assert "no command 'dnace'; nearest: dance" in err


def test_a_wrong_flag_of_a_command(run, tmp_path):
    code, _, err = run("runs", "--stor", tmp_path)
    assert code == 2
    assert "--stor" in err
    assert "--store" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["runs", "why", "gc"])
def test_commands_that_look_make_no_store(run, tmp_path, command):
    code, _, err = run(command, "--store", tmp_path / "none")
    assert (code, (tmp_path / "none").exists()) == (2, False)
    assert "no store at" in err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["runs", "-n", "-3"], "argument -n: must be a whole number, 0 or more, got '-3'"),
        (["runs", "-n", "1.5"], "argument -n: must be a whole number, 0 or more, got '1.5'"),
        (["runs", "-n", "9" * 5000], "argument -n: must be a whole number, 0 or more, got '999"),
        (["runs", "--flow", "dnace"], "--flow: there is no flow 'dnace'; nearest: dance"),
        (["up", "--prefect-port", "70000"], "--prefect-port: must be a whole number, 1 to 65535, got '70000'"),
        (["up", "--mlflow-port", "0"], "--mlflow-port: must be a whole number, 1 to 65535, got '0'"),
        (["up", "--prefect-port", "-1"], "--prefect-port: must be a whole number, 1 to 65535, got '-1'"),
        (["down", "--store", ""], "argument --store: is empty: name a file or folder"),
        (["runs", "--store", "a" * 5000], "argument --store: a name in the path has 5000 bytes, at most 255"),
        (["why", ""], "no run fits ''"),
        (["sweeps", ""], "there is no sweep ''"),
        (["models", ""], "error: '': no such choice"),
        (["models", "../dance"], "../dance: no such choice"),
        (["mirror", "push", ""], "the mirror's address is empty"),
        (["down", "--store", "nowhere"], "no server was started for the store"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_flags_that_no_command_can_mean(run, tmp_path, monkeypatch, argv, said):
    render(Store(tmp_path / "store"), 2.0)
    monkeypatch.chdir(tmp_path)
    more = [] if "--store" in argv else ["--store", tmp_path / "store"]
    code, _, err = run(*argv, *more)
    assert (code, said in err) == (2, True), err
    assert len(err) < 400
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


@pytest.mark.parametrize("command", [["runs"], ["down"], ["up", "--only", "mlflow"], ["mirror", "pull", "file:///x"]])
def test_a_store_that_is_named_empty_is_not_the_folder_one_stands_in(run, tmp_path, monkeypatch, command):
    monkeypatch.setenv("ROTOSCOPE_STORE", "")
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*command)
    assert (code, "paths.store: is empty: name a file or folder" in err) == (2, True), err
    assert "${oc.env:ROTOSCOPE_STORE" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["up", "down", "runs"])
def test_a_file_is_no_store(run, tmp_path, command):
    (tmp_path / "x").write_text("a film, say")
    code, _, err = run(command, "--store", tmp_path / "x")
    assert (code, str(tmp_path / "x") in err) == (2, True), err


@pytest.mark.parametrize("direction", ["push", "pull"])
def test_a_mirror_of_nothing_is_no_success(run, tmp_path, direction):
    Store(tmp_path / "store")
    code, out, err = run("mirror", direction, f"file://{tmp_path / 'nowhere'}", "--store", tmp_path / "store")
    assert (code, out) == (2, "")
    assert f"error: nothing to {direction}: " in err
    assert "fix: " in err


def test_models_lists_the_catalogue(run):
    code, out, err = run("models")
    assert (code, err) == (0, "")
    listed = [line.split()[0] for line in out.splitlines()[1:] if line and not line.startswith("more")]
    assert listed == [*names(), "keyframe", *painters()]
    assert listed[0] == "sprite"
    assert {"sd15"} <= set(listed)


def test_models_describes_one(run):
    code, out, _ = run("models", "sd15")
    assert code == 0
    assert "controlnets.openpose" in out
    assert "motion window" in out
    assert "licence" in out
    code, _, err = run("models", "sd51")
    assert code == 2
    assert "sd51: no such choice; nearest: sd15" in err


@pytest.mark.parametrize("more", [[], ["--cfg", "job"], ["-m"]])
def test_a_folder_within_a_group_is_told_how_it_is_chosen(run, more):
    code, _, err = run("dance", "experiment/dance=new_character", *more)
    assert code == 2
    assert "dance is a folder of the group experiment" in err
    assert "fix: experiment=dance/new_character" in err
