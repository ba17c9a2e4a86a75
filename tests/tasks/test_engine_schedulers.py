"""Schedulers: what a family's output means is honoured or refused, its own sampler is left behind."""

from __future__ import annotations

import pytest

from reel.clip import Clip
from reel.errors import UserError
from reel.store import Store
from tasks.stylize.engine import schedulers
from tests.tasks.tiny_render import render

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    "name", ["ddpm", "euler", "euler_a", "dpmpp_2m", "dpmpp_2m_karras", "dpmpp_2m_sde", "lcm", "unipc"]
)
def test_schedulers_sample_a_v_prediction_family(world: Store, name: str) -> None:
    frames = Clip.open(world, render(world, scheduler=name)).array()
    assert frames.std() > 1


def test_more_steps_than_lcm_has_are_its_librarys_limit() -> None:
    scheduler = schedulers.make("lcm", {})
    scheduler.set_timesteps(schedulers.MOST_STEPS["lcm"])
    with pytest.raises(ValueError, match="reduce `num_inference_steps`"):
        scheduler.set_timesteps(schedulers.MOST_STEPS["lcm"] + 1)


def test_a_scheduler_that_cannot_honour_the_family_is_refused() -> None:
    family = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    with pytest.raises(UserError, match="heun does not know the model's rescale_betas_zero_snr") as caught:
        schedulers.make("heun", family)
    assert "ddim" in str(caught.value.fix)


@pytest.mark.parametrize("name", sorted(schedulers.REGISTRY))
def test_what_schedulers_know_is_what_their_classes_take(name: str) -> None:
    import inspect

    import diffusers

    takes = inspect.signature(getattr(diffusers, schedulers.REGISTRY[name][0]).__init__).parameters
    for key in schedulers._DECISIVE:
        refused = False
        try:
            schedulers.check(name, {key: "something special"})
        except UserError:
            refused = True
        assert refused == (key not in takes), key


@pytest.mark.parametrize("name", sorted(schedulers.REGISTRY))
def test_schedulers_take_the_familys_noise_and_not_its_sampler(name: str) -> None:
    family = {
        "beta_schedule": "scaled_linear",
        "beta_start": 0.001,
        "beta_end": 0.01,
        "prediction_type": "v_prediction",
        "timestep_spacing": "trailing",
        "algorithm_type": "deis",
        "use_karras_sigmas": True,
        "_class_name": "DEISMultistepScheduler",
    }
    config = schedulers.make(name, family).config
    for key_ in ("beta_schedule", "beta_start", "beta_end", "prediction_type", "timestep_spacing"):
        assert config[key_] == family[key_]
    assert config.get("algorithm_type") != "deis"
    assert bool(config.get("use_karras_sigmas")) == (name == "dpmpp_2m_karras")
