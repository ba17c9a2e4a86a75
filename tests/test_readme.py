"""README: what it says of the project is so, and its examples can be typed as they stand."""

from __future__ import annotations

import subprocess

from benchmarks.runs import ROOT

README = (ROOT / "README.md").read_text("utf-8")
ACTIVATE = "source .venv/bin/activate"


def test_the_examples_find_the_program():
    """Said before the first example, and by the demo at its end."""
    assert 0 < README.index(ACTIVATE) < README.index("\nrotoscope ")
    lines = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert ACTIVATE in lines.splitlines()[-1]
