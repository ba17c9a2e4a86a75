"""The embedded family: Stable Diffusion 1.5's classes under a pose of its own, a whole figure that faces the camera.

Its ControlNet is given that pose. Of a prompt it reads the words that it knows, and how near the camera is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.keyframe.recipe import Recipe, with_negative

if TYPE_CHECKING:
    from PIL import Image

    from tasks.keyframe.settings import Draw


def arguments(cfg: Draw, references: Sequence[Image.Image]) -> dict[str, Any]:
    """Of `StableDiffusionControlNetPipeline.__call__`."""
    from PIL import Image

    from tasks.preprocess.pose_map import draw_poses
    from tasks.sprite.attributes import CHOICES
    from tasks.sprite.stance import framed, standing
    from tasks.sprite.words import known, read

    said = framed(cfg.prompt)
    choices = known(cfg.sources["unet"]) or CHOICES
    pose = draw_poses([standing(cfg.width, cfg.height, said.framing)], cfg.width, cfg.height)
    return {**with_negative(cfg), "prompt": read(said.prompt, choices), "image": Image.fromarray(pose)}


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
    init={"requires_safety_checker": False},
)
