"""compare as a whole: what is asked for, what is reused, what comes out, and what bad input is told."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic_renders import grid
from flows import cli
from flows.prefect_server import servers
from reel.history.record import RenderRecord, list_records, load, record_path, save
from reel.history.sweep import Manifest
from reel.history.sweep_files import Axis, Planned
from reel.store import Store
from tasks.tracking.rebuild import flush_pending, rebuild
from tasks.tracking.settings import Tracking
from tests.browser import PATIENCE, browser, watched
from tests.servers import free_port

pytestmark = pytest.mark.usefixtures("prefect_server")
Run = Callable[..., int]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Four renders of two weights; copied by the tests that use it."""
    store = Store(tmp_path_factory.mktemp("rendered") / "store")
    grid(store, 2, count=4)
    return store


@pytest.fixture
def store(rendered: Store, tmp_path: Path) -> Store:
    shutil.copytree(rendered.root, tmp_path / "store")
    return Store(tmp_path / "store")


@pytest.fixture
def run(store: Store, tmp_path: Path) -> Run:
    """`rotoscope compare` on that store; gives the exit code."""

    def go(*overrides: str) -> int:
        common = ("tracking=none", f"paths.store={store.root}", f"paths.output={tmp_path / 'out'}")
        return cli.main(["compare", *common, *overrides])

    return go


def renders(store: Store) -> list[str]:
    return [record.run for record in list_records(store)[0] if record.flow == "dance"]


def newest(store: Store) -> RenderRecord:
    """The record of the latest comparison; the drawn renders lie in the past or the future, as they like."""
    return max((one for one in list_records(store)[0] if one.flow == "compare"), key=lambda one: one.started)


