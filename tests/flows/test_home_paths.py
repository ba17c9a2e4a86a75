"""``~/`` in a path is the home folder, wherever the path is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest

from flows import cli, flow
from reel.config import Config, parse
from reel.op import catalogue
from reel.values import path_setting
from tasks.tracking.settings import Tracking
from tests.flows import demo


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """The home folder; the current folder is another."""
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ROTOSCOPE_ROOT", str(tmp_path))
    monkeypatch.setenv("ROTOSCOPE_STORE", "~/store")
    monkeypatch.setenv("DEMO_OUT", str(tmp_path / "out.jsonl"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def written(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home.parent / "out.jsonl").read_text("utf-8").splitlines()]


def classes(cls: type[Config]) -> Iterator[type[Config]]:
    for one in cls.__subclasses__():
        yield one
        yield from classes(one)


def as_typed(annotation: Any, metadata: tuple[Any, ...] = ()) -> bool:
    """Whether a type holds a path that is taken as it is typed."""
    if annotation is Path:
        return not any(getattr(one, "func", None) is path_setting for one in metadata)
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return as_typed(inner, (*metadata, *more))
    return any(as_typed(one) for one in get_args(annotation))


def test_every_setting_that_is_a_path_may_begin_at_home():
    for name in flow.names():
        flow.get(name)
    catalogue()
    fields = {
        f"{cls.__module__}.{cls.__qualname__}.{name}": as_typed(field.annotation, tuple(field.metadata))
        for cls in classes(Config)
        if cls.__module__.startswith(("flows.", "tasks.", "reel."))
        for name, field in cls.model_fields.items()
    }
    assert len(fields) > 100
    assert [name for name, typed in fields.items() if typed] == []


def test_single_run(home):
    assert demo.main(["clip=~/my clip.mp4", "mask=~other/x.png", "steps=4"]) == 0
    [got] = written(home)
    assert (got["clip"], got["mask"]) == (f"{home}/my clip.mp4", "~other/x.png")
    assert got["paths"]["store"] == f"{home}/store"


@pytest.mark.parametrize("sweeper", [[], ["hydra/sweeper=basic"]], ids=["ours", "hydra's"])
def test_sweep(home, sweeper):
    assert demo.main(["-m", "steps=4,5", "clip=~/x.mp4", "paths.renders=~/renders", *sweeper]) == 0
    assert {got["clip"] for got in written(home)} == {f"{home}/x.mp4"}
    assert {Path(got["paths"]["output"]).parents[1] for got in written(home)} == {home / "renders"}
    assert not [*(home.parent / "work").iterdir()]


def test_the_tracking_database_lies_beside_the_store(home):
    tracking = parse(Tracking, {"uri": "sqlite:///~/store/mlflow.db", "artifacts": "~/store/mlflow"})
    assert (tracking.uri, tracking.artifacts) == (f"sqlite:///{home}/store/mlflow.db", home / "store/mlflow")
    assert parse(Tracking, {"uri": "http://~/x", "artifacts": "a"}).uri == "http://~/x"


def test_commands(home, capsys):
    assert cli.main(["runs"]) == 2  # what is not there yet is told with what makes it
    assert f"no store at {home}/store" in capsys.readouterr().err
    assert cli.main(["runs", "--store=~/other"]) == 2
    assert f"no store at {home}/other" in capsys.readouterr().err
    (home / "walk.txt").write_text("0: red top\n", "utf-8")
    assert cli.main(["schedule", "lint", "~/walk.txt"]) == 0
