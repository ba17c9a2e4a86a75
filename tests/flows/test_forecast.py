"""Forecasts on the real program: a dry run tells the work that a render notes, a plan says on what it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows import cli, flow
from flows.config.compose import settings
from flows.config.root import Root
from flows.render.render import foresee
from reel.forecast import History
from reel.keys import entries
from reel.store import Store
from tasks.weights.memory import LOADED
from tests.flows.rendering import SMALL, rendered

pytestmark = pytest.mark.usefixtures("prefect_server")
MEASURED = [*SMALL, "measure=[flicker,palette]"]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Store:
    """A store with one small render in it, which loaded its models; its tests write nothing."""
    LOADED.free()
    return rendered(tmp_path_factory.mktemp("warm"), MEASURED)


def foreseen(store: Store, *overrides: str):
    dance = flow.get("dance")
    own = [*MEASURED, f"paths.store={store.root}", *overrides]
    return foresee(dance, settings(Root(dance.name, dance.settings), own).config)


def plan(capsys: pytest.CaptureFixture[str], store: Store, *axes: str) -> str:
    swept = {axis.partition("=")[0] for axis in axes}
    usual = [one for one in MEASURED if one.partition("=")[0] not in swept]
    assert cli.main(["dance", "-m", *usual, *axes, "sweep.plan=true", f"paths.store={store.root}"]) == 0
    return capsys.readouterr().out


def column(table: str, name: str) -> list[str]:
    """A column of a plan's table."""
    header = re.search(r"^# .*$", table, re.MULTILINE)
    assert header
    start = header[0].index(name)
    return [line[start:].partition("  ")[0].strip() for line in table.splitlines() if re.match(r"\d+  ", line)]


def test_a_dry_run_tells_the_work_that_a_render_notes(warm: Store, tmp_path: Path):
    noted = {entry["fields"]["op"]: entry["work"] for _, entry in entries(warm)}
    told = {one.stage.op: one.work for one in foreseen(Store(tmp_path / "empty"))}
    assert told.keys() == noted.keys()
    for op, work in told.items():
        assert work is not None
        assert dict(work.amounts) == pytest.approx(noted[op]["amounts"]), op
        assert dict(work.pace) == noted[op]["pace"], op
    assert noted["stylize.denoise"]["loading"] > 0


def test_a_dry_run_writes_nothing(warm: Store):
    before = {path: path.stat().st_mtime_ns for path in warm.root.rglob("*") if path.is_file()}
    coming = foreseen(warm, "extract.max_frames=2")
    History(warm).estimate("dance", coming)
    assert {path: path.stat().st_mtime_ns for path in warm.root.rglob("*") if path.is_file()} == before
    assert {one.stage.op for one in coming if one.work is None} == {"stylize.embed"}


def test_a_plan_says_what_it_stands_on(warm: Store, capsys: pytest.CaptureFixture[str]):
    out = plan(capsys, warm, "seed=0,1", "stylize.num_inference_steps=2,16")
    assert column(out, "basis") == ["", "scaled", "observed", "scaled"]
    seconds = [float(told.partition(" ")[0]) for told in column(out, "seconds")]
    assert seconds[1] > seconds[2]  # eight times the steps
    assert "nothing: all is cached" in out
    assert re.search(r"time +about .* \(.* to .*\)", out)


def test_a_plan_names_what_it_cannot_know(warm: Store, capsys: pytest.CaptureFixture[str]):
    out = plan(capsys, warm, "control=[pose],[lineart]", "seed=1")
    assert re.search(r"\) \+ \? +observed +lineart_standard, denoise", out)
    assert "not known from past runs, and left out of all sums: lineart_standard" in out
