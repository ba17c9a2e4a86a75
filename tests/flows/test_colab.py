"""docs/colab.ipynb: its cells are run one after the other, as somebody runs them, but for those that install.

The embedded families draw, as they do where nothing is changed, in fewer frames and steps. Shell lines are handed to
the program in the notebook's own process, which spares an import each.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from benchmarks.runs import ROOT
from reel.history.record import list_records
from reel.store import Store

NOTEBOOK = ROOT / "docs" / "colab.ipynb"
CLIPS = "frames=9 animate.num_inference_steps=1 compute.dtype=float32 measure=none"
INSTEAD = {
    "DANCE": "extract.max_frames=2 extract.short_side=64 stylize.num_inference_steps=1 measure=none",
    "ANIMATE": CLIPS,
    "STORYBOARD": f"{CLIPS} draw.num_inference_steps=1 film.output.preset=ultrafast",
}
"""What the cell of settings says here."""
SYSTEM = """\
import shlex
from flows import cli

def system(command):
    argv = shlex.split(get_ipython().var_expand(command, depth=1))
    assert argv[0] == "rotoscope", f"only an installing cell runs other programs: {{command}}"
    code = cli.main([*argv[1:], *{more!r}.get(argv[1], {render!r})])
    assert code == 0 or argv[1] == "doctor", f"{{command}}: exit {{code}}"

get_ipython().system = system
"""


def cells(tag: str) -> list[Any]:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def test_it_holds_no_outputs_and_names_settings_that_there_are():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
    named: dict[str, str] = {}
    exec("\n".join(cell.source for cell in cells("parameters")), {}, named)
    assert named.keys() == INSTEAD.keys()
    for word in re.findall(r"\w+=\w+", cells("parameters")[0].source):  # those in its remarks, too
        key, _, value = word.partition("=")
        if key in ("model", "keyframe", "compute"):
            assert (ROOT / "conf" / key / f"{value}.yaml").is_file(), word
    assert any("make setup" in cell.source for cell in cells("install"))


@pytest.mark.slow
def test_its_cells_run_from_the_first_to_the_last(
    prefect_server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])))
    store = tmp_path / "store"
    render = [f"paths.store={store}", f"paths.renders={tmp_path}/renders", "tracking=none"]
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "install" not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = "\n".join(f"{name} = {value!r}" for name, value in INSTEAD.items())
    more = {"doctor": [], "runs": ["--store", str(store)]}
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SYSTEM.format(more=more, render=render)))
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=1200, kernel_name="python3", resources=where).execute()

    shown = [out["data"] for cell in notebook.cells for out in cell.get("outputs", []) if "data" in out]
    assert sum("<video" in data.get("text/html", "") for data in shown) == 3
    assert sum("image/png" in data for data in shown) == 2
    records = list_records(Store(store))[0]
    assert {(one.flow, one.status) for one in records} == {
        (name, "done") for name in ("dance", "animate", "storyboard", "shot")
    }
