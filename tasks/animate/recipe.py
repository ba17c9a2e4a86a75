"""What an animator is to the ops: a stock pipeline of diffusers, which of its parts do what, and its arguments.

A recipe is data. It stands in tasks/animate/animators/<architecture>.py; `tasks.animate.catalogue` lists them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from tasks.animate.settings import Decode, Denoise


@dataclass(frozen=True)
class Shown:
    """A picture or clip that the film is held to: frames ``(F, H, W, 3)`` uint8 of the film's size."""

    frames: np.ndarray
    at: int
    strength: float


@dataclass(frozen=True)
class Recipe:
    """One architecture.

    Attributes:
        pipeline: its class, ``module:Class``.
        classes: class of each part that has weights, ``module:Class``.
        arguments: of the call, from an op's settings and the pictures.
        decoding: further arguments that matter after the last step.
        text: parts that make embeddings.
        codecs: parts whose latents the loop makes; they keep the mean and deviation of these beside their weights.
        voices: parts that make sound of latents.
        denoisers: parts that the loop runs.
        schedulers: classes that it may be sampled with, ``module:Class`` by name.
        sampler: the class that it is sampled with, ``module:Class``; empty: the one that the family's files name.
        sections: first frames of the sections of a film, each with a prompt of its own, from ``call`` and the number of
            frames; None: it is made in one.
        upsampler: its pipeline for the step between two passes, ``module:Class``; empty: it has none.
        film_first: whether the loop's tokens begin with the film's, and those of pictures come behind; else before.
        steps_a_round: how often a scheduler steps between two runs of the denoiser.
        call: arguments that a family may set for itself.
    """

    name: str
    pipeline: str
    classes: Mapping[str, str]
    arguments: Callable[[Denoise, Sequence[Shown]], dict[str, Any]]
    decoding: Callable[[Decode], dict[str, Any]]
    text: Sequence[str] = ("tokenizer", "text_encoder")
    codecs: Sequence[str] = ("vae",)
    voices: Sequence[str] = ()
    denoisers: Sequence[str] = ("transformer",)
    schedulers: Mapping[str, str] = field(
        default_factory=lambda: {"FlowMatchEulerDiscreteScheduler": "diffusers:FlowMatchEulerDiscreteScheduler"}
    )
    sampler: str = ""
    upsampler: str = ""
    film_first: bool = False
    steps_a_round: int = 1
    call: frozenset[str] = frozenset()
    sections: Callable[[Mapping[str, Any], int], list[int]] | None = None

    @property
    def shells(self) -> list[str]:
        """Parts whose settings the pipeline's call reads, whatever it runs."""
        return [name for name in self.classes if name not in ("tokenizer", "text_encoder", "latent_upsampler")]

    def needs(self, *real: str) -> list[str]:
        """What an op needs that runs some parts, as `reel.models.animator.sources_of` takes it.

        Those whole; of the codecs their files too, for the few numbers that pipelines read; of the others the settings.
        """
        others = [name for name in self.shells if name not in real]
        return [*real, "scheduler", *(name if name in self.codecs else f"{name}:config" for name in others)]


def usual(cfg: Denoise) -> dict[str, Any]:
    """Arguments that the calls of all LTX pipelines take by the same names."""
    return {
        "width": cfg.width,
        "height": cfg.height,
        "num_frames": cfg.frames,
        "frame_rate": cfg.fps,
        "guidance_scale": cfg.guidance_scale,
        "guidance_rescale": cfg.guidance_rescale,
        "max_sequence_length": cfg.max_tokens,
    }


def usual_decoding(cfg: Decode) -> dict[str, Any]:
    """Those of the noise that a decoder is told of."""
    return {"decode_timestep": cfg.decode_timestep, "decode_noise_scale": cfg.decode_noise_scale}


def loaded_class(name: str) -> Any:
    """The class that ``module:Class`` names."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
