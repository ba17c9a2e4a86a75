"""`rotoscope bench`: both sides compute the same, what does not fit the time is said, advice keeps the picture."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch

from flows.cli import main
from tasks.bench.cases import COMPILING, Bench, Case, Measured, cases, fastest
from tasks.bench.random_models import parameters, random_models
from tasks.bench.sides import Work, engine, pipeline, stock
from tests.tasks.engine_models import one_thread  # noqa: F401  (autouse)

SMALL = ["--size", "small", "--px", "64", "--device", "cpu", "--dtype", "float32"]


@pytest.mark.parametrize("controls", [0, 1, 2])
def test_both_sides_do_the_same_work(controls: int):
    work = Work(frames=4, px=64, steps=2, dtype="float32", device="cpu")
    models = random_models("small", "float32", controls=controls)
    with torch.inference_mode():
        ours, theirs = engine(work, models), stock(work, models, pipeline(work, models))
    assert len(ours.wall) == len(theirs.wall) == work.steps + 1
    assert all(before < after for marks in (ours, theirs) for before, after in itertools.pairwise(marks.wall))
    assert (ours.latents - theirs.latents).abs().max() <= 1e-4 * theirs.latents.abs().max()


def test_each_control_counts():
    """With random weights, too: none of its outputs is zero."""
    work = Work(frames=4, px=64, steps=1, dtype="float32", device="cpu")
    models = random_models("small", "float32", controls=2)
    with torch.inference_mode():
        one, two = (engine(work, type(models)(models.unet, models.adapter, models.nets[:count])) for count in (1, 2))
    assert not torch.allclose(one.latents, two.latents, rtol=1e-2)


def test_the_full_size_is_that_of_the_real_weights():
    """SD 1.5's UNet and v3's motion modules, and a ControlNet of 361 million."""
    none, one = parameters("sd15", 0), parameters("sd15", 1)
    assert none == pytest.approx(859.5e6 + 417e6, rel=0.01)
    assert one - none == pytest.approx(361.3e6, rel=0.01)


def test_what_says_most_comes_first():
    wanted = cases([16, 48], [0, 1, 3], ["flash", "math"], compiled=True)
    assert wanted[:4] == [
        Case("engine", 16, 1),
        Case("stock", 16, 1),
        Case("engine", 16, 1, "flash"),
        Case("engine", 16, 1, "math"),
    ]
    assert wanted[-1] == Case("engine", 16, 1, compile=True)
    assert len(wanted) == len(set(wanted)) == 15  # 2 sides x 2 lengths x 3 controls, 2 kernels, compiled


def test_what_does_not_fit_the_time_is_left_out_and_said():
    bench = Bench("small", 64, "float32", "cpu", steps=1, seconds=60, clock=itertools.count().__next__)
    bench._rate = 1.0  # s for a frame without controls
    first, second = bench.run([Case("engine", 1000, 1), Case("engine", 4, 1, compile=True)])
    assert (first.seconds, second.seconds) == (None, None)
    assert "about 1333 s of work" in first.why
    assert f"about {COMPILING:.0f} s" in second.why


def test_only_what_is_quicker_and_keeps_the_picture_is_advised():
    base = Measured(Case("engine", 16, 1), 1.0, change=0.0)

    def kernel(name: str, seconds: float, change: float) -> Measured:
        return Measured(Case("engine", 16, 1, name), seconds, change=change)

    quick = kernel("flash", 0.8, 1e-6)
    assert fastest([base, quick, kernel("math", 0.5, 0.3)], "float32") == quick
    assert fastest([base, kernel("flash", 0.99, 1e-6)], "float32") is None
    assert fastest([base, Measured(Case("engine", 48, 1), 0.5, change=0.0)], "float32") is None


def test_the_command_prints_a_table_and_keeps_the_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "bench.json"
    asked = ["bench", *SMALL, "--frames", "4,34", "--controls", "0,1", "--minutes", "2", "--json", str(file)]
    assert main(asked) == 0
    printed = capsys.readouterr().out
    assert all(words in printed for words in ("engine, 4 frames, 1 controls", "of stock", "picture"))
    found = json.loads(file.read_text())
    assert (found["size"], found["px"], set(found["versions"])) == ("small", 64, {"rotoscope", "torch", "diffusers"})
    measured = {(each["side"], each["frames"], each["controls"]) for each in found["cases"] if each["seconds"]}
    assert {("stock", 34, 1), ("engine", 34, 1), ("stock", 4, 0)} <= measured  # 34: over the motion modules' window
    assert all(each["seconds"] > 0 and each["cpu"] > 0 for each in found["cases"] if not each["why"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--frames", "0"], "'0' is not a number from 4 to 1024"),
        (["--px", "500"], "448 or 512"),
        (["--controls", "a"], "'a' is not a number from 0 to 8"),
        (["--dtype", "float16", "--device", "cpu"], "float16 does not work on a CPU"),
        (["--json", "/nowhere/at/all.json"], "there is no folder /nowhere/at"),
    ],
)
def test_bad_options_are_told_before_torch_is_loaded(
    asked: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tasks.bench.cases.random_models", lambda *_: pytest.fail("models are made"))
    assert main(["bench", *asked]) == 2
    assert said in capsys.readouterr().err
