"""Clips of the family through diffusers' own pipeline, and how steady they are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.measure import flow
from tasks.measure.flicker import warped_difference
from tasks.preprocess.pose_map import draw_poses
from tasks.sprite import few_lora, networks, probe
from tasks.sprite.attributes import Attributes, random_attributes
from tasks.sprite.captions import FACE, plain_caption
from tasks.sprite.drawing import draw_figure
from tasks.sprite.poses import clip_of
from tasks.sprite.spec import Spec


@dataclass(frozen=True)
class Sampling:
    """How a clip is rendered.

    Attributes:
        teacher: without the few-step LoRA, if the family has one.
        constant_noise: all frames begin from the first one's noise.
    """

    steps: int
    guidance_scale: float
    teacher: bool
    constant_noise: bool = False


TEACHER = Sampling(16, 4.0, teacher=True)
FEW = Sampling(4, 1.0, teacher=False, constant_noise=True)


def sampling_of(folder: Path) -> Sampling:
    """The settings that an exported family is meant for: few steps where it has their LoRA."""
    return FEW if (folder / few_lora.FOLDER).is_dir() else TEACHER


def pose_maps(people: np.ndarray, side: int) -> np.ndarray:
    """OpenPose drawings `(F, side, side, 3)` uint8 of one person `(F, 18, 4)` px."""
    return np.stack([draw_poses([person], side, side) for person in people])


def drawn_clip(people: np.ndarray, attributes: Attributes, spec: Spec) -> np.ndarray:
    """The drawn truth `(F, S, S, 3)` uint8."""
    return np.stack([draw_figure(person, attributes, spec.frame).rgb for person in people])


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


def load_pipeline(folder: Path, kinds: Sequence[str], adapter: Any = None, teacher: bool = False) -> Any:
    """`stock_pipeline` of an exported family; its own motion adapter where none is given.

    teacher: without the few-step LoRA, if the family has one.
    """
    parts = {part: networks.load(folder, part) for part in ("vae", "text_encoder", "tokenizer", "scheduler")}
    nets = [networks.load(folder, f"controlnet_{kind}") for kind in kinds]
    return stock_pipeline(parts, nets, motion_unet(folder, adapter, teacher))


def motion_unet(folder: Path, adapter: Any = None, teacher: bool = False) -> Any:
    """UNet and motion adapter of an exported family as one network; see `load_pipeline`."""
    from diffusers import UNetMotionModel

    own = adapter or networks.load(folder, "motion_adapter", teacher)
    return UNetMotionModel.from_unet2d(networks.load(folder, "unet", teacher), own).eval()


def render_clip(pipe: Any, prompt: str, frames: np.ndarray, maps: np.ndarray, seed: int, strength: float = 1.0,
                latents: Any = None, sampling: Sampling = TEACHER) -> np.ndarray:  # fmt: skip
    """A clip `(F, S, S, 3)` uint8 under pose maps of the same shape at weight 1.

    latents: starting noise `(1, 8, F, h, w)`; the pipeline then takes no frames, they are not looked at.
    """
    import torch
    from PIL import Image

    def pictures(stack: np.ndarray) -> list[Image.Image]:
        return [Image.fromarray(picture) for picture in stack]

    video = pictures(frames) if latents is None else None
    result = pipe(video=video, prompt=prompt, negative_prompt="", conditioning_frames=pictures(maps),
                  strength=strength, num_inference_steps=sampling.steps,
                  guidance_scale=sampling.guidance_scale, latents=latents,
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


def same(reading: probe.Reading) -> float:
    """How steady a clip is in what its prompt leaves open: the share of frames that show the clip's commonest value.

    The mean over background, skin, garment, its colour, the top's colour and the hair; nothing of the face, which may
    well change.
    """
    columns = [i for i, name in enumerate(reading.spec.choices) if name not in FACE]
    shares = [np.unique(reading.labels[:, i], return_counts=True)[1].max() / len(reading.labels) for i in columns]
    return float(np.mean(shares))


class MotionCheck:
    """Called by the training loop: steadiness and travel of two dances with the adapter as it is now.

    `right` is the share of frames that show what the prompt names, face and skin apart; `open_same` is `same` of the
    dances under a prompt that says nothing but "a dancer".
    """

    def __init__(self, pipe: Any, probe_file: Path, sheets: Path, spec: Spec, sampling: Sampling = TEACHER) -> None:
        self.pipe, self.probe_file, self.sheets, self.spec, self.sampling = pipe, probe_file, sheets, spec, sampling
        rng = np.random.default_rng(20260202)
        self.people = [clip_of(rng, spec) for _ in range(2)]
        self.attributes = [random_attributes(rng, spec.choices) for _ in range(2)]

    def __call__(self, step: int) -> dict[str, float]:
        import cv2

        reader, rows, figures = probe.load(self.probe_file), [], []
        for people, wanted in zip(self.people, self.attributes, strict=True):
            maps = pose_maps(people, self.spec.frame)
            clip = self._render(plain_caption(wanted, self.spec.choices), maps)
            truth = drawn_clip(people, wanted, self.spec)
            found, drawn = probe.read(reader, clip), probe.read(reader, truth)
            moved = travel(found.joints) / max(travel(drawn.joints), 1e-6)
            seen = found.right(np.broadcast_to(wanted.to_indices(self.spec.choices), found.labels.shape))
            right = np.mean([share for name, share in seen.items() if name not in ("skin", *FACE)])
            left_open = probe.read(reader, self._render("a dancer", maps))
            figures.append((flicker(clip), flicker(truth), moved, float(right), same(left_open)))
            rows += [np.hstack(list(clip)), np.hstack(list(truth))]
        self.sheets.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(self.sheets / f"{step:06d}.png"), np.vstack(rows)[..., ::-1])
        return dict(
            zip(("flicker", "flicker_drawn", "travel", "right", "open_same"), np.mean(figures, 0).tolist(), strict=True)
        )

    def _render(self, prompt: str, maps: np.ndarray) -> np.ndarray:
        return render_clip(self.pipe, prompt, np.full_like(maps, 128), maps, seed=7, sampling=self.sampling)
