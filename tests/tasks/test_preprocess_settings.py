"""Every preprocessor has its YAML: same stem, same fields, values that are the class's own, and a word on each."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from reel import op
from reel.config import parse
from reel.descriptions import descriptions
from reel.errors import UserError

FOLDER = Path(__file__).parents[2] / "conf" / "preprocess"
NAMES = op.names("preprocess")


def test_there_is_one_yaml_for_each_preprocessor():
    assert len(NAMES) == 14
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_yaml_holds_the_classs_fields_and_values(name):
    text = (FOLDER / f"{name}.yaml").read_text()
    found = op.get("preprocess", name)
    assert text.startswith(f"# @package preprocess.{name}\n")
    values = yaml.safe_load(text)
    assert parse(found.config, values, f"preprocess.{name}") == found.config()
    assert values.keys() == found.config.model_fields.keys()
    assert all(descriptions(found.config).get(name) for name in found.config.model_fields)


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("blazepose", {"max_people": 0}, "preprocess.blazepose.max_people: .*greater than or equal to 1"),
        ("blazepose", {"serch": "tiles"}, "unknown key 'preprocess.blazepose.serch'; nearest: search"),
        ("pose_map", {"missing": "skip"}, "'error', 'hold' or 'empty'"),
        ("pose_map", {"smoothing": float("nan")}, "preprocess.pose_map.smoothing"),
        ("canny", {"low_threshold": 300}, "low_threshold 300 must be <= high_threshold 200"),
        ("depth_anything", {"size": "Huge"}, "'Small', 'Base' or 'Large'"),
    ],
)
def test_wrong_settings_name_the_key_and_what_is_allowed(name, wrong, message):
    with pytest.raises(UserError, match=message):
        parse(op.get("preprocess", name).config, wrong, f"preprocess.{name}")
