"""What a painter is to the op, as data: a stock pipeline of diffusers, the classes of its parts, its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

    from tasks.keyframe.settings import Draw


@dataclass(frozen=True)
class Recipe:
    """One architecture.

    Attributes:
        pipeline: its class, ``module:Class``.
        classes: class of each part that has files but the scheduler, ``module:Class``.
        arguments: of the call, from the op's settings and the reference pictures.
        tokenizers: parts that cut a prompt into tokens, of which ``max_tokens`` counts those of the first.
        init: arguments of the pipeline beside its parts.
    """

    name: str
    pipeline: str
    classes: Mapping[str, str]
    arguments: Callable[[Draw, Sequence[Image.Image]], dict[str, Any]]
    tokenizers: Sequence[str] = ("tokenizer",)
    init: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parts(self) -> list[str]:
        """Names of all parts that files are needed of."""
        return [*self.classes, "scheduler"]


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
