"""README: what it says of the project is so, and its examples can be typed as they stand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tomllib

import pytest
from packaging.specifiers import SpecifierSet

from benchmarks.runs import ROOT
from flows import cli, flow
from flows.config.compose import settings
from flows.config.root import Root

README = (ROOT / "README.md").read_text("utf-8")
ACTIVATE = "source .venv/bin/activate"
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
EXAMPLES = [
    line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines() if line.startswith("rotoscope ")
]


def test_the_examples_find_the_program():
    """Said before the first example, and by the demo at its end."""
    assert 0 < README.index(ACTIVATE) < README.index("\nrotoscope ")
    # Under `make test` a make of one's own takes over its flags, and says which folder it leaves as its last line.
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    ran = subprocess.run(["make", "-n", "demo"], cwd=ROOT, env=alone, capture_output=True, text=True, check=True)
    lines = ran.stdout
    assert ACTIVATE in lines.splitlines()[-1]


def test_the_versions_of_python_are_those_that_it_installs_on():
    said = re.search(r"Python (3\.[\d., or]+) on", README)
    assert said is not None
    asked = SpecifierSet(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"])
    assert re.findall(r"3\.\d+", said[1]) == [f"3.{minor}" for minor in range(30) if f"3.{minor}" in asked]


def test_every_command_and_every_page_is_named():
    assert {line.split()[1] for line in EXAMPLES} == set(cli.available())
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert pages - set(re.findall(r"docs/([\w-]+\.md)", README)) == set()


@pytest.mark.parametrize("line", [line for line in EXAMPLES if line.split()[1] in ("dance", "search", "animate")])
def test_an_example_is_made_of_settings_that_there_are(line: str):
    """Checked as before a run, but for the files that it names."""
    _, name, *words = shlex.split(line, comments=True)
    if "--help" in words:
        return
    if "--from" in words:
        del words[(place := words.index("--from")) : place + 2]
    one = [word.partition(",")[0] if "-m" in words and "[" not in word else word for word in words if word != "-m"]
    assert settings(Root(name, flow.get(name).settings), one).config
