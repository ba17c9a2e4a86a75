"""Settings against the model's small files, before any model loads."""

from __future__ import annotations

from reel.models.animator import Animator
from tasks.animate import checks, loras
from tasks.animate.parts import part_folder
from tasks.animate.settings import Denoise
from tasks.networks.files import read_json


def check_models(cfg: Denoise, model: Animator, *, refining: bool = False) -> None:
    """Hold a denoising against the scheduler's and the denoiser's settings. The files must be there.

    Args:
        refining: whether it is a second pass.

    Raises:
        UserError: time steps that the scheduler would shift, LoRAs of another generation.
    """
    found = read_json(part_folder(cfg, "scheduler") / "scheduler_config.json")
    checks.scheduler({**found, **cfg.scheduler_config}, cfg.timesteps, model, refining=refining)
    if cfg.loras:
        shape = read_json(part_folder(cfg, "transformer") / "config.json")
        width = int(shape["num_attention_heads"]) * int(shape["attention_head_dim"])
        loras.check(cfg.loras, model.generation, width, model.name, sounds=model.limits.sound)
