"""Wan-Animate (arXiv:2509.14055): a picture's character moves as the person of a clip, or takes their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.animate.animators.wan21 import CLASSES, READS, SCHEDULERS
from tasks.animate.recipe import Grid, Recipe, Role, Shown, usual

if TYPE_CHECKING:
    from tasks.animate.settings import Denoise

CARRIED = "prev_segment_conditioning_frames"
"""The call's argument for the frames that a segment takes over."""


def arguments(cfg: Denoise, shown: Sequence[Shown]) -> dict[str, Any]:
    """Of `WanAnimatePipeline.__call__`; the film's length is that of its clips, ``cfg.frames`` that of a segment.

    The picture has its own size: the pipeline fits it into the film on black, and shows CLIP all of it as it is.
    """
    from PIL import Image

    def clip(role: Role) -> list[Image.Image] | None:
        return [Image.fromarray(frame) for one in shown if one.role == role for frame in one.frames] or None

    pictures, place = clip("picture") or [], clip("background")
    both = {"background_video": place, "mask_video": clip("mask")} if place else {}
    own = usual(cfg)
    return {
        "image": pictures[0],
        "pose_video": clip("control"),
        "face_video": clip("face"),
        "mode": "replace" if place else "animate",
        "segment_frame_length": own.pop("num_frames"),
        **both,
        **own,
        **cfg.call,
    }


RECIPE = Recipe(
    name="wan_animate",
    pipeline="diffusers:WanAnimatePipeline",
    classes={
        **CLASSES,
        "transformer": "diffusers:WanAnimateTransformer3DModel",
        "image_encoder": "transformers:CLIPVisionModel",
        "image_processor": "transformers:CLIPImageProcessor",
    },
    arguments=arguments,
    embeddings=2,
    encoders=("vae", "image_encoder"),
    processors=("image_processor",),
    encoded_by=("frames", "call"),  # all of a segment in one call
    codecs=(),  # it keeps the mean and deviation of its latents in its settings
    precise=("vae", "image_encoder"),
    schedulers={"UniPCMultistepScheduler": SCHEDULERS["UniPCMultistepScheduler"]},  # flow_shift is its setting alone
    grid=Grid(4, 8, (1, 2), "cfhw"),
    guided_apart=True,
    frames_decoded=4,
    tile=256,
    picture_tokens=True,
    driven=True,
    carried=CARRIED,
    reads=READS,
)
