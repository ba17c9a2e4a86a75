"""A flow that is interrupted: its exit code, and what is said of what is kept and of how to go on."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from pydantic import BaseModel, model_serializer

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


class Wrapping(BaseModel):
    """Pydantic's core makes an error of its own of an interruption while it writes a model."""

    @model_serializer
    def _write(self) -> dict[str, str]:
        signal.raise_signal(signal.SIGTERM)
        return {}


def test_an_interruption_that_a_library_wraps_is_one_still(capsys):
    assert exits.guarded(lambda: print(Wrapping().model_dump())) == exits.INTERRUPTED
    err = capsys.readouterr().err
    assert "interrupted" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(("work", "code"), [
    ("raise UserError('wrong', fix='this ' * 5000)", exits.USER_ERROR),
    ("raise KeyboardInterrupt", exits.INTERRUPTED),
    ("1 // 0", exits.FAILED),
])  # fmt: skip
def test_a_message_that_finds_no_room_leaves_the_exit_code(tmp_path, work, code):
    """``rotoscope ... 2> log`` on a disk that runs full; here a limit for every file, as ``ulimit -f`` sets it."""
    (tmp_path / "made.py").write_text(
        "import resource, signal, sys\nfrom flows.edge.exits import guarded\nfrom reel.errors import UserError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"def work():\n    {work}\nsys.exit(guarded(work))\n"
    )
    with (tmp_path / "log").open("w") as log:
        done = subprocess.run([sys.executable, "-B", "-m", "made"], cwd=tmp_path, stderr=log)
    assert done.returncode == code
    assert (tmp_path / "log").stat().st_size == 10


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
