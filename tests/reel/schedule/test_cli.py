"""``rotoscope schedule``: exit codes, formats, and files that are changed whole or not at all."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.commands.schedule import main
from reel.schedule.read import read

GOOD, BAD = "0: red top; 24: blue top", "{'0': 'a'}"


def test_lint_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", GOOD]) == 0
    assert main(["lint", BAD]) == 1
    assert main(["lint", '"0": "a", "9": "b"']) == 0
    assert main(["lint", '"0": "a", "9": "b"', "--fail-on", "warning"]) == 1
    assert main(["lint", BAD, "--fail-on", "never"]) == 0
    assert main(["lint", "no-such-file.yaml"]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_lint_shows_the_place_with_a_caret(capsys: pytest.CaptureFixture[str]) -> None:
    main(["lint", '"0": "a"\n"8": "b"'])
    out = capsys.readouterr().out
    assert "<text>:1:9: error RS105: a comma is missing" in out
    lines = out.splitlines()
    at = next(i for i, line in enumerate(lines) if "RS105" in line)
    row, caret = lines[at + 1 : at + 3]
    assert row.index('"a"') + 3 == caret.index("^")
    assert "docs/schedules/codes.md#rs105" in out


def test_lint_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    main(["lint", BAD, "--format", "json"])
    data = json.loads(capsys.readouterr().out)
    assert data["dialect"] == "fizz"
    assert data["findings"][0] == {
        "code": "RS101",
        "severity": "error",
        "line": 1,
        "column": 1,
        "certain": True,
        "docs": "docs/schedules/codes.md#rs101",
        "fix": "leave the outer { } out",
        "message": "FizzNodes puts the outer braces around the text itself: with these its JSON breaks",
    }


def test_lint_as_workflow_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a,b.txt"
    path.write_text("girl\n0: a\n9:b\n")
    assert main(["lint", str(path), "--format", "github"]) == 1
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith(f"::error file={str(path).replace(',', '%2C')},line=3,col=3,title=RS303::")


def test_lint_reads_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"0: a\n9:b")))
    assert main(["lint", "-"]) == 1
    assert "<stdin>:2:3" in capsys.readouterr().out


def test_lint_knows_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    main(["lint", "0: 0.5; 9: 30", "--kind", "value", "--parameter", "weight"])
    assert "RS307" in capsys.readouterr().out
    main(["lint", "0: 0.5; 9: 3", "--kind", "value", "--range", "0..4"])
    assert "RS307" not in capsys.readouterr().out


def test_fix_shows_a_diff_and_writes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.txt"
    path.write_text("{'0': 'a'}\n")
    assert main(["fix", str(path)]) == 0
    assert "-{'0': 'a'}" in capsys.readouterr().out
    assert path.read_text() == "{'0': 'a'}\n"
    assert main(["fix", str(path), "--write"]) == 0
    assert path.read_text() == '"0": "a"\n'
    assert [p.name for p in tmp_path.iterdir()] == ["s.txt"]
    assert main(["fix", BAD, "--write"]) == 2
    assert main(["fix", '"0": [1]']) == 1


def test_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", GOOD, "--table", "--frames", "32", "--out", str(tmp_path / "t.svg")]) == 0
    out = capsys.readouterr().out
    assert "24-31" in out
    assert (tmp_path / "t.svg").stat().st_size > 1000
    assert main(["show", "0: a; 50%: b"]) == 2
    assert "--frames" in capsys.readouterr().err
    assert main(["show", BAD]) == 1


def test_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", GOOD, "--to", "fizz", "--frames", "48"]) == 0
    assert '"23": "red top"' in capsys.readouterr().out
    out = tmp_path / "s.yaml"
    assert main(["convert", '0 = "a", 8 = "b"', "--out", str(out)]) == 0
    assert read(out).dialect == "yaml"
    assert main(["convert", "0 ease(in): a; 9: b", "--to", "fizz", "--strict"]) == 1
    assert "RS501" in capsys.readouterr().err
    assert main(["convert", BAD]) == 1


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, flows.commands.schedule as s; s.main(['lint', '0: a; 8: b'])\n"
        "s.main(['convert', '0: a', '--to', 'fizz'])\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'cv2', 'mlflow', 'prefect', 'hydra', 'matplotlib', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_schedule_that_is_longer_than_a_file_name_is_a_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    words = "; ".join(f"{at}: red top number {at}" for at in range(0, 400, 8))
    assert len(words) > 900
    assert main(["lint", words]) == 0
    assert main(["lint", f"@{'a' * 300}"]) == 2
    assert "a name in the path has 300 bytes, at most 255" in capsys.readouterr().err


@pytest.mark.timeout(20)
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    for where in (f"{tmp_path}/pipe.txt", f"@{tmp_path}/pipe.txt", "@/dev/zero"):
        assert main(["lint", where]) == 2
        assert "is not a regular file" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["show"], ["convert", "--to", "fizz"]])
def test_where_nothing_can_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    for out, said in ((tmp_path, "is a folder"), (tmp_path / "none" / "x.png", "there is no folder")):
        assert main([*command, GOOD, "--frames", "30", "--out", str(out)]) == 2
        out_, err = capsys.readouterr()
        assert (out_, said in err, "fix: " in err) == ("", True, True), err
    assert list(tmp_path.iterdir()) == []
