"""Infotexts of the web UI: the negative is the negative, and parameters are no words of a picture."""

from __future__ import annotations

import pytest

from reel.infotext import split_infotext

PLAIN = """a girl in a red top, (best quality:1.2)
Negative prompt: hat, glasses,
blurred
Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512, Model: x, Clip skip: 2, Lora hashes: "a: 1, b: 2"
"""


def test_taken_apart() -> None:
    found = split_infotext(PLAIN)
    assert found is not None
    assert (found.positive, found.negative) == ("a girl in a red top, (best quality:1.2)", "hat, glasses,\nblurred")
    assert found.parameters["Lora hashes"] == "a: 1, b: 2"
    assert found.overrides() == [
        *("stylize.num_inference_steps=20", "stylize.guidance_scale=7", "seed=5", "stylize.clip_skip=1"),
        "stylize.scheduler=euler_a",
    ]
    assert found.dropped() == ["Size", "Model", "Lora hashes"]


def test_parameters_in_any_letters() -> None:
    found = split_infotext("a cat\nsteps: 20, sampler: Euler a, cfg scale: 7, seed: 007, size: 512x512")
    assert found is not None
    wanted = ["stylize.num_inference_steps=20", "stylize.guidance_scale=7", "seed=7", "stylize.scheduler=euler_a"]
    assert (found.overrides(), found.dropped()) == (wanted, ["size"])


@pytest.mark.parametrize(
    ("seed", "taken"),
    [("0", True), ("9223372036854775807", True), ("9223372036854775808", False), ("18446744073709551615", False),
     ("-1", False), ("5.5", False), ("9" * 30, False)],
)  # fmt: skip
def test_a_seed_that_is_none_here_is_not_offered(seed: str, taken: bool) -> None:
    found = split_infotext(f"a cat\nSteps: 20, Sampler: Euler, Seed: {seed}")
    assert found is not None
    assert (f"seed={seed}" in found.overrides()) == taken
    assert ("Seed" in found.dropped()) == (not taken)


@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [
        ("Sampler: DPM++ 2M, Schedule type: Karras", "dpmpp_2m_karras"),
        ("Sampler: DPM++ 2M Karras", "dpmpp_2m_karras"),
        ("Sampler: DPM++ 2M, Schedule type: Automatic", "dpmpp_2m"),
        ("Sampler: Euler, Schedule type: Karras", None),
        ("Sampler: DPM adaptive", None),
    ],
)
def test_a_sampler_is_taken_where_it_is_the_same(sampler: str, scheduler: str | None) -> None:
    found = split_infotext(f"a cat\nSteps: 20, {sampler}, Seed: 1")
    assert found is not None
    assert [one for one in found.overrides() if "scheduler" in one] == (
        [f"stylize.scheduler={scheduler}"] if scheduler else []
    )
    assert ("Sampler" in found.dropped()) == (scheduler is None)


@pytest.mark.parametrize(
    ("text", "positive", "negative"),
    [
        ("a cat\nNegative prompt: dog", "a cat", "dog"),
        ("a cat\nSteps: 20, Sampler: Euler, Seed: 1", "a cat", ""),
        ("a cat Negative prompt: dog Steps: 20, Sampler: Euler, Seed: 1", "a cat", "dog"),  # its line ends were lost
        ("Negative prompt: dog", "", "dog"),
        (
            "Prompt: a cat\nNegative Prompt: dog\nSteps: 20, Sampler: Euler, Seed: 1",
            "a cat",
            "dog",
        ),  # sites' own letters
        ("a cat\nnegative prompt : dog\nsteps: 20, sampler: Euler a, cfg scale: 7", "a cat", "dog"),
        ("parameters\n\na cat\nNegative prompt: dog", "a cat", "dog"),  # as viewers show it
    ],
)
def test_forms(text: str, positive: str, negative: str) -> None:
    found = split_infotext(text)
    assert found is not None
    assert (found.positive, found.negative) == (positive, negative)


@pytest.mark.parametrize(
    "text",
    ["", "a negative prompt: mood", "steps: 3, stairs", "Steps: a photo", "Steps: 20", '{"0": "Negative prompt: x"}'],
)
def test_other_texts_are_none(text: str) -> None:
    assert split_infotext(text) is None


@pytest.mark.timeout(20)
def test_hostile_texts_take_no_time() -> None:
    for text in ("Steps: 1, A" + "A" * 400_000, "Steps: 1, " + 'A: "x, ' * 60_000, "Negative prompt: " * 30_000):
        split_infotext(text)


def test_lines_behind_the_parameters_are_no_part_of_the_last_one() -> None:
    """Extensions write their templates there."""
    lines = "\n\nTemplate: a {red|blue} cat\nNegative Template: bad"
    found = split_infotext(f"a cat\nNegative prompt: bad\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1{lines}")
    assert found is not None
    assert found.parameters["Seed"] == "1"
    assert "seed=1" in found.overrides()
    assert found.dropped() == ["Template", "Negative Template"]
