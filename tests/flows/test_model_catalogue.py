"""Every file of conf/model, conf/stylize and conf/compute: complete, parsable, and true where that can be checked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from flows.commands.models import family, names
from reel.compute import Compute
from reel.config import parse
from reel.models.animatediff import AnimateDiff
from tasks.stylize.engine import schedulers
from tasks.stylize.settings.sampling import Sampling
from tasks.weights import fetch as weights

CONF = Path(__file__).resolve().parents[2] / "conf"
NAMES = names()
FAMILIES: dict[str, Any] = {name: family(name) for name in NAMES}


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> Any:
    return FAMILIES[request.param]


@pytest.fixture(scope="module", params=[name for name, one in FAMILIES.items() if isinstance(one, AnimateDiff)])
def animatediff(request: pytest.FixtureRequest) -> Any:
    return FAMILIES[request.param]


def test_the_catalogue_is_not_empty_and_begins_with_the_embedded_family() -> None:
    assert NAMES[0] == "sprite"
    assert len(NAMES) >= 9
    assert {"sd15", "sd15_v2", "dreamshaper8", "epicrealism", "animatelcm", "lightning", "sdxl_beta", "civitai"} <= {
        *NAMES
    }


def test_name_is_the_file_stem_and_people_are_told_what_it_is(model: Any) -> None:
    assert (CONF / "model" / f"{model.name}.yaml").is_file()
    assert len(model.title) > 10
    assert model.license
    assert model.memory_gb
    assert model.advice.sizes
    for size in model.advice.sizes:
        assert size.width % model.multiple_of == 0
        assert size.height % model.multiple_of == 0


def test_every_source_states_its_licence(model: Any) -> None:
    for source in model.sources().values():
        assert source.license or source.kind == "embedded", source.label


def test_sources_have_names_of_their_own(model: Any) -> None:
    labels = [source.label for source in model.sources().values()]
    assert len(labels) == len(set(labels))


def test_advice_and_allowed_schedulers_agree(animatediff: AnimateDiff) -> None:
    assert animatediff.advice.scheduler in schedulers.REGISTRY
    assert animatediff.schedulers is None or animatediff.advice.scheduler in animatediff.schedulers
    for name in animatediff.schedulers or []:
        assert name in schedulers.REGISTRY


def test_revisions_are_commits_or_left_to_the_lock(model: Any) -> None:
    for source in model.sources().values():
        assert source.revision is None or re.fullmatch(r"[0-9a-f]{40}", source.revision), source.label


def test_only_what_was_rendered_with_is_marked_verified(model: Any) -> None:
    assert model.verified == all(source.kind == "embedded" for source in model.sources().values())


def test_few_step_families_refuse_other_schedulers() -> None:
    assert family("animatelcm").schedulers == ["lcm"]
    assert family("lightning").schedulers == ["euler"]


def test_a_family_inherits_and_changes_what_it_names() -> None:
    base, tuned = family("sd15"), family("dreamshaper8")
    assert tuned.controlnets == base.controlnets
    assert tuned.base.id == "Lykon/dreamshaper-8"
    assert tuned.base.files == base.base.files
    checkpoint = family("civitai")
    assert checkpoint.base.kind == "file"
    assert checkpoint.base_config is not None


def test_sprite_is_what_its_files_say() -> None:
    sprite = family("sprite")
    config = json.loads((weights.path(sprite.motion) / "config.json").read_text())
    assert config["motion_max_seq_length"] == sprite.motion_window
    scheduler = json.loads((weights.path(sprite.base) / "scheduler" / "scheduler_config.json").read_text())
    for name in sprite.schedulers or []:
        made = schedulers.make(name, scheduler).config
        assert made["prediction_type"] == scheduler["prediction_type"]
    assert {"heun", "pndm"}.isdisjoint(sprite.schedulers or [])  # they know no zero-terminal SNR


def test_every_control_finds_its_kind_in_the_default_and_in_sd15() -> None:
    kinds = {
        path.stem: str(yaml.safe_load(path.read_text())["kind"]) for path in sorted((CONF / "control").glob("*.yaml"))
    }
    assert {"pose", "depth", "lineart", "tile"} <= kinds.keys()
    for name in ("pose", "depth", "lineart", "tile"):
        assert kinds[name] in family("sprite").controlnets
    for kind in kinds.values():
        assert kind in family("sd15").controlnets


def test_stylize_yaml_holds_every_setting_and_starts_from_the_advice(animatediff: AnimateDiff) -> None:
    model = animatediff
    data = yaml.safe_load((CONF / "stylize" / "animatediff.yaml").read_text())
    assert data.keys() == Sampling.model_fields.keys()
    composed = OmegaConf.create({"model": {"advice": model.advice.model_dump()}, "stylize": data})
    stylize: Any = OmegaConf.to_container(composed, resolve=True)
    assert parse(Sampling, stylize["stylize"], "stylize").num_inference_steps == model.advice.num_inference_steps


def test_compute_yamls_hold_every_setting_and_parse() -> None:
    files = sorted((CONF / "compute").glob("*.yaml"))
    assert {"auto", "cpu", "cuda"} <= {path.stem for path in files}
    for path in files:
        data = yaml.safe_load(path.read_text())
        assert data.keys() == Compute.model_fields.keys(), path.name
        parse(Compute, data, "compute")