def data(folder: Path) -> dict[str, Any]:
    text = (folder / "compare.html").read_text("utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def transcoded(record: RenderRecord) -> int:
    return sum(not stage.reused for stage in record.stages if stage.op == "compare.preview")


def test_all_that_was_promised_comes_out_and_is_recorded(run: Run, store: Store, tmp_path: Path):
    assert run(f"runs=[{','.join(renders(store))}]") == 0
    record, out = newest(store), tmp_path / "out"
    roles = {output.name: output.role for output in record.outputs}
    assert roles["compare.html"] == "page"
    assert roles["grid.mp4"] == "movie"
    assert roles["grid.png"] == "sheet"
    assert {"plots/tradeoff.png", "plots/numbers.png", "plots/parallel.png"} <= {
        n for n, r in roles.items() if r == "plot"
    }
    assert all((out / name).stat().st_size for name in roles)
    shown = data(out)
    assert {axis["key"] for axis in shown["axes"]} == {"controls.pose.weight", "controls.lineart.weight"}
    assert len(shown["tiles"]) == 6  # four renders, and the source and the map that they share
    assert all(point["tile"] is not None and len(point["beside"]) == 2 for point in shown["points"])
    assert transcoded(record) == 6


def test_one_more_render_is_the_only_one_that_is_transcoded(run: Run, store: Store):
    names = renders(store)
    assert run(f"runs=[{','.join(names[:3])}]", "film=false", "plots=false") == 0
    assert transcoded(newest(store)) == 5
    assert run(f"runs=[{','.join(names)}]", "film=false", "plots=false") == 0
    assert transcoded(newest(store)) == 1
    assert run(f"runs=[{','.join(names)}]", "film=false", "plots=false") == 0
    assert newest(store).reused


def swept(store: Store) -> Manifest:
    """The four renders as a sweep of six points: four done, one failed, one that nobody has run."""
    records = {run: load(record_path(store, run)) for run in renders(store)}
    values = [
        {"controls.pose.weight": pose, "controls.lineart.weight": lineart}
        for pose in ("0.0", "1.0", "2.0")
        for lineart in ("0.0", "1.0")
    ]
    axes = [
        Axis(keys=(key,), values=tuple((value,) for value in dict.fromkeys(one[key] for one in values)))
        for key in values[0]
    ]
    planned = [
        Planned(index=n, overrides=tuple(f"{k}={v}" for k, v in one.items()), values=one, digest=f"{n}")
        for n, one in enumerate(values)
    ]
    overrides = ("controls.pose.weight=0.0,1.0,2.0", "controls.lineart.weight=0.0,1.0")
    manifest = Manifest.start(store, "dance", overrides, axes, planned)
    for index, name in enumerate(records):
        claim = manifest.claim(index)
        assert claim is not None
        claim.began(name)
        claim.done()
    claim = manifest.claim(4)
    assert claim is not None
    claim.fail("out of memory </script>", "MemoryError")
    return manifest


def test_a_sweep_is_shown_with_its_axes_and_what_failed_or_is_pending(run: Run, store: Store, tmp_path: Path):
    sweep = swept(store)
    assert run(f"sweep={sweep.id[:10]}", "plots=false") == 0
    assert newest(store).sweep == sweep.id
    shown = data(tmp_path / "out")
    assert [axis["key"] for axis in shown["axes"]] == ["controls.pose.weight", "controls.lineart.weight"]
    assert [point["status"] for point in shown["points"]] == ["done"] * 4 + ["failed", "pending"]
    assert shown["points"][4]["reason"] == "out of memory </script>"
    assert shown["points"][5]["at"] == [2, 1]
    assert shown["points"][4]["tile"] is None


def test_nothing_of_it_tells_where_things_lie_on_this_machine(run: Run, store: Store, tmp_path: Path):
    """Not the page of clips from several folders, nor what a failed render says, nor the film's labels."""
    clips = [tmp_path / "my films" / name for name in ("monday/take.mp4", "tuesday/take.mp4", "solo.mp4")]
    for number, name in enumerate(renders(store)):
        record = load(record_path(store, name))
        config = record.config | {
            "clip": str(clips[number % 3]),
            "prompt": f"/imagine a girl/boy of {clips[0]}",
            "stylize": {"loras": [{"source": {"kind": "file", "id": str(tmp_path / "loras" / "ink.safetensors")}}]},
            "reference": str(tmp_path / f"me{number % 2}.png"),
            "prompt_schedule": f"0: red --pic {tmp_path}/pics/{number}.png",
            "paths": {"store": str(store.root), "root": "/srv/rotoscope"},
        }
        failed = {"status": "failed", "reason": f"no space left: {store.root}/tmp/x, see /var/log/disk.log"}
        result = {key: value for key, value in config.items() if key != "paths"} if number % 2 else None
        save(store, record.model_copy(update={"config": config, "result": result, **(failed if number == 3 else {})}))
    assert run(f"runs=[{','.join(renders(store))}]", "axes=[clip]") == 0
    page, shown = (tmp_path / "out" / "compare.html").read_text("utf-8"), data(tmp_path / "out")
    for folder in (tmp_path, store.root, clips[0].parent, Path.cwd(), Path.home(), "/srv/", "/var/"):
        assert f"{folder}" not in page
    assert [axis["values"] for axis in shown["axes"] if axis["key"] == "clip"] == [
        ["monday/take.mp4", "tuesday/take.mp4", "solo.mp4"]
    ]
    settings = shown["common"] | shown["points"][1]["settings"]
    assert settings["prompt"] == "/imagine a girl/boy of monday/take.mp4"
    assert settings["prompt_schedule"] == "0: red --pic 1.png"
    assert json.loads(settings["stylize.loras"])[0]["source"]["id"] == "ink.safetensors"
    assert shown["points"][1]["clip"] == "tuesday/take.mp4"
    assert shown["points"][3]["reason"] == "no space left: x, see disk.log"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ([], "sweep=<id>, runs="),
        (["sweep=latest", "runs=[a]"], "sweep and runs"),
        (["sweep=dance-0000"], "there is no sweep 'dance-0000'"),
        (["runs=[00000X]"], "nearest:"),
        (["runs=[1e5]"], "read as a number"),
        (["runs=[2026]"], "4 runs fit '2026'"),
        (["runs=[000001,000002]", "axes=[controls.pose.wait]"], "nearest: controls.pose.weight"),
        (["runs=[000001,000002]", "reference=000003"], "no run fits '000003'"),
        (["runs=[000001]", "page.megabytes=0"], "page.megabytes"),
        (["runs=[000001]", "page.megabyte=3"], "page.megabytes"),
    ],
)
def test_bad_input_is_told_before_anything_runs(run: Run, store: Store, capsys: Any, asked: list[str], told: str):
    assert run(*asked) == 2
    assert told in capsys.readouterr().err
    assert not [record for record in list_records(store)[0] if record.flow == "compare"]


