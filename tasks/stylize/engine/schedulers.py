"""Registered schedulers: a name, a diffusers class, and the settings that make it that sampler.

A family's own scheduler settings (noise schedule, prediction type, zero-terminal SNR, spacing) come first; a class that
does not know one of them would silently sample with another, so that combination is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from reel.errors import UserError

REGISTRY: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),  # arXiv:2010.02502
    "ddpm": ("DDPMScheduler", {}),  # arXiv:2006.11239
    "euler": ("EulerDiscreteScheduler", {}),  # arXiv:2206.00364
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2}),  # 2211.01095
    "dpmpp_2m_karras": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": True},
    ),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}),
    "heun": ("HeunDiscreteScheduler", {}),
    "lcm": ("LCMScheduler", {}),  # arXiv:2310.04378
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),  # arXiv:2202.09778
    "unipc": ("UniPCMultistepScheduler", {}),  # arXiv:2302.04867
}

SCALED = frozenset({"euler", "euler_a", "heun"})
"""Their latents are as large as the noise in them (sigma), the others' stay at unit variance."""

MOST_STEPS = {"lcm": 50}
"""Steps at most, by scheduler: LCM takes its steps from the 50 of the sampler that it was distilled from."""

_DECISIVE = {
    "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False,
    "beta_schedule": "linear",
    "timestep_spacing": None,
    "trained_betas": None,
}
"""Settings that change what the model's output means, with the value that asks for nothing special."""

_NOISE = (
    *_DECISIVE,
    *("num_train_timesteps", "beta_start", "beta_end", "steps_offset", "clip_sample", "clip_sample_range"),
    *("set_alpha_to_one", "thresholding", "dynamic_thresholding_ratio", "sample_max_value"),
)
"""What is taken from a family: its noise schedule. Settings of the sampler it was published with stay behind."""


_BLIND = {name: frozenset({"rescale_betas_zero_snr"}) for name in ("heun", "pndm")}
"""Decisive settings that a scheduler's class does not know."""


def evaluations(name: str, steps: int) -> int:
    """Steps as the scheduler counts them: Heun takes all but the last twice, PNDM the second."""
    return {"heun": 2 * steps - 1, "pndm": steps + 1}.get(name, steps)


def check(name: str, family: Mapping[str, Any]) -> None:
    """Whether a scheduler honours what a family's output means. Imports no library.

    Args:
        family: as in `make`.

    Raises:
        UserError: it does not know a setting of the family.
    """
    for key, neutral in _DECISIVE.items():
        if family.get(key, neutral) != neutral and key in _BLIND.get(name, ()):
            able = [other for other in REGISTRY if key not in _BLIND.get(other, ())]
            raise UserError(
                f"stylize.scheduler: {name} does not know the model's {key}={family[key]!r} and would sample wrongly",
                fix=f"use one that does: {', '.join(able)}",
            )


def make(name: str, family: Mapping[str, Any]) -> Any:
    """A fresh scheduler.

    Args:
        name: registered name.
        family: the family's scheduler_config.json, with the catalogue's changes.

    Raises:
        UserError: the scheduler cannot honour a setting of the family.
    """
    import diffusers

    check(name, family)
    class_name, extra = REGISTRY[name]
    kind = getattr(diffusers, class_name)
    known = inspect.signature(kind.__init__).parameters
    settings = {key: family[key] for key in _NOISE if key in family and key in known}
    return kind.from_config({**settings, **{k: v for k, v in extra.items() if k in known}})
