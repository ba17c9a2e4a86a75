"""Clips of the family through diffusers' own pipeline, and how steady they are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.measure import flow
from tasks.measure.flicker import warped_difference
from tasks.preprocess.pose_map import draw_poses
from tasks.sprite import networks, probe
from tasks.sprite.attributes import Attributes, random_attributes
from tasks.sprite.captions import plain_caption
from tasks.sprite.drawing import draw_figure
from tasks.sprite.skeleton import FRAME, random_clip

STEPS = 16
GUIDANCE = 4.0


def pose_maps(people: np.ndarray) -> np.ndarray:
    """OpenPose drawings `(F, 128, 128, 3)` uint8 of one person `(F, 18, 4)` px."""
    return np.stack([draw_poses([person], FRAME, FRAME) for person in people])


def drawn_clip(people: np.ndarray, attributes: Attributes) -> np.ndarray:
    """The drawn truth `(F, 128, 128, 3)` uint8."""
    return np.stack([draw_figure(person, attributes).rgb for person in people])


def stock_pipeline(parts: dict[str, Any], nets: Sequence[Any], unet: Any, adapter: Any = None) -> Any:
    """diffusers' own video-to-video ControlNet pipeline.

    parts: vae, text_encoder, tokenizer, scheduler; unet: a UNet2DConditionModel, with `adapter`, or a UNetMotionModel.
    """
    import diffusers

    diffusers.utils.logging.set_verbosity_error()
    pipe = diffusers.AnimateDiffVideoToVideoControlNetPipeline(
        **parts, unet=unet, motion_adapter=adapter, controlnet=list(nets) if len(nets) > 1 else nets[0]
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def load_pipeline(folder: Path, kinds: Sequence[str], adapter: Any = None) -> Any:
    """`stock_pipeline` of an exported family; its own motion adapter where none is given."""
    parts = {part: networks.load(folder, part) for part in ("vae", "text_encoder", "tokenizer", "scheduler")}
    nets = [networks.load(folder, f"controlnet_{kind}") for kind in kinds]
    return stock_pipeline(
        parts, nets, networks.load(folder, "unet"), adapter or networks.load(folder, "motion_adapter")
    )


def render_clip(pipe: Any, prompt: str, frames: np.ndarray, maps: np.ndarray, seed: int, strength: float = 1.0,
                latents: Any = None) -> np.ndarray:  # fmt: skip
    """A clip `(F, 128, 128, 3)` uint8 under pose maps of the same shape at weight 1.

    latents: starting noise `(1, 8, F, 16, 16)`; the pipeline then takes no frames, they are not looked at.
    """
    import torch
    from PIL import Image

    def pictures(stack: np.ndarray) -> list[Image.Image]:
        return [Image.fromarray(picture) for picture in stack]

    video = pictures(frames) if latents is None else None
    result = pipe(video=video, prompt=prompt, negative_prompt="", conditioning_frames=pictures(maps),
                  strength=strength, num_inference_steps=STEPS, guidance_scale=GUIDANCE, latents=latents,
                  controlnet_conditioning_scale=1.0, generator=torch.Generator().manual_seed(seed),
                  output_type="np")  # fmt: skip
    return np.asarray(result.frames[0] * 255).round().astype(np.uint8)


def flicker(clip: np.ndarray) -> float:
    """Mean absolute difference (0..255) of each frame and the one before, warped by the optical flow between them.

    The flow is followed down to single pixels, as the metric `flicker` does in small pictures.
    """
    estimate = flow.estimator(fine=True)
    values = [warped_difference(a, b, estimate, occlusion_check=False)[0] for a, b in itertools.pairwise(clip)]
    return float(np.mean([value for value in values if value is not None]))


def travel(joints: np.ndarray) -> float:
    """Mean way (px) of the joints `(F, J, 2)` from frame to frame."""
    return float(np.linalg.norm(np.diff(joints, axis=0), axis=-1).mean())


class MotionCheck:
    """Called by the training loop: steadiness and travel of two dances with the adapter as it is now."""

    def __init__(self, pipe: Any, probe_file: Path, sheets: Path) -> None:
        self.pipe, self.probe_file, self.sheets = pipe, probe_file, sheets
        rng = np.random.default_rng(20260202)
        self.people = [random_clip(rng) for _ in range(2)]
        self.attributes = [random_attributes(rng) for _ in range(2)]

    def __call__(self, step: int) -> dict[str, float]:
        import cv2

        reader, rows, figures = probe.load(self.probe_file), [], []
        for people, wanted in zip(self.people, self.attributes, strict=True):
            maps = pose_maps(people)
            clip = render_clip(self.pipe, plain_caption(wanted), np.full_like(maps, 128), maps, seed=7)
            truth = drawn_clip(people, wanted)
            moved = [travel(probe.read(reader, frames).joints) for frames in (clip, truth)]
            figures.append((flicker(clip), flicker(truth), moved[0] / max(moved[1], 1e-6)))
            rows += [np.hstack(list(clip)), np.hstack(list(truth))]
        self.sheets.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(self.sheets / f"{step:06d}.png"), np.vstack(rows)[..., ::-1])
        return dict(zip(("flicker", "flicker_drawn", "travel"), np.mean(figures, 0).tolist(), strict=True))
