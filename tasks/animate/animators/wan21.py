"""Wan 2.1 image-to-video (arXiv:2503.20314): a first picture, or with its own weights a first and a last one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.animate.recipe import FLOW_MATCHING, READ, Grid, Recipe, Shown, pictures, usual

if TYPE_CHECKING:
    from tasks.animate.settings import Denoise

CLASSES = {
    "transformer": "diffusers:WanTransformer3DModel",
    "vae": "diffusers:AutoencoderKLWan",
    "text_encoder": "transformers:UMT5EncoderModel",
    "tokenizer": "transformers:AutoTokenizer",
}
"""Parts of all Wan pipelines."""
SCHEDULERS = {**FLOW_MATCHING, "UniPCMultistepScheduler": "diffusers:UniPCMultistepScheduler"}
READS = READ & {"encode_tiling", "decode_tiling"}


def arguments(cfg: Denoise, shown: Sequence[Shown]) -> dict[str, Any]:
    """Of `WanImageToVideoPipeline.__call__`.

    It would round a length off 4k+1, and sides off its grid, with a line in its log.
    """
    first, *behind = pictures(shown)
    return {"image": first, **({"last_image": behind[-1]} if behind else {}), **usual(cfg), **cfg.call}


RECIPE = Recipe(
    name="wan21",
    pipeline="diffusers:WanImageToVideoPipeline",
    classes={
        **CLASSES,
        "image_encoder": "transformers:CLIPVisionModel",
        "image_processor": "transformers:CLIPImageProcessor",
    },
    arguments=arguments,
    embeddings=2,
    encoders=("vae", "image_encoder"),
    processors=("image_processor",),
    encoded_by=("frames",),  # as a clip: the pictures, and grey between and behind them
    codecs=(),  # it keeps the mean and deviation of its latents in its settings
    precise=("vae", "image_encoder"),
    schedulers=SCHEDULERS,
    grid=Grid(4, 8, (1, 2), "cfhw"),
    guided_apart=True,
    frames_decoded=4,
    tile=256,
    reads=READS,
)
