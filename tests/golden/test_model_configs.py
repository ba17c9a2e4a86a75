"""Full-size settings of the catalogue's models build the right classes with the published number of parameters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parent / "model_configs"
SOURCES = yaml.safe_load((FOLDER / "sources.yaml").read_text())


def _on_meta(stem: str) -> object:
    import diffusers
    import torch
    import transformers

    from tasks.animate.replay.shell import of_config

    settings = json.loads((FOLDER / f"{stem}.json").read_text())
    name = SOURCES[stem]["class"]
    with torch.device("meta"):
        return of_config(getattr(diffusers, name, None) or getattr(transformers, name), settings)


def test_every_file_has_a_source_and_the_other_way_round() -> None:
    stems = {path.stem for path in FOLDER.glob("*.json")}
    assert stems == SOURCES.keys()
    assert len(stems) >= 7


def test_every_part_of_an_image_to_video_family_has_its_full_size_settings() -> None:
    """But LTX's, whose parts were looked at when they were wired in."""
    from benchmarks.animator_sizes import is_told, networks
    from tests.families import animators

    models = [model for model in animators() if is_told(model)]
    served = {name for source in SOURCES.values() for name in source.get("serves", [])}
    assert served >= {f"{model.name}.{part}" for model in models for part in networks(model)}
    for model in models:
        denoisers = {stem for stem, one in SOURCES.items() if f"{model.name}.transformer" in one.get("serves", [])}
        for stem in denoisers:
            count = 2 if f"{model.name}.transformer_2" in SOURCES[stem]["serves"] else 1
            assert model.memory_gb >= 0.95 * 2e-9 * count * SOURCES[stem]["parameters"], (
                f"{model.name}: its weights alone"
            )


@pytest.mark.parametrize("stem", sorted(SOURCES))
def test_parameter_count_is_the_published_one_within_1_percent(stem: str) -> None:
    count = sum(parameter.numel() for parameter in _on_meta(stem).parameters())
    assert count == pytest.approx(SOURCES[stem]["parameters"], rel=0.01)


@pytest.mark.parametrize(
    ("stem", "width", "height", "weights", "activations"),
    [
        ("wan_vace_1_3b", 832, 480, 4.0, 4.6),
        ("wan_vace_14b", 832, 480, 32.3, 13.1),
        ("wan_vace_14b", 1280, 720, 32.3, 30.2),
    ],
)
def test_what_wan_vace_takes_at_full_size_in_16_bits(
    stem: str, width: int, height: int, weights: float, activations: float
) -> None:
    """GiB that the plan predicts for a window of 81 frames with one picture of the character, guided or not."""
    from tasks.animate import memory
    from tasks.animate.settings import Denoise, Key

    shape = json.loads((FOLDER / f"{stem}.json").read_text())
    sizes = {"frames": 81, "fps": 16, "width": width, "height": height, "num_inference_steps": 2}
    film = Denoise(architecture="vace", sources={}, dtype="bfloat16", keys=[Key(at=0)], guidance_scale=5, **sizes)
    assert 2 * SOURCES[stem]["parameters"] / 2**30 == pytest.approx(weights, abs=0.05)
    assert 2 * memory.denoiser_numbers(shape, film, {}) / 2**30 == pytest.approx(activations, abs=0.05)
    unguided = film.model_copy(update={"guidance_scale": 1.0})
    assert memory.denoiser_numbers(shape, unguided, {}) == memory.denoiser_numbers(shape, film, {})


def test_motion_modules_fit_the_sd15_unet_and_controlnets_its_residuals() -> None:
    """The render's own assembly at full size, without weights: motion and ControlNet match the UNet block by block."""
    import torch
    from diffusers import UNetMotionModel

    with torch.device("meta"):
        unet = _on_meta("sd15_unet")
        for module in ("motion_v1_5_2", "motion_v1_5_3"):
            joined = UNetMotionModel.from_unet2d(unet, _on_meta(module), load_weights=False)
            assert joined.config.motion_max_seq_length == 32
    control, plain = _on_meta("sd15_controlnet").config, unet.config
    for key in ("block_out_channels", "cross_attention_dim", "layers_per_block", "in_channels"):
        assert getattr(control, key) == getattr(plain, key)
