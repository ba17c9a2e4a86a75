"""The embedded family: Stable Diffusion 1.5's classes under a pose of its own, a whole figure that faces the camera.

Its ControlNet is given that pose. Of a prompt it reads the words that it knows, and how near the camera is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.keyframe.recipe import Recipe, with_negative

if TYPE_CHECKING:
    from PIL import Image

    from reel.models.source import ModelSource
    from tasks.keyframe.settings import Draw


def arguments(cfg: Draw, references: Sequence[Image.Image]) -> dict[str, Any]:
    """Of `StableDiffusionControlNetPipeline.__call__`."""
    from PIL import Image

    from tasks.preprocess.pose_map import draw_poses
    from tasks.sprite.stance import framed, standing

    said, (width, height) = framed(cfg.prompt), (cfg.width, cfg.height)
    pose = draw_poses([standing(width, height, said.framing or "medium")], width, height)
    return {**with_negative(cfg), "prompt": said.prompt, "image": Image.fromarray(pose)}


def read(prompt: str, source: ModelSource) -> str:
    """The words of a prompt that the family knows, and behind them how near the camera is, where that is said."""
    from tasks.sprite.attributes import CHOICES
    from tasks.sprite.stance import framed
    from tasks.sprite.words import known
    from tasks.sprite.words import read as legible

    said = framed(prompt)
    words = legible(said.prompt, known(source) or CHOICES)
    return ", ".join(filter(None, [words, f"{said.framing} shot" if said.framing else ""]))


RECIPE = Recipe(
    name="sprite",
    pipeline="diffusers:StableDiffusionControlNetPipeline",
    classes={
        "unet": "diffusers:UNet2DConditionModel",
        "controlnet": "diffusers:ControlNetModel",
        "vae": "diffusers:AutoencoderKL",
        "text_encoder": "transformers:CLIPTextModel",
        "tokenizer": "transformers:AutoTokenizer",
    },
    arguments=arguments,
    read=read,
    init={"requires_safety_checker": False},
)
