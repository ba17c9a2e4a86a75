"""Extensions from outside, exactly as docs/extending.md has them: its files are laid over a copy of the checkout.

A flow that is added by one module and one YAML has all that a flow has; a preprocessor, a control, a metric and a model
family work as the page says.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks.runs import ROOT
from reel.clip import Clip
from reel.history.record import RenderRecord, list_records
from reel.store import Store

PAGE = ROOT / "docs" / "extending.md"
DRIVER = """
import contextlib, io, json, sys
from flows import cli
said = []
for argv in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(argv)
    said.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(said), file=sys.__stdout__)
"""
"""Commands one after another in one process, as importing takes longer than most of them."""


@dataclass
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


@dataclass
class Checkout:
    """A copy of the checkout with the toy in it."""

    root: Path

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    @property
    def records(self) -> list[RenderRecord]:
        return list_records(self.store)[0]

    def rotoscope(self, *commands: list[str]) -> list[Said]:
        """Run commands; those of flows get the copy's store."""
        own = [f"paths.store={self.root}/store"]
        told = [
            [
                *argv,
                *(
                    own
                    if argv[0] in ("swatch", "dance", "compare", "serve", "animate") and "--help" not in argv
                    else []
                ),
            ]
            for argv in commands
        ]
        done = self.python(["-c", DRIVER], json.dumps(told))
        return [Said(*answer) for answer in json.loads(done.splitlines()[-1])]

    def python(self, arguments: list[str], given: str = "") -> str:
        environment = {**os.environ, "PYTHONPATH": str(self.root), "ROTOSCOPE_STORE": f"{self.root}/store"}
        done = subprocess.run(
            [sys.executable, "-P", *arguments],
            input=given,
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Checkout:
    root = tmp_path_factory.mktemp("checkout")
    for name in ("conf", "flows", "reel", "tasks"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "local"))
    (root / "data").mkdir()
    for name in ("models", "source"):
        (root / "data" / name).symlink_to(ROOT / "data" / name)
    for name, text in extensions().items():
        assert not (root / name).exists(), f"{name} is there already"
        (root / name).write_text(text, "utf-8")
    catalogue = root / "tasks/animate/catalogue.py"
    catalogue.write_text(catalogue.read_text("utf-8").replace("ltx_long", "ltx_long, ltx_image"))
    return Checkout(root)


