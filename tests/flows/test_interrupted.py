"""A flow that is interrupted: its exit code, and what is said of what is kept and of how to go on."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from flows.edge import exits
from reel import interrupt
from tests.flows.demo_runs import spawn


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
    with pytest.raises(KeyboardInterrupt), exits.keeping(lambda: 1 // 0):
        raise KeyboardInterrupt


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
