"""What an animator is to the ops: a stock pipeline of diffusers, which of its parts do what, and its arguments.

A recipe is data. It stands in tasks/animate/animators/<architecture>.py; `tasks.animate.catalogue` lists them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

    from tasks.animate.settings import Decode, Denoise

FLOW_MATCHING = {"FlowMatchEulerDiscreteScheduler": "diffusers:FlowMatchEulerDiscreteScheduler"}
"""The scheduler of most rectified flows, by name."""
READ = frozenset(
    {
        *("timesteps", "guidance_rescale", "picture_noise", "decode_timestep", "decode_noise_scale", "loras"),
        *("encode_tiling", "decode_tiling", "decode_framewise", "strength"),
    }
)
"""Settings that not every pipeline reads: those of `Sampling`, and the strength of a picture."""


Role = Literal["picture", "control", "mask", "face", "background"]


@dataclass(frozen=True)
class Shown:
    """A picture or clip that the film is held to: frames ``(F, H, W, 3)`` uint8, mostly of the film's size.

    Attributes:
        role: ``control``: maps that drive the film, and frames that stay; ``mask``: white where it is drawn anew;
            ``face``: close, for its expression; ``background``: the place, without whom is drawn anew in it.
    """

    frames: np.ndarray
    at: int
    strength: float
    role: Role = "picture"


@dataclass(frozen=True)
class Grid:
    """What the latents stand for.

    Attributes:
        frames, side: frames and px a side of one cell; the first frame has cells of its own where ``frames`` > 1.
        patch: cells that the denoiser takes as one token, in time and a side.
        layout: how the loop holds them: ``tokens`` (1, N, C), ``cfhw`` (1, C, F, h, w), ``fchw`` (1, F, C, h, w).
    """

    frames: int = 8
    side: int = 32
    patch: tuple[int, int] = (1, 1)
    layout: Literal["tokens", "cfhw", "fchw"] = "tokens"

    def of(self, codec: Mapping[str, Any]) -> Grid:
        """The same with cells as large as a VAE's settings say, where they do."""
        return replace(self, side=int(codec.get("spatial_compression_ratio") or self.side))

    def cells(self, frames: int, width: int, height: int) -> tuple[int, int, int]:
        """Cells of a film, in time, in height and in width."""
        return (frames - 1) // self.frames + 1, height // self.side, width // self.side

    def tokens(self, frames: int, width: int, height: int) -> int:
        """Tokens of a film."""
        count, high, wide = self.cells(frames, width, height)
        time, side = self.patch
        return -(-count // time) * (high // side) * (wide // side)


@dataclass(frozen=True)
class Recipe:
    """One architecture.

    Attributes:
        pipeline: its class, ``module:Class``.
        classes: class of each part, ``module:Class``.
        arguments: of the call, from an op's settings and the pictures.
        decoding: further arguments that matter after the last step.
        init: arguments of the pipeline's constructor beside its parts.
        further: parts that no file holds, from the settings of the film.
        text: parts that make embeddings; none: it reads no prompt.
        beside_text: parts whose settings the pipeline's constructor reads even where it only embeds.
        embedding: further arguments of ``encode_prompt`` for the positive and for the negative text, from a family's
            ``call`` and the pictures, where texts are embedded with a picture in view; None: they are not.
        embeddings: how many tensors ``encode_prompt`` gives.
        encoders: parts that look at pictures.
        processors: parts without weights, in whatever op they serve.
        encoded_by: settings of the film that the encoded pictures depend on, beside these and their size; where there
            are any, all of a film are encoded in one call, else each by itself, for every film and seed.
        codecs: parts whose latents the loop makes; they keep the mean and deviation of these beside their weights.
        voices: parts that make sound of latents.
        denoisers: parts that the loop runs.
        precise: parts that work in float32 whatever the others work in.
        schedulers: classes that it may be sampled with, ``module:Class`` by name.
        sampler: the class that it is sampled with, ``module:Class``; empty: the one that the family's files name.
        grid: what its latents stand for.
        window: frames that the denoiser looks at in one run, by ``call``; 0: all.
        guided_apart: whether the runs with and without the prompt are two, and not one of both.
        frames_decoded: frames that its VAE decodes at a time, whatever is set; 0: the whole film.
        tile, piece: px of a tile's side and frames of a piece of a film that is decoded in such.
        picture_tokens: whether pictures behind the first frame are further tokens; of a driven film all are.
        driven: whether it repaints a clip by its maps, instead of bringing pictures to life.
        least: frames of the shortest film in which it encodes a picture.
        sections: first frames of the sections of a film, from ``call`` and the number of frames; None: it is made in
            one.
        carried: where one call makes a film in segments, each decoded before the next: the argument that says how many
            frames the next one takes over; empty: it is made in one.
        section_prompts: whether each section has a prompt of its own.
        upsampler: its pipeline for the step between two passes, ``module:Class``; empty: it has none.
        refines: arguments by which a second pass takes up what the first returned, in that order: the latents, which
            are enlarged between, and what goes along as it is.
        refines_from: what says how far a second pass goes back: a ``strength``, or the first of its own ``timesteps``.
        film_first: whether the loop's tokens begin with the film's, and those of pictures come behind; else before.
        steps_a_round: how often a scheduler steps between two runs of the denoiser.
        call: arguments that a family may set for itself.
        reads: the settings of `READ` that it does not ignore.
    """

    name: str
    pipeline: str
    classes: Mapping[str, str]
    arguments: Callable[[Denoise, Sequence[Shown]], dict[str, Any]]
    decoding: Callable[[Decode], dict[str, Any]] = lambda cfg: {}
    init: Mapping[str, Any] = field(default_factory=dict)
    further: Callable[[Denoise], dict[str, Any]] = lambda cfg: {}
    text: Sequence[str] = ("tokenizer", "text_encoder")
    beside_text: Sequence[str] = ()
    embedding: Callable[[Mapping[str, Any], Sequence[Any]], tuple[dict[str, Any], dict[str, Any]]] | None = None
    embeddings: int = 4
    encoders: Sequence[str] = ("vae",)
    processors: Sequence[str] = ()
    encoded_by: Sequence[str] = ()
    codecs: Sequence[str] = ("vae",)
    voices: Sequence[str] = ()
    denoisers: Sequence[str] = ("transformer",)
    precise: Sequence[str] = ()
    schedulers: Mapping[str, str] = field(default_factory=lambda: FLOW_MATCHING)
    sampler: str = ""
    grid: Grid = Grid()
    window: Callable[[Mapping[str, Any]], int] = lambda call: 0
    guided_apart: bool = False
    frames_decoded: int = 0
    tile: int = 512
    piece: int = 16
    picture_tokens: bool = False
    driven: bool = False
    least: int = 9
    sections: Callable[[Mapping[str, Any], int], list[int]] | None = None
    carried: str = ""
    section_prompts: bool = False
    upsampler: str = ""
    refines: Sequence[str] = ("latents",)
    refines_from: Literal["strength", "timesteps"] = "strength"
    film_first: bool = False
    steps_a_round: int = 1
    call: frozenset[str] = frozenset()
    reads: frozenset[str] = READ

    def smaller(self, *settings: str) -> str:
        """Settings ``name=value`` that save memory, with their group in front, without those that it does not read."""
        group = "stylize" if self.driven else "animate"
        read = [one for one in settings if (name := one.partition("=")[0]) in self.reads or name not in READ]
        return ", ".join(f"{group}.{one}" for one in read)

    def seen(self, call: Mapping[str, Any], frames: int) -> int:
        """Frames of a film that the denoiser looks at in one run."""
        return min(frames, self.window(call) or frames)

    @property
    def shells(self) -> list[str]:
        """Parts whose settings the pipeline's call reads, whatever it runs."""
        aside = ("tokenizer", "text_encoder", "latent_upsampler")
        return [name for name in self.classes if not name.startswith(aside) and name not in self.processors]

    @property
    def embeds(self) -> list[str]:
        """What embedding needs, likewise."""
        return [*self.text, *(f"{name}:config" for name in self.beside_text)]

    def needs(self, *real: str) -> list[str]:
        """What an op needs that runs some parts, as `StockFamily.sources_of` takes it.

        Those whole; of the codecs their files too, for the few numbers that pipelines read; of the others the settings.
        """
        others = [name for name in self.shells if name not in real]
        return [
            *(*real, *self.processors, "scheduler"),
            *(name if name in self.codecs else f"{name}:config" for name in others),
        ]


def usual(cfg: Denoise) -> dict[str, Any]:
    """Arguments that the calls of nearly all pipelines take by the same names."""
    return {
        "width": cfg.width,
        "height": cfg.height,
        "num_frames": cfg.frames,
        "num_inference_steps": cfg.num_inference_steps,
        "guidance_scale": cfg.guidance_scale,
        "max_sequence_length": cfg.max_tokens,
    }


def pictures(shown: Sequence[Shown]) -> list[Any]:
    """The film's pictures, each a PIL image of its size."""
    from PIL import Image

    return [Image.fromarray(one.frames[0]) for one in shown]


def loaded_class(name: str) -> Any:
    """The class that ``module:Class`` names."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
