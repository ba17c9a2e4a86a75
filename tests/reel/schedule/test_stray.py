"""A text that belongs to no key is told with a fix that is made of it, and not of an example."""

from __future__ import annotations

import pytest

from reel.schedule.lint import lint


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("0 red top; 24: blue top", "0: red top"),
        ("0: red top; 24 blue top", "24: blue top"),
        ("50% blue top", "50%: blue top"),
        ("a girl in a red top", "0: a girl in a red top"),
        ("0: red top; white skirt", "0: red top, white skirt"),
    ],
)
def test_a_stray_text(text: str, fix: str) -> None:
    [found] = [one for one in lint(text).findings if one.code == "RS108"]
    assert found.repair is not None
    assert fix in found.repair.label
    assert "blue top" in text or "blue top" not in found.repair.label, "no words that are not the user's"
