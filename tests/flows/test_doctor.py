"""`doctor`: what it finds, and what it says to do about it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from flows.commands import doctor, machine
from reel.errors import UserError
from tests.flows.program import program


@pytest.fixture
def run(capsys, monkeypatch):
    return program(capsys, monkeypatch)


def test_doctor_reports_and_goes_on_when_a_check_breaks(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    def broken():
        raise RuntimeError("no such thing")

    monkeypatch.setattr(doctor, "memory", broken)
    code, out, _ = run("doctor", "--store", tmp_path)
    assert code == 1
    assert "fail  memory     RuntimeError: no such thing" in out
    assert re.search(r"warn +hub +http://127.0.0.1:9 cannot be reached .*\n +-> ", out)
    for line in out.splitlines():
        assert re.match(r"(ok|warn|fail) {1,3}\s?\S|\s+-> \S", line), line
    seen = {line.split()[1] for line in out.splitlines() if not line.startswith(" ")}
    assert {"python", "packages", "config", "device", "memory", "ffmpeg", "hub", "models", "disk", "servers"} <= seen


def test_doctor_where_nothing_is_in_place(run, tmp_path, monkeypatch):
    """No FFmpeg, no settings that compose: each is told with its remedy, and the other checks still run."""
    from tasks.media.ffmpeg import binary

    def broken():
        raise UserError("conf/dance.yaml, line 3: cannot be read as YAML", fix="put that line right")

    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "none"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(doctor, "settings", broken)
    binary.cache_clear()
    try:
        code, out, err = run("doctor", "--store", tmp_path)
    finally:
        binary.cache_clear()
    assert (code, err) == (1, "")
    assert re.search(r"fail +ffmpeg +no FFmpeg program at .*none\n +-> unset IMAGEIO_FFMPEG_EXE", out)
    assert re.search(r"fail +config +conf/dance.yaml, line 3.*\n +-> put that line right", out)
    assert {"memory", "device", "hub"} <= {line.split()[1] for line in out.splitlines()}


def test_doctor_says_what_to_do_about_every_problem():
    """A warning or a failure without a remedy is no help: each is built with one."""
    source = Path(machine.__file__).read_text("utf-8") + Path(doctor.__file__).read_text("utf-8")
    calls = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding"
    ]
    problems = [call for call in calls if isinstance(call.args[0], ast.Constant) and call.args[0].value != "ok"]
    assert len(problems) > 10
    assert all(len(call.args) == 4 for call in problems)


def test_doctor_tells_an_address_of_the_hub_that_is_none(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "nonsense")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    [found] = machine.hub()
    assert (found.level, found.text) == ("fail", "HF_ENDPOINT: 'nonsense' is not an address")
