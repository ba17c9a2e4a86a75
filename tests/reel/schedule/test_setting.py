"""A schedule as a setting: every way in which it can be given comes to the same text."""

from __future__ import annotations

from pathlib import Path

import pytest

from reel.config import Config
from reel.errors import UserError
from reel.schedule.compile import compile_prompts, compile_values
from reel.schedule.findings import ScheduleError
from reel.schedule.setting import ScheduleText, as_text, listed, parse_setting


class Demo(Config):
    words: ScheduleText = None


@pytest.mark.parametrize("given", [None, "", "null", "None"])
def test_none_in_all_its_spellings(given: str | None) -> None:
    assert Demo(words=given).words is None


@pytest.mark.parametrize(
    "given",
    [
        "0: red; 4: blue",
        {0: "red", 4: "blue"},
        {"keys": {0: "red", 4: "blue"}},
        '"0": "red", "3": "red", "4": "blue"',
        "keys:\n  0: red\n  4: blue  # late\n",
    ],
)
def test_texts_and_mappings_mean_the_same(given: object) -> None:
    text = Demo(words=given).words  # type: ignore[arg-type]
    assert text is not None
    schedule = parse_setting(text, "prompt", "words").schedule
    assert schedule is not None
    assert compile_prompts(schedule, 6).describe() == "0-3: red; 4-5: blue"


def test_a_file_of_keys_alone_is_yaml_and_holds(tmp_path: Path) -> None:
    path = tmp_path / "walk.yaml"
    path.write_text("0: red\n4: blue\n", encoding="utf-8")  # the same lines without the name fade in the web UI
    text = as_text(f"@{path}")
    assert text is not None
    schedule = parse_setting(text, "prompt", "words").schedule
    assert schedule is not None
    assert compile_prompts(schedule, 6).describe() == "0-3: red; 4-5: blue"
    with pytest.raises(UserError, match="cannot read the schedule"):
        as_text("@/nowhere/walk.yaml")


@pytest.mark.parametrize(
    ("given", "values"), [(0.5, [0.5] * 3), ("t/2", [0, 0.5, 1]), ("0: 0; 2: 1", [0, 0.5, 1]), ("1", [1, 1, 1])]
)
def test_numbers_and_formulas(given: object, values: list[float]) -> None:
    text = as_text(given)
    assert text is not None
    schedule = parse_setting(text, "value", "weights").schedule
    assert schedule is not None
    assert compile_values(schedule, 3).tolist() == values


def test_lists_are_one_value_a_frame() -> None:
    assert listed(as_text([1, 0.5]) or "", "w") == [1, 0.5]
    assert listed("0: 1", "w") is None
    with pytest.raises(ScheduleError, match=r"w:1:5: error RS115: 'x' is not a number"):
        listed("[1, x]", "w")


def test_what_is_no_schedule_at_all() -> None:
    with pytest.raises(ValueError, match="must be a schedule"):
        as_text(True)