def extensions() -> dict[str, str]:
    """The files that the page shows, by path."""
    found = re.findall(r"^```\w+ title=(\S+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(found) >= 9
    return dict(found)


@pytest.fixture(scope="module")
def rendered(checkout: Checkout) -> Checkout:
    """The copy in which the toy has been rendered, rendered again, and swept twice."""
    sweep = ["swatch", "-m", "swatch.seed=1,2", "swatch.colour='#ff0000','#00ff00'"]
    first, again, plan, swept, resumed = checkout.rotoscope(
        ["swatch", "swatch.frames=5"], ["swatch", "swatch.frames=5"], [*sweep, "sweep.plan=true"], sweep, sweep
    )
    assert [one.code for one in (first, again, plan, swept, resumed)] == [0] * 5, first.err + plan.err + swept.err
    assert "computed: swatch, assemble, measure.flicker" in first.out
    assert "ssim not measured: it compares with the source's frames, and this render is drawn from none" in first.out
    assert "nothing rendered anew: all 3 stages" in again.out
    assert len(re.findall(r"pending .* swatch, assemble, flicker", plan.out)) == 4, plan.out
    assert "4 done of 4 points" in swept.err
    assert "so far 4 done" in resumed.err
    assert len(checkout.records) == 2 + 4
    return checkout


def test_it_is_listed_and_explains_itself(checkout: Checkout) -> None:
    overview, help, typo, wrong = checkout.rotoscope(
        ["--help"], ["swatch", "--help", "swatch"], ["swatch", "swatch.frame=3"], ["swatch", "swatch.frames=0"]
    )
    assert re.search(r"^  swatch +a square wanders over a plain ground$", overview.out, re.MULTILINE)
    assert "swatch.frames=6" in help.out
    assert "How many frames." in help.out
    assert (typo.code, wrong.code) == (2, 2)
    assert "swatch.frames" in typo.err
    assert "swatch.frames: must be greater than or equal to 1" in wrong.err


def test_a_render_is_made_once_recorded_and_measured(rendered: Checkout) -> None:
    record = rendered.records[0]
    assert (record.flow, record.status) == ("swatch", "done")
    assert record.metrics["flicker.mean"] >= 0
    assert Clip.open(rendered.store, record.pictures["frames"]).count == 5
    assert {output.role for output in record.outputs} >= {"movie", "sheet"}
    assert rendered.records[1].reused


def test_why_and_runs_tell_of_it(rendered: Checkout) -> None:
    why, runs = rendered.rotoscope(["why", "latest"], ["runs"])
    assert (why.code, runs.code) == (0, 0)
    assert "swatch" in why.out
    assert len(re.findall(r"\bswatch\b", runs.out)) >= 6


def test_its_sweep_is_compared(rendered: Checkout) -> None:
    (done,) = rendered.rotoscope(["compare", "sweep=latest", f"paths.output={rendered.root}/page", "plots=false"])
    assert done.code == 0, done.err
    assert "compared 4 renders (4 done)" in done.out
    page = (rendered.root / "page" / "compare.html").read_text("utf-8")
    assert "swatch.colour" in page
    assert "swatch.seed" in page


def test_it_is_in_mlflow(rendered: Checkout) -> None:
    rendered.rotoscope(["track"])
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{rendered.root}/store/mlflow/mlflow.db")
    found = client.search_runs([one.experiment_id for one in client.search_experiments()])
    logged = {run.info.run_name: run for run in found}
    assert len(found) >= 7  # renders and the sweep
    run = next(run for run in found if run.data.params.get("swatch.frames") == "5")
    assert run.data.metrics["flicker.mean"] == rendered.records[0].metrics["flicker.mean"], logged


def test_it_is_served_and_takes_no_file(checkout: Checkout) -> None:
    """Prefect's server holds a run's parameters against the schema: a flow without a source has no key for one."""
    folder = checkout.root / "deployments"
    folder.mkdir()
    (folder / "daily.yaml").write_text("flow: swatch\nslot: null\noverrides: [swatch.frames=4]\n", "utf-8")
    (folder / "box.yaml").write_text(f"flow: swatch\nwatch: {{folder: {checkout.root}/inbox}}\n", "utf-8")
    allow = [f"folder={folder}", "+allow.swatch=[swatch.seed,swatch.colour,swatch.frames]", "check=true"]
    fine, refused = checkout.rotoscope(["serve", *allow, "deployments=[daily]"], ["serve", *allow, "deployments=[box]"])
    assert fine.code == 0, fine.err
    assert "swatch/daily" in fine.out
    assert refused.code == 2
    assert "watch: swatch takes no file" in refused.err
    told = checkout.python(["-c", SERVED, str(folder), f"{checkout.root}/store"])
    assert json.loads(told.splitlines()[-1]) == [
        "COMPLETED",
        {"experiment": None, "overrides": ["swatch.seed=3", "swatch.frames=4"]},
    ]
    assert checkout.records[-1].config["swatch"] == {"colour": "#3355ff", "frames": 4, "seed": 3}


def test_dvc_can_watch_what_it_is_made_of(checkout: Checkout) -> None:
    decided = ["compute.dtype=float32", "compute.memory_format=contiguous"]
    made_of = [
        yaml.safe_load(checkout.python(["-m", "flows.commands.resolve", "swatch", *decided, *more]))["stages"]
        for more in ([], ["swatch.seed=7"])
    ]
    assert set(made_of[0]) == {"swatch", "assemble"}
    assert made_of[0]["assemble"]["inputs"] == {"frames": "swatch"}
    assert [stages["swatch"]["settings"]["seed"] for stages in made_of] == [0, 7]


SERVED = """
import asyncio, json, sys
from flows.config.compose import settings
from flows.config.root import Root
from flows.serve import register, served
from flows.serve.settings import Serve
from prefect.client.orchestration import get_client
own = [f"folder={sys.argv[1]}", f"paths.store={sys.argv[2]}", "deployments=[daily]"]
own += ["+allow.swatch=[swatch.seed,swatch.frames]"]
cfg = settings(Root("serve", Serve), own).config
async def main():
    [plan] = register.check(cfg)
    id = await (await register.deployment(cfg, plan)).aapply()
    async with get_client() as client:
        given = {"overrides": ["swatch.seed=3", "swatch.frames=4"]}
        run = await client.create_flow_run_from_deployment(id, parameters=given)
        await client.delete_flow_run(run.id)
    return run.parameters
given = asyncio.run(main())
state = served.flow_of(cfg, "daily")(**given, return_state=True)
print(json.dumps([state.type.value, given]))
"""


def test_a_preprocessor_a_control_a_metric_and_a_family(checkout: Checkout) -> None:
    """The example map drives a ControlNet; the example metric reads the render; the family's advice is taken."""
    small = ["extract.max_frames=2", "extract.short_side=64", "tracking=none", "assemble.side_by_side=false"]
    added = ["preprocess=[blazepose,pose_map,posterize]", "control=[poster]", "preprocess.posterize.levels=3"]
    listed, done, wrong = checkout.rotoscope(
        ["models"],
        ["dance", *small, *added, "measure=[brightness]", "model=soft_sprite", "stylize.strength=0.3"],
        ["dance", *small, *added, "preprocess.posterize.levels=1"],
    )
    assert re.search(r"^soft_sprite .* yes .*in eight steps$", listed.out, re.MULTILINE)
    assert done.code == 0, done.err
    record = checkout.records[-1]
    assert record.config["stylize"]["num_inference_steps"] == 8
    assert 0 < record.metrics["brightness.mean"] < 255
    drawn = Clip.open(checkout.store, record.pictures["map_poster"]).array()
    assert set(np.unique(drawn)) <= {0, 127, 255}
    assert wrong.code == 2
    assert "preprocess.posterize.levels: must be greater than or equal to 2" in wrong.err


def test_only_its_own_folder_conf_docs_and_tests_name_a_flow() -> None:
    """`dance` is a tenant: whoever lists flows elsewhere by name would have to be told of every other one."""
    named = re.compile(r"(?<![a-z])dance(?![a-z])")
    found = []
    for folder in ("flows", "tasks", "reel"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.is_relative_to(ROOT / "flows" / "dance") or path.is_relative_to(ROOT / "tasks" / "sprite"):
                continue  # what the figures of the embedded family do is dancing
            if path.is_relative_to(ROOT / "reel" / "imports") or path.name == "import_file.py":
                continue  # which of our flows does what another tool's file asks for
            found += [
                f"{path.relative_to(ROOT)}: {line}"
                for line in path.read_text("utf-8").splitlines()
                if named.search(line)
            ]
    assert found == []


def test_an_animator(checkout: Checkout, monkeypatch: pytest.MonkeyPatch):
    from tests.tasks import animate_models

    animate_models.write_ltx(checkout.root / "families" / "tiny_ltx")
    animate_models.picture(0, 96, 96).save(checkout.root / "key.png")
    monkeypatch.setenv("ROTOSCOPE_MODELS", str(checkout.root / "families"))
    base = "{kind: embedded, id: tiny_ltx, files: [transformer/*, vae/*, text_encoder/*, tokenizer/*, scheduler/*]}"
    film = [
        *("animate", "model=ltx_091", f"model.base={base}", f"picture={checkout.root}/key.png", "prompt=she waves"),
        *("width=64", "height=64", "frames=9", "animate.num_inference_steps=2", "tracking=none", "measure=none"),
    ]
    told, drawn, refused = checkout.rotoscope(["models", "ltx_091"], film, [*film, f"last={checkout.root}/key.png"])
    assert "the first frame" in told.out
    assert drawn.code == 0, drawn.err
    assert "animate.denoise" in drawn.out
    assert refused.code == 2
    assert "takes 1 at most, got 2" in refused.err
