"""Qwen-Image-Edit, 2509 and later: words about one to three reference pictures, which it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tasks.keyframe.painters import qwen_image

if TYPE_CHECKING:
    from PIL import Image

    from tasks.keyframe.settings import Draw


def arguments(cfg: Draw, references: Sequence[Image.Image]) -> dict[str, Any]:
    """Of `QwenImageEditPlusPipeline.__call__`."""
    return {**qwen_image.arguments(cfg, ()), "image": list(references)}


RECIPE = replace(
    qwen_image.RECIPE,
    name="qwen_image_edit",
    pipeline="diffusers:QwenImageEditPlusPipeline",
    classes={**qwen_image.RECIPE.classes, "processor": "transformers:Qwen2VLProcessor"},
    arguments=arguments,
)
