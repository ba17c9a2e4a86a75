"""How a flow runs the engine: four ops in order, each through whatever the flow runs ops with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reel.models import ModelSource
from reel.op import Op
from tasks.stylize.engine.ops import DECODE, DENOISE, EMBED, ENCODE
from tasks.stylize.engine.render import needs_poses
from tasks.stylize.engine.split import Stages

Run = Callable[..., str]
"""``run(op, settings, **inputs) -> digest``, as in flows: computes, or takes from the cache."""


def stylize(run: Run, stages: Stages, frames: str, maps: Mapping[str, str], poses: str | None = None) -> str:
    """Digest of the rendered clip.

    Args:
        frames: digest of the source's frames.
        maps: digests of control maps (``map_<control>``) and mask clips (``mask_<control>``).
        poses: digest of the clip's poses, for masks and compositing; left out of the key where nothing reads them.
    """
    live = stages.denoise.live()
    used = {name: digest for name, digest in maps.items() if name.split("_", 1)[1] in live}
    if poses is not None and needs_poses(stages.denoise):
        used["poses"] = poses
    latents = run(ENCODE, stages.encode, frames=frames)
    embeddings = run(EMBED, stages.embed)
    denoised = run(DENOISE, stages.denoise, latents=latents, embeddings=embeddings, **used)
    return run(DECODE, stages.decode, latents=denoised)


def sources(stages: Stages) -> list[ModelSource]:
    """Every model file of a render, to be fetched before anything is computed."""
    each: list[tuple[Op, Any]] = [
        (ENCODE, stages.encode),
        (EMBED, stages.embed),
        (DENOISE, stages.denoise),
        (DECODE, stages.decode),
    ]
    return list({source.label: source for op, cfg in each for source in op.models(cfg)}.values())
