"""What a painter is to the op, as data: a stock pipeline of diffusers, the classes of its parts, its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

    from reel.models.source import ModelSource
    from tasks.keyframe.settings import Draw


ADAPTER = ("ip_adapter", "image_encoder")
"""Parts of an IP-Adapter: its own weights, and the CLIP network that sees the pictures for it."""


@dataclass(frozen=True)
class Recipe:
    """One architecture.

    Attributes:
        pipeline: its class, ``module:Class``.
        classes: class of each part that has files but the scheduler, ``module:Class``.
        arguments: of the call, from the op's settings and the reference pictures.
        tokenizers: parts that cut a prompt into tokens, of which ``max_tokens`` counts those of the first.
        init: arguments of the pipeline beside its parts.
        read: what it reads of a prompt, given its files; the rest is not in the picture's key.
        adapter: whether reference pictures reach it through an IP-Adapter (`tasks.keyframe.ip_adapter`).
    """

    name: str
    pipeline: str
    classes: Mapping[str, str]
    arguments: Callable[[Draw, Sequence[Image.Image]], dict[str, Any]]
    tokenizers: Sequence[str] = ("tokenizer",)
    init: Mapping[str, Any] = field(default_factory=dict)
    read: Callable[[str, ModelSource], str] = lambda prompt, source: prompt
    adapter: bool = False

    def needs(self, *, references: bool) -> list[str]:
        """Names of the parts that files are needed of.

        Args:
            references: whether reference pictures are given.
        """
        return [*self.classes, "scheduler", *(ADAPTER if references and self.adapter else ())]


def usual(cfg: Draw) -> dict[str, Any]:
    """Arguments that all pipelines take by the same names."""
    return {
        "prompt": cfg.prompt,
        "width": cfg.width,
        "height": cfg.height,
        "num_inference_steps": cfg.num_inference_steps,
        "guidance_scale": cfg.guidance_scale,
        **cfg.call,
    }


def with_negative(cfg: Draw) -> dict[str, Any]:
    """The same, and what a picture should not show, where there is guidance against it."""
    return {**usual(cfg), **({"negative_prompt": cfg.negative_prompt} if cfg.guidance_scale > 1 else {})}


def through_adapter(references: Sequence[Image.Image]) -> dict[str, Any]:
    """Reference pictures for a pipeline's one IP-Adapter, all of them seen together; nothing where there are none."""
    return {"ip_adapter_image": [list(references)]} if references else {}
