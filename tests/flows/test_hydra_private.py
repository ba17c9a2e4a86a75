"""Hydra's private names are what `flows.config.hydra_private` takes them for: an upgrade that moves one fails here."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from flows.config import hydra_private
from flows.config.diagnose import parse_overrides
from flows.config.engine import Engine, hydra_ready
from flows.config.root import Root
from tests.flows import demo

CONF = Path(demo.__file__).parent / "demo_conf"

SIGNATURES = {
    "hydra._internal.config_loader_impl.ConfigLoaderImpl._apply_overrides_to_config": ["overrides", "cfg"],
    "hydra._internal.config_loader_impl.get_overrides_dirname": ["overrides", "exclude_keys", "item_sep", "kv_sep"],
    "hydra.core.override_parser.overrides_parser.create_functions": [],
    "hydra.core.override_parser.overrides_parser.OverridesParser": ["functions", "config_loader"],
    "hydra.core.override_parser.types.Transformer.str": ["x"],
    "hydra._internal.config_repository.ConfigRepository.get_group_options": ["self", "group_name", "results_filter"],
    "hydra._internal.config_repository.ConfigRepository.group_exists": ["self", "config_path"],
    "hydra._internal.hydra.Hydra.compose_config": [
        *("self", "config_name", "overrides", "run_mode", "with_log_configuration", "from_shell"),
        "validate_sweep_overrides",
    ],
    "hydra._internal.hydra.Hydra.multirun": [
        "self", "config_name", "task_function", "overrides", "with_log_configuration"
    ],
    "hydra._internal.hydra.Hydra.show_cfg": ["self", "config_name", "overrides", "cfg_type", "package", "resolve"],
    "hydra._internal.hydra.Hydra.show_info": ["self", "info", "config_name", "overrides", "run_mode"],
}  # fmt: skip


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_name_is_where_it_was_and_takes_what_it_took(name: str):
    found = None
    parts = name.split(".")
    for depth in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:depth]))
            break
        except ModuleNotFoundError:
            continue
    for part in parts[depth:]:
        found = getattr(found, part, None)
        assert found is not None, f"Hydra has no {name} any more: see flows/config/hydra_private.py"
    assert list(inspect.signature(found).parameters) == SIGNATURES[name]


@pytest.fixture
def engine(tmp_path, monkeypatch) -> Engine:
    monkeypatch.setenv("ROTOSCOPE_ROOT", str(tmp_path))
    with hydra_ready(Root("demo", demo.Demo, CONF)) as ready:
        yield ready


def test_the_launcher_of_this_process_is_the_default(engine):
    assert engine.composed([]).hydra.launcher._target_ == hydra_private.IN_PROCESS
    module, _, name = hydra_private.IN_PROCESS.rpartition(".")
    assert inspect.isclass(getattr(importlib.import_module(module), name))


def test_files_and_folders_of_groups_are_told_as_the_loader_tells_them(engine):
    for group in ("", "model", "control", "experiment", "hydra", "hydra/launcher", "none"):
        assert hydra_private.names(engine.loader, group) == engine.loader.get_group_options(group)
        assert hydra_private.names(engine.loader, group, folders=True) == engine.loader.list_groups(group)
    assert hydra_private.is_group(engine.loader, "model")
    assert not hydra_private.is_group(engine.loader, "modle")


def test_values_are_set_as_hydra_sets_them(engine):
    from hydra import compose

    overrides = ["steps=3", "++controls.pose.note='a, b'", "model.width=64", "~negative_prompt"]
    config = engine.composed(["control=[pose,lineart]"])
    hydra_private.apply_overrides(parse_overrides(engine, overrides), config)
    whole = compose("demo", overrides=["control=[pose,lineart]", *overrides], return_hydra_config=True)
    assert {key: config[key] for key in config if key != "hydra"} == {
        key: whole[key] for key in whole if key != "hydra"
    }


def test_the_values_of_an_axis(engine):
    texts = ["steps=range(2,5)", "seed=1", "prompt='a, b',c", "model=glob(*)"]
    assert [[text for text, _ in hydra_private.split(one)] for one in parse_overrides(engine, texts)] == [
        ["steps=2", "steps=3", "steps=4"],
        ["seed=1"],
        ["prompt='a, b'", "prompt=c"],
        ["model=big", "model=small"],
    ]


def test_quoted_values(engine):
    [one] = parse_overrides(engine, ["prompt='a, b',c"])
    assert [hydra_private.quoted_text(value) for value in one.sweep_iterator()] == ["a, b", None]


def test_what_a_job_raised():
    from hydra.core.utils import JobReturn, JobStatus

    error = ValueError("x")
    assert hydra_private.raised(JobReturn(_return_value=error, status=JobStatus.FAILED)) is error
    assert hydra_private.raised(JobReturn(_return_value=3, status=JobStatus.COMPLETED)) is None
