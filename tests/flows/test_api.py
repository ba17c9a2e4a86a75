"""Flows from Python: the same settings and errors as the command line's, and a notebook that shows what came out."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from flows import api, flow
from flows.config.engine import hydra_ready
from flows.config.root import Root
from reel.errors import UserError
from reel.history.record import list_records
from reel.history.recorder import begin
from reel.store import Store
from tests.flows.hostile import HOSTILE

SMALL: dict[str, Any] = {
    "extract": {"max_frames": 3, "short_side": 64},
    "stylize": {"num_inference_steps": 2},
    "assemble": {"side_by_side": False},
    "compute": {"dtype": "float32"},
    "tracking": "none",
    "measure": ["flicker"],
}


def composed(name: str, **settings: Any) -> Any:
    with hydra_ready(Root(name, flow.get(name).settings)) as engine:
        return api._composed(engine, None, settings).config


def test_every_flow_has_a_function():
    assert {*flow.names()} <= {*dir(api)}
    assert api.dance.__name__ == "dance"
    assert "live-action clip" in (api.dance.__doc__ or "")
    with pytest.raises(AttributeError, match="there is no flow 'dnace'"):
        _ = api.dnace


def test_keywords_are_settings_and_dicts_leave_the_other_keys_alone():
    weights = {"lineart": {"weight": 0.3, "mask": {"region": "hair"}}}
    config = composed(
        "dance", control=["pose", "lineart"], controls=weights, clip=Path("a b.mp4"), extract={"end": 1.5}
    )
    assert (config.controls["pose"].weight, config.controls["lineart"].weight) == (1.0, 0.3)
    assert config.controls["lineart"].mask.region == "hair"
    assert (config.clip, float(config.extract.end), config.extract.fps) == (
        Path("a b.mp4"),
        1.5,
        composed("dance").extract.fps,
    )
    pictures = [{"picture": "b, c.png", "at": 8, "strength": 0.5}]
    assert composed("animate", picture="a.png", pictures=pictures).pictures[0].picture == Path("b, c.png")
    assert composed("dance", model="sd15", prompt_schedule=None).model.name == "sd15"
    wall = {"wall": {"prompt": "a wall, {x}", "mask": {"region": "background"}}}
    assert composed("dance", regions=wall).regions["wall"].prompt == "a wall, {x}"


@pytest.mark.parametrize("text", [*HOSTILE, "@file", "choice(a, b)", "null"])
def test_texts_are_literal(text):
    assert composed("animate", prompt=text).prompt == text


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"extract": {"fsp": 8}}, "nearest: extract.fps"),
        ({"model": "sd16"}, "no such choice"),
        ({"seed": "three"}, "seed"),
        ({"controls": {"lineart": {"weight": 1}}}, "'lineart' is a choice of control"),
        ({"controls": {}}, "an empty dict"),
        ({"control": [1]}, "names of files"),
    ],
)
def test_mistakes_are_told_as_on_the_command_line(settings, told):
    with pytest.raises(UserError, match=told):
        composed("dance", **settings)


def test_what_a_record_says_is_no_markup(store, tmp_path):
    config = {"prompt": "<script>"}
    record = begin(store, "dance", config, title="<script>alert(1)</script>", output=tmp_path).finish("done")
    shown = api.Render.model_validate(dict(record))._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


@pytest.mark.slow
def test_a_notebook_renders_shows_and_takes_up_again(prefect_server: Path, tmp_path: Path):
    paths = {"store": str(tmp_path / "store"), "renders": str(tmp_path / "renders")}
    cells = [
        f"from flows.api import dance\nsmall = {SMALL | {'paths': paths}!r}",
        "record = dance(seed=3, name='from a notebook', **small)\nrecord",
        "again = dance(past=record.run, paths=small['paths'], tracking='none')",
        "again.reused, again.output == record.output",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    root = Path(__file__).parents[2]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
    NotebookClient(
        notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    (shown,) = [one["data"]["text/html"] for one in notebook.cells[1].outputs if one.output_type == "execute_result"]
    assert re.search(r"<video [^>]*src='data:video/mp4;base64,", shown)
    assert "<img" in shown
    assert "flicker.mean" in shown
    assert "from a notebook" in shown
    assert notebook.cells[3].outputs[-1]["data"]["text/plain"] == "(True, True)"
    assert list_records(Store(tmp_path / "store"))[0][0].title == "from a notebook"
