"""Completion: what the last word of a command line can become, and what bash makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows import cli
from flows.edge.completion import candidates
from reel.history.recorder import begin


@pytest.mark.parametrize(
    ("line", "some", "none"),
    [
        ("rotoscope d", {"dance", "doctor", "down"}, {"runs"}),
        ("rotoscope dance ", {"clip=", "control=", "controls.", "seed="}, {"controls.pose.weight="}),
        ("rotoscope dance controls.pose.m", {"controls.pose.mask.", "controls.pose.mask_file="}, {"model="}),
        ("rotoscope dance control=[pose,lineart] controls.lineart.w", {"controls.lineart.weight="}, set()),
        ("rotoscope dance control=[pose,", {"control=[pose,lineart"}, {"control=[pose,pose"}),
        ("rotoscope dance model=s", {"model=sprite", "model=sd15"}, {"model=animatelcm"}),
        ("rotoscope dance experiment=dance/", {"experiment=dance/traced"}, set()),
        ("rotoscope dance stylize.scheduler=e", {"stylize.scheduler=euler"}, {"stylize.scheduler=ddim"}),
        ("rotoscope dance assemble.sound=", {"assemble.sound=true", "assemble.sound=false"}, set()),
        ("rotoscope dance assemble.crf=", set(), {"assemble.crf=integer", "assemble.crf=null"}),
        ("rotoscope dance --", {"--from", "--quiet"}, set()),
        ("rotoscope train-", {"train-sprite"}, set()),
        ("rotoscope dance prompt='a girl, ", set(), set()),
        ("rotoscope nothing cli", set(), set()),
    ],
)
def test_what_a_word_can_become(line, some, none):
    found = {*candidates(line)}
    assert some <= found
    assert not none & found


def test_runs_and_files(store, tmp_path, monkeypatch):
    recorder = begin(store, "dance", {})
    (tmp_path / "my clip.mp4").touch()
    (tmp_path / "films").mkdir()
    (tmp_path / ".hidden").touch()
    monkeypatch.chdir(tmp_path)
    assert candidates("rotoscope why ", store.root) == [recorder.run, "latest"]
    assert candidates(f"rotoscope dance --from {recorder.run[:8]}", store.root) == [recorder.run]
    assert candidates("rotoscope dance clip=") == ["clip=films/", "clip=my clip.mp4", f"clip={store.root.name}/"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_lines(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    assert f"--answer {shell}" in capsys.readouterr().out


def test_bash_completes(tmp_path):
    program = tmp_path / "rotoscope"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m flows.cli "$@"\n', "utf-8")
    program.chmod(0o755)

    def completed(line: str) -> list[str]:
        script = (
            'eval "$(rotoscope completion bash)"; '
            f"COMP_LINE='{line}' COMP_POINT={len(line)}; _rotoscope; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
        path = f"{tmp_path}:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.run(
            ["bash", "-c", script], env=env, capture_output=True, text=True, check=True
        ).stdout.split()

    assert set(completed("rotoscope tr")) == {"track", "train-sprite"}
    assert completed("rotoscope dance model=sp") == ["sprite", "sprite_ltx"]  # bash's word begins behind the =
    assert completed("rotoscope dance control=[pose,li") == ["[pose,lineart"]
