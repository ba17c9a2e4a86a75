"""What a denoising has to do: against counts by hand, and against how often the networks of a real one run."""

from __future__ import annotations

from typing import Any

import pytest

from reel.op import Context
from reel.store import Store
from reel.work import Extent
from tasks.stylize.job.amounts import CONTROL, RUN, denoising
from tests.tasks.tiny_render import SIDE, render
from tests.tasks.tiny_settings import settings

CLIP = Extent(frames=10, width=100, height=100)  # 0.1 megapixels
PLAIN: dict[str, Any] = {"num_inference_steps": 8, "strength": 1.0, "guidance_scale": 1.0, "controls": {}}
pytestmark = pytest.mark.usefixtures("world")


def amounts(store: Store, clip: Extent = CLIP, **changes: Any) -> dict[str, float]:
    work = denoising(settings(**{**PLAIN, **changes}).denoise, {"latents": clip}, Context(store))
    assert work.extent == clip
    return dict(work.amounts)


def pose(**changes: Any) -> dict[str, Any]:
    return {"pose": {"kind": "openpose", **changes}}


CASES: list[tuple[dict[str, Any], float, float, float]] = [
    # settings, runs of networks, megapixels through the UNet, megapixels through ControlNets
    ({}, 8, 0.8, 0),
    ({"num_inference_steps": 4}, 4, 0.4, 0),
    ({"strength": 0.5}, 4, 0.4, 0),
    ({"guidance_scale": 4.0}, 8, 1.6, 0),
    ({"guidance_scale": 4.0, "guidance_end": 0.25}, 8, 1.0, 0),
    ({"free_init": {"iterations": 3}, "strength": 0.5}, 12, 1.2, 0),
    ({"controls": pose()}, 16, 0.8, 0.8),
    ({"controls": pose(weight=0.0)}, 8, 0.8, 0),
    ({"controls": pose(), "guidance_scale": 4.0}, 16, 1.6, 1.6),
    ({"controls": pose(control_on="cond"), "guidance_scale": 4.0}, 16, 1.6, 0.8),
    ({"controls": pose(control_guidance_end=0.5)}, 12, 0.8, 0.4),
    ({"controls": pose(timestep_keyframes=[{"at": 0, "scale": 1}, {"at": 0.75, "scale": 0}])}, 14, 0.8, 0.6),
    ({"controls": pose(weight_schedule=[1.0] * 4 + [0.0] * 6)}, 16, 0.8, 0.32),
    ({"controls": pose(), "control_every": 4}, 10, 0.8, 0.2),
    # two windows of 8 frames, 6 of them in both: passes of the motion modules alone, or of the whole network
    ({"windows": {"context_length": 8, "context_overlap": 6}}, 8, 0.8, 0),
    ({"windows": {"context_length": 8, "context_overlap": 6, "window_scope": "full"}}, 16, 1.28, 0),
]


@pytest.mark.parametrize(("changes", "runs", "unet", "controls"), CASES, ids=[str(case[0]) for case in CASES])
def test_amounts_by_hand(world: Store, changes: dict[str, Any], runs: float, unet: float, controls: float):
    expected = {"runs": RUN * runs, "unet": unet, "controls": CONTROL * controls}
    assert amounts(world, **changes) == pytest.approx(expected)


def test_size_and_length_count_in_proportion(world: Store):
    once, larger = amounts(world, controls=pose()), amounts(world, Extent(20, 200, 100), controls=pose())
    assert larger == pytest.approx({"runs": once["runs"], "unet": 4 * once["unet"], "controls": 4 * once["controls"]})


@pytest.mark.parametrize("scheduler", ["euler", "heun", "pndm"])
def test_what_a_scheduler_evaluates_twice_counts_twice(world: Store, scheduler: str):
    from tasks.stylize.engine import schedulers

    assert amounts(world, scheduler=scheduler)["unet"] == pytest.approx(0.1 * schedulers.evaluations(scheduler, 8))


def test_what_changes_the_pace_is_told(world: Store):
    def pace(**changes: Any) -> dict[str, Any]:
        return dict(denoising(settings(**{**PLAIN, **changes}).denoise, {"latents": CLIP}, Context(world)).pace)

    assert pace() == pace(seed=9, prompt="ab")
    assert pace() == pace(controls=pose())
    for change in ({"dtype": "bfloat16"}, {"attention": "math"}, {"memory_format": "channels_last"}):
        assert pace() != pace(**change)


REAL: list[dict[str, Any]] = [
    {"guidance_scale": 4.0, "guidance_end": 0.5, "controls": pose(weight_schedule=[1.0, 0.0, 1.0])},
    {"controls": pose(control_guidance_end=0.5), "free_init": {"iterations": 2}, "strength": 0.5},
    {"guidance_scale": 4.0, "controls": pose(control_on="cond")},
]


@pytest.mark.parametrize("changes", REAL, ids=[str(list(one)) for one in REAL])
def test_amounts_are_what_the_networks_are_given(
    world: Store, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
):
    """Frames through the networks of a real denoising, counted where they are called."""
    from tasks.stylize.engine import controls, network

    frames = {"unet": 0, "controls": 0}
    predict, add = network.predict, controls._add

    def counted_predict(unet: Any, sample: Any, *rest: Any) -> Any:
        frames["unet"] += sample.shape[0] * sample.shape[1]
        return predict(unet, sample, *rest)

    def counted_add(track: Any, scale: Any, sample: Any, made: Any, which: Any, chosen: Any, targets: Any) -> None:
        frames["controls"] += len(chosen) * (1 if track.on == "cond" else sample.shape[0])
        add(track, scale, sample, made, which, chosen, targets)

    monkeypatch.setattr(network, "predict", counted_predict)
    monkeypatch.setattr(controls, "_add", counted_add)
    render(world, count=3, **{**PLAIN, **changes})
    clip = Extent(3, SIDE, SIDE)
    told, per_frame = amounts(world, clip, **changes), clip.megapixels / clip.frames
    assert told["unet"] == pytest.approx(frames["unet"] * per_frame)
    assert told["controls"] == pytest.approx(CONTROL * frames["controls"] * per_frame)