def test_renders_whose_pictures_are_gone_are_told(run: Run, store: Store, capsys: Any):
    shutil.rmtree(store.root / "objects")
    (store.root / "objects").mkdir()
    assert run(f"runs=[{','.join(renders(store))}]") == 2
    assert "no picture is left" in capsys.readouterr().err


@pytest.fixture(scope="module")
def tracked_store(
    rendered: Store, tmp_path_factory: pytest.TempPathFactory, mlflow_tables: Path
) -> tuple[Store, Tracking]:
    """The renders in a real MLflow database."""
    root = tmp_path_factory.mktemp("tracked")
    shutil.copytree(rendered.root, root / "store")
    store = Store(root / "store")
    place = store.root / "mlflow"
    place.mkdir()
    shutil.copy(mlflow_tables, place / "mlflow.db")
    tracking = Tracking(uri=f"sqlite:///{place / 'mlflow.db'}", artifacts=place / "artifacts", timeout=60)
    logged, failed = rebuild(store, tracking)
    assert len(logged) == 4, failed
    return store, tracking


@pytest.mark.slow
def test_a_filter_finds_renders_in_mlflow_and_the_page_plays_in_its_viewer(
    tracked_store: tuple[Store, Tracking], tmp_path: Path, capsys: Any
):
    store, tracking = tracked_store
    common = [f"paths.store={store.root}", f"paths.output={tmp_path / 'out'}", "tracking.timeout=100", "plots=false"]
    assert cli.main(["compare", *common, "filter=params.`controls.pose.weight` = '1.0'"]) == 0
    assert len(data(tmp_path / "out")["points"]) == 2
    assert cli.main(["compare", *common, "filter=params.seed = 'none'"]) == 2
    assert "no render fits" in capsys.readouterr().err
    assert cli.main(["compare", *common, "filter=params.seed similar 7"]) == 2
    assert "filter:" in capsys.readouterr().err
    assert cli.main(["compare", *common, "filter=params.seed = '7'", "tracking.experiment=dances"]) == 2
    assert "rotoscope" in capsys.readouterr().err
    sweep = swept(store)
    assert cli.main(["compare", *common, f"sweep={sweep.id}", "film=false"]) == 0
    assert flush_pending(store)[1] == {}
    assert "compare/compare.html" in _artifacts_of(sweep, tracking)
    _plays_in_the_viewer(store, newest(store))


def _artifacts_of(sweep: Manifest, tracking: Tracking) -> list[str]:
    """What stands in MLflow with the sweep's own run."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracking.uri)
    experiment = client.get_experiment_by_name(tracking.experiment)
    (parent,) = client.search_runs([experiment.experiment_id], f"tags.`rotoscope.sweep.parent` = '{sweep.id}'")
    return [item.path for item in client.list_artifacts(parent.info.run_id, "compare")]


def _plays_in_the_viewer(store: Store, record: RenderRecord) -> None:
    from tasks.tracking.links import read_link

    link = read_link(store, record.run)
    assert link is not None
    server, _ = servers.up(store.root, "mlflow", free_port())
    try:
        with browser() as running:
            page = running.new_page(reduced_motion="reduce", viewport={"width": 1600, "height": 1000})
            page.set_default_timeout(PATIENCE)
            heard = watched(page)
            where = f"#/experiments/{link.experiment_id}/runs/{link.mlflow_run}/artifacts/compare/compare.html"
            page.goto(f"{server.url}/{where}")
            frame = page.wait_for_selector("iframe.mlflow-html-iframe")
            assert frame.get_attribute("sandbox") == "allow-scripts"
            inside = frame.content_frame()
            inside.wait_for_function("() => document.documentElement.dataset.ready")
            assert inside.evaluate("origin") == "null"
            assert inside.locator(".cell canvas").count() == 4
            inside.locator("#forth").click()
            inside.wait_for_function("() => document.getElementById('clock').textContent.startsWith('2 /')")
            inside.locator("#play").click()
            inside.wait_for_function("() => document.getElementById('play').textContent == 'Pause'")
            viewers = f"request: {server.url}/"  # the viewer fetches the page; the page fetches nothing
            mine = [one for one in heard if ("compare" in one or "blob:" in one) and not one.startswith(viewers)]
            assert mine == []
    finally:
        servers.down(store.root, "mlflow")
