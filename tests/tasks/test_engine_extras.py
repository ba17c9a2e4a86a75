"""LoRAs, reference pictures, other VAEs and one-file checkpoints through the engine: the stock pipeline's pictures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reel.clip import Clip
from reel.errors import UserError
from reel.store import Store
from tests.tasks import stock
from tests.tasks.test_stylize_load import lora_for, save, write_ip_adapter
from tests.tasks.tiny_family import family_config
from tests.tasks.tiny_render import inputs, render
from tests.tasks.tiny_settings import settings

pytestmark = pytest.mark.filterwarnings("ignore")


def both(store: Store, **changes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of the stock pipeline and of the engine, for the same settings."""
    cfg, given = settings(**changes), inputs(store, 3)
    frames, pose = (Clip.open(store, given[name]) for name in ("frames", "map_pose"))
    ours = Clip.open(store, render(store, **changes)).array()
    return stock.render(cfg, frames, {"pose": pose}).astype(int), ours.astype(int)


def agree(store: Store, plain: np.ndarray | None = None, **changes: Any) -> np.ndarray:
    expected, ours = both(store, **changes)
    assert np.abs(expected - ours).max() <= 1
    if plain is not None:
        assert (np.abs(expected - plain) > 2).mean() > 0.05, "a setting that changes nothing compares nothing"
    return expected


def test_clip_skip(world: Store) -> None:
    """Compared without guidance: diffusers leaves clip_skip out for the negative prompt, no other tool does."""
    agree(world, agree(world, guidance_scale=1.0), guidance_scale=1.0, clip_skip=1)


def test_loras(world: Store, families: Path, tmp_path: Path) -> None:
    plain = agree(world)
    for part in ("text_encoder", "unet"):
        source = save(tmp_path / f"{part}.safetensors", lora_for(families / "tiny", part))
        agree(world, plain, loras=[{"source": source, "weight": 0.7}])
    camera = save(tmp_path / "zoom.safetensors", lora_for(families / "tiny", "motion_adapter"))
    agree(world, plain, model={**family_config("tiny"), "camera": True}, motion_loras=[{"source": camera}])


def test_a_reference_picture(world: Store, families: Path, tmp_path: Path) -> None:
    from PIL import Image

    model = {**family_config("tiny"), **write_ip_adapter(families, tmp_path)}
    picture = tmp_path / "look.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)).save(picture)
    for scale in (1.0, 5.0):
        plain = agree(world, guidance_scale=scale)
        agree(world, plain, guidance_scale=scale, model=model, ip_adapter={"picture": str(picture), "weight": 0.8})


def test_a_few_step_family_as_animatelcm_comes(world: Store, families: Path, tmp_path: Path) -> None:
    """A motion module in a folder, a LoRA that belongs to the family, lcm, little guidance."""
    source = save(tmp_path / "lcm.safetensors", lora_for(families / "tiny", "unet"))
    model = {
        **family_config("tiny"),
        "loras": [{"source": source, "weight": 0.8}],
        "scheduler_config": {"beta_schedule": "linear"},
        "schedulers": ["lcm"],
    }
    for scale in (1.0, 2.0):
        agree(world, model=model, scheduler="lcm", num_inference_steps=4, guidance_scale=scale)


def test_a_few_step_family_as_lightning_comes(world: Store, families: Path, tmp_path: Path) -> None:
    """A bare motion file with its settings from elsewhere, euler, trailing timesteps, no guidance."""
    file = tmp_path / "lightning_4step.safetensors"
    shutil.copy(families / "tiny/motion_adapter/diffusion_pytorch_model.safetensors", file)
    model = {
        **family_config("tiny"),
        "motion": {"kind": "file", "id": str(file)},
        "motion_config": {"kind": "embedded", "id": "tiny", "subfolder": "motion_adapter", "files": ["config.json"]},
        "scheduler_config": {"beta_schedule": "linear", "timestep_spacing": "trailing"},
        "schedulers": ["euler"],
    }
    agree(world, model=model, scheduler="euler", num_inference_steps=4, guidance_scale=1.0)


def test_a_textual_inversion(world: Store, tmp_path: Path) -> None:
    """It changes the picture, by its vectors and not by its name."""
    import torch

    def ours(prompt: str, seed: int) -> np.ndarray:
        vectors = torch.randn(2, 16, generator=torch.Generator().manual_seed(seed))
        source = save(tmp_path / f"{seed}.safetensors", {"emb_params": vectors})
        found = render(world, prompt=prompt, embeddings={"look": source})
        return Clip.open(world, found).array().astype(int)

    plain, one, other = ours("a dancer", 1), ours("a dancer, embedding:look", 1), ours("a dancer, embedding:look", 2)
    assert (np.abs(plain - one) > 2).mean() > 0.05
    assert (np.abs(one - other) > 2).mean() > 0.05
    with pytest.raises(UserError, match="textual inversion that is not among"):
        settings(prompt="a dancer, embedding:unknown", embeddings={})
