"""Every metric has its YAML and its declaration: what tables, plots and searches read is whole and true."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reel import measure, op
from reel.config import parse
from reel.descriptions import descriptions
from reel.errors import UserError
from reel.store import Store

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "conf" / "measure"
NAMES = op.names("measure")
GIVEN = {"prompt"}
"""Fields that the flow fills from the render's own settings."""


def test_there_is_one_yaml_for_each_metric():
    assert len(NAMES) == 17
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == sorted([*NAMES, "none"])


@pytest.mark.parametrize("name", NAMES)
def test_a_yaml_holds_the_classs_fields_and_values(name: str):
    text = (FOLDER / f"{name}.yaml").read_text()
    cls = op.get("measure", name).config
    assert text.startswith(f"# @package measure.{name}\n")
    values = yaml.safe_load(text) or {}
    filled = dict.fromkeys(GIVEN & cls.model_fields.keys(), "x")
    assert parse(cls, {**values, **filled}, f"measure.{name}") == cls(**filled)
    assert values.keys() == cls.model_fields.keys() - GIVEN
    assert all(descriptions(cls).get(key) for key in values)


@pytest.mark.parametrize("name", NAMES)
def test_a_declaration_says_all_that_a_reader_needs(name: str):
    declared = measure.get(name)
    assert declared.name == name
    assert declared.about.endswith(".")
    assert len(declared.reference) > 20
    assert declared.values
    for value in declared.values:
        assert value.label
        assert value.low is None or value.high is None or value.low < value.high
        assert measure.describe(declared.key(value)) == (declared, value)
    hub = [source for source in models(name) if source.kind == "hub"]
    assert declared.validated == (not hub)
    assert declared.torch == bool(models(name))


def models(name: str):
    found = op.get("measure", name)
    return found.models(found.config(**dict.fromkeys(GIVEN & found.config.model_fields.keys(), "x")))


def test_the_page_names_every_metric_its_values_and_what_is_not_validated():
    page = (ROOT / "docs" / "measure.md").read_text()
    for declared in measure.measures():
        assert f"## {declared.name}\n" in page
        section = page.split(f"## {declared.name}\n")[1].split("\n## ")[0]
        for value in declared.values:
            assert f"`{value.name}`" in section, (declared.name, value.name)
        assert ("not validated" in section.lower()) == (not declared.validated), declared.name


def test_declarations_come_in_the_order_of_their_aspects_and_without_heavy_imports():
    code = (
        "import json, sys\n"
        "from reel import measure\n"
        "found = [m.aspect for m in measure.measures()]\n"
        "heavy = [m for m in ('torch', 'cv2', 'scipy', 'skimage', 'transformers', 'timm') if m in sys.modules]\n"
        "print(json.dumps([found, heavy]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    aspects, heavy = json.loads(out.stdout)
    assert list(dict.fromkeys(aspects)) == list(measure.ASPECTS)
    assert heavy == []


def test_other_keys_mean_nothing():
    assert measure.describe("joint_error_px") is None
    assert measure.describe("seconds.extract") is None
    assert measure.describe("flicker.no_such") is None
    with pytest.raises(UserError, match="no measure named 'flickr'; nearest: flicker"):
        measure.get("flickr")


def test_results_come_back_as_they_were_stored(store: Store):
    result = measure.Result("flicker", {"mean": 3.1415926535}, {"mean": [None, 3.1415926535]}, notes={"a": 1})
    back = measure.load(store.get(measure.save(store, result)))
    assert back == measure.Result("flicker", {"mean": 3.14159}, {"mean": [None, 3.14159]}, notes={"a": 1})
    assert back.flat == {"flicker.mean": 3.14159}
    with pytest.raises(ValueError, match="metric flicker declares no other"):
        measure.save(store, measure.Result("flicker", {"other": 1}))
    with pytest.raises(ValueError, match="a metric gave nan"):
        measure.save(store, measure.Result("flicker", {"mean": float("nan")}))
    with store.draft("poses") as draft:
        other = draft.commit()
    with pytest.raises(UserError, match="is of kind 'poses', not a measurement"):
        measure.load(store.get(other))


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("pose", {"threshold": 0}, "measure.pose.threshold: .*greater than 0"),
        ("flicker", {"oclusion_check": True}, "unknown key 'measure.flicker.oclusion_check'; nearest: occlusion_check"),
        ("vmaf", {"model": "x"}, "measure.vmaf.model"),
        ("ssim", {"sigma": 1}, "unknown key 'measure.ssim.sigma'"),
    ],
)
def test_wrong_settings_name_the_key_and_what_is_allowed(name: str, wrong: dict[str, object], message: str):
    with pytest.raises(UserError, match=message):
        parse(op.get("measure", name).config, wrong, f"measure.{name}")
