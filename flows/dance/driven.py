"""What plans of renderers that draw with an animator have in common: a film's settings, its pictures, its budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from flows.animate.plan import dtype_of
from flows.dance.about import assembly, subject
from flows.dance.makers import map_makers, mask_detector
from flows.dance.settings import Dance, DanceControl
from flows.dance.stages import FrameSource
from flows.render import finishing, measures
from flows.render.schedules import Compiled
from reel.models.animator import Animator
from tasks.animate import memory, pictures
from tasks.animate.catalogue import RECIPES
from tasks.animate.settings import Decode, Denoise, Embed, Encode, Key
from tasks.extract import Extract
from tasks.vace.settings import Vace
from tasks.wan_animate.settings import WanAnimate

How = Vace | WanAnimate


class Part(Protocol):
    """One window or segment of a film, a frozen dataclass."""

    @property
    def denoise(self) -> Denoise: ...

    @property
    def decode(self) -> Decode: ...


P = TypeVar("P", bound=Part)


def filmed(cfg: Dance, live: Mapping[str, DanceControl], model: Animator, count: int) -> dict[str, Any]:
    """Of a plan what `flows.dance.stages.Filmed` says, for a clip of ``count`` frames."""
    from tasks.media.source import source_digest

    return {
        "source": FrameSource(cfg.clip, source_digest(cfg.clip), cfg.extract),
        "masks": {},
        "makers": map_makers(cfg, live),
        "maps": {name: cfg.controls[name].preprocess for name in live},
        "detector": mask_detector(cfg, live),
        "assembly": assembly(cfg, Compiled()),
        "embed_facts": cfg.embed_facts,
        "finish": finishing.plan(cfg.finish),
        "measures": measures.plan(cfg.measure, subject(cfg)),
        "count": count,
        "model": model.name,
        "framings": model.framings,
    }


def embed(cfg: Dance, how: How, model: Animator) -> Embed:
    """Settings of the op `animate.embed`; a negative prompt that nothing reads is not in them."""
    guided = how.guidance_scale > 1
    return Embed(
        **_stage(cfg, model),
        sources=model.sources_of(RECIPES[model.architecture].text),
        texts=[(cfg.prompt, cfg.negative_prompt if guided else "")],
        guided=guided,
        max_tokens=model.max_tokens,
    )


def encode(cfg: Dance, how: How, model: Animator, **film: Any) -> Encode:
    """Settings of the op `animate.encode`; ``film``: what of it they depend on."""
    recipe = RECIPES[model.architecture]
    sources = model.sources_of(recipe.needs(*recipe.encoders))
    return Encode(**_stage(cfg, model), sources=sources, tiling=how.encode_tiling, **film)


def denoising(
    cfg: Dance, how: How, model: Animator, size: tuple[int, int], pictures: int, shift: float
) -> dict[str, Any]:
    """What the settings of `animate.denoise` are for all windows or segments of a film, but its call's own arguments.

    Args:
        size: width and height, px.
        pictures: number of those of the character.
        shift: flow shift of the scheduler.
    """
    recipe = RECIPES[model.architecture]
    return {
        **_stage(cfg, model),
        "sources": model.sources_of(recipe.needs(*recipe.denoisers)),
        "fps": model.limits.most_fps,
        "width": size[0],
        "height": size[1],
        "keys": [Key(at=0)] * pictures,
        "num_inference_steps": how.num_inference_steps,
        "guidance_scale": max(how.guidance_scale, 1.0),
        "scheduler_config": {**model.scheduler_config, "flow_shift": shift},
        "max_tokens": model.max_tokens,
        "seed": cfg.seed,
        "storage": how.storage,
        "attention": cfg.compute.attention,
        "compile": cfg.compute.compile,
    }


def decode(denoise: Denoise, keep: int, how: How, model: Animator) -> Decode:
    """Settings of the op `animate.decode`, for what was denoised by these; ``keep``: frames of it."""
    return Decode(
        architecture=denoise.architecture,
        dtype=denoise.dtype,
        sources=model.sources_of(RECIPES[model.architecture].needs("vae")),
        denoise=denoise,
        keep=keep,
        tiling=how.decode_tiling,
    )


def _stage(cfg: Dance, model: Animator) -> dict[str, Any]:
    return {"architecture": model.architecture, "dtype": dtype_of(cfg)}


def reference(path: Path, number: int, extract: Extract, frame: tuple[int, int] | None = None) -> FrameSource:
    """A picture of the character.

    Args:
        extract: how it is read.
        frame: width and height, px, where it is to fill the frame and no border; None: it may be of any shape.

    Raises:
        UserError: it is none that can be used.
    """
    from tasks.media.source import source_digest

    key = f"stylize.references.{number}"
    still = pictures.look(path, key, background=True)
    if frame is not None:
        pictures.check_fit(still, *frame, "pad", key)
    return FrameSource(path, source_digest(path), extract)


def fitting(embed: Embed, parts: Sequence[P], cfg: Dance) -> list[P]:
    """The parts' settings within `compute.max_memory`; the longest one decides for all.

    Raises:
        UserError: a budget that nothing fits into.
    """
    longest = max(parts, key=lambda part: part.denoise.frames)
    denoise, decode = memory.fit(embed, longest.denoise, longest.decode, cfg.compute)
    found = []
    for part in parts:
        own = part.denoise.model_copy(update={"storage": denoise.storage})
        decoded = part.decode.model_copy(update={"denoise": own, "tiling": decode.tiling})
        found.append(dataclasses.replace(part, denoise=own, decode=decoded))  # type: ignore[type-var]
    return found
