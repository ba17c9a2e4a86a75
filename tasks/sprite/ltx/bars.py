"""The bars of `sprite_ltx`: what is asked of an exported family, measured through diffusers' own pipeline.

Figures are fresh (seeds that no training uses), classes balanced, and each bar counts its clips by itself, so a stopped
measurement goes on with the next one. Motions and attributes are read by the probe of the first half; how often probe
and reader are right on the drawn truth, sharp and through the VAE, is a bar of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.sprite import probe
from tasks.sprite.captions import FACE
from tasks.sprite.drawing import draw_figure
from tasks.sprite.ltx import networks, reader
from tasks.sprite.ltx.captions import plain_caption, random_caption
from tasks.sprite.ltx.data import DrawnClip, draw_clip
from tasks.sprite.ltx.motions import ACTIONS, CAMERAS, Motion
from tasks.sprite.ltx.render import Pictures, Sampling, render
from tasks.sprite.ltx.stage_vae import mean_psnr
from tasks.sprite.ltx.video import decode, encode, frames_psnr
from tasks.sprite.skeleton import FRAME

if TYPE_CHECKING:
    from tasks.sprite.ltx.settings import GateSettings

STRENGTHS = (0.25, 0.5, 0.75, 1.0)
PROBE = "probe.safetensors"
QUIET = 0.015 * FRAME  # px that a joint of a figure that stands still may be read away from where it was
SILENT = "a dancer"  # a prompt that names no motion


class Bars:
    """Measures an exported family.

    Args:
        folder: the family.
        first_half: the family whose probe reads the clips, and whose drawing they are.
        sheets: where contact sheets go.
    """

    def __init__(self, folder: Path, first_half: Path, cfg: GateSettings, frames: int, sheets: Path) -> None:
        self.cfg, self.frames, self.sheets = cfg, frames, sheets
        self.pipe = networks.load_pipeline(folder)
        self.reader = probe.load(first_half / PROBE)
        self.sampling = Sampling(cfg.steps, cfg.guidance, frames)

    def all(self) -> Mapping[str, Callable[[], dict[str, float]]]:
        """Each bar by its name, in the order in which they are measured."""
        return {"vae": self.vae, "reader": self.instrument, "actions": self.actions, "cameras": self.cameras,
                "worded": self.worded, "still": self.still, "last": self.last, "middle": self.middle,
                "prompts": self.prompts}  # fmt: skip

    def draw(self, name: int, motions: Sequence[Motion]) -> list[DrawnClip]:
        """Clips of fresh figures that stand at first; `name` is the bar's own number."""
        return [draw_clip(np.random.default_rng([self.cfg.seed, name, i]), self.reader.spec, motion, self.frames, 0.0)
                for i, motion in enumerate(motions)]  # fmt: skip

    @cached_property
    def acting(self) -> list[DrawnClip]:
        """The drawn truth of every action in turn under a static camera."""
        return self.draw(1, [Motion(ACTIONS[i % len(ACTIONS)]) for i in range(self.cfg.count)])

    def make(self, clips: Sequence[DrawnClip], prompts: Sequence[str], further: int | None = None,
             strength: float = 1.0, seed: int = 0) -> np.ndarray:  # fmt: skip
        """Made clips `(N, F, H, W, 3)` uint8 from the first pictures of drawn ones.

        further: a frame of the drawn clip that is given as well, at `strength`.
        """
        made = []
        for start in range(0, len(clips), self.cfg.batch):
            part = clips[start : start + self.cfg.batch]
            pictures = [Pictures(np.stack([clip.rgb[0] for clip in part]))]
            if further is not None:
                pictures.append(Pictures(np.stack([clip.rgb[further] for clip in part]), further, strength))
            texts = prompts[start : start + self.cfg.batch]
            made.append(render(self.pipe, texts, pictures, self.sampling, self.cfg.seed + start + seed))
        return np.concatenate(made)

    def vae(self) -> dict[str, float]:
        """How well drawn clips survive the autoencoder."""
        found = np.concatenate([frames_psnr(decode(self.pipe.vae, encode(self.pipe.vae, clip.rgb[None])), clip.rgb)
                                for clip in self.acting])  # fmt: skip
        return {"vae_psnr": mean_psnr(found)}

    def instrument(self) -> dict[str, float]:
        """How often probe and reader are right on drawn clips, sharp and through the VAE."""
        moves = [Motion("stand_still", CAMERAS[1 + i % 3]) for i in range(self.cfg.count // 3)]
        clips = [*self.acting, *self.draw(2, moves)]
        figures: dict[str, float] = {}
        sharp = np.stack([clip.rgb for clip in clips])
        soft = np.concatenate([decode(self.pipe.vae, encode(self.pipe.vae, clip[None])) for clip in sharp])
        for kind, shown in (("drawn", sharp), ("decoded", soft)):
            found, reading = reader.read_clips(self.reader, shown)
            right = reader.accuracy(found, [clip.motion for clip in clips])
            figures |= {f"reader_{kind}_{key}": value for key, value in right.items()}
            last = attribute_shares(reading, clips, self.frames)
            figures |= {f"probe_{kind}_{name}": share for name, share in last.items()}
            people = np.concatenate([clip.people for clip in clips])
            figures[f"probe_{kind}_joints_px"] = probe.joint_error(reading.joints, people, FRAME)
        return figures

    def actions(self) -> dict[str, float]:
        """Actions as named, first frames as given, attributes kept to the last frame."""
        clips = self.acting
        made = self.make(clips, [plain_caption(clip.motion) for clip in clips])
        found, reading = reader.read_clips(self.reader, made)
        keys = np.stack([clip.rgb[0] for clip in clips])
        trip = decode(self.pipe.vae, encode(self.pipe.vae, keys[:, None]))[:, 0]
        kept = attribute_shares(reading, clips, self.frames)
        by_action = {f"action_{name}": float(np.mean([f.action == name for f, clip in zip(found, clips, strict=True)
                                                      if clip.motion.action == name])) for name in ACTIONS
                     if any(clip.motion.action == name for clip in clips)}  # fmt: skip
        self.sheet("actions", made, [clip.rgb for clip in clips])
        worst = min(share for name, share in kept.items() if name not in FACE)
        return {"action": reader.accuracy(found, [clip.motion for clip in clips])["action"], **by_action,
                "camera_static": float(np.mean([f.camera == "static" for f in found])),
                "first_key_psnr": mean_psnr(frames_psnr(made[:, 0], keys)),
                "first_trip_psnr": mean_psnr(frames_psnr(made[:, 0], trip)),
                "attributes_worst": worst, **{f"kept_{k}": v for k, v in kept.items()}}  # fmt: skip

    def cameras(self) -> dict[str, float]:
        """Push-in and pans as named, over figures that stand, wave and bow."""
        does = ("stand_still", "wave_right", "bow", "wave_both")
        clips = self.draw(3, [Motion(does[i // 3 % 4], CAMERAS[1 + i % 3]) for i in range(self.cfg.count)])
        made = self.make(clips, [plain_caption(clip.motion) for clip in clips])
        found, wanted = reader.read_clips(self.reader, made)[0], [clip.motion for clip in clips]
        right = reader.accuracy(found, wanted)
        self.sheet("cameras", made, [clip.rgb for clip in clips])
        return {"camera": right["camera"], "action_under_camera": right["action"]}

    def worded(self) -> dict[str, float]:
        """Actions as named in any wording of the captions."""
        clips, rng = self.acting, np.random.default_rng(self.cfg.seed)
        said = []
        for clip in clips:
            caption = random_caption(clip.motion, clip.attributes, rng)
            while caption.labels.min() < 0:
                caption = random_caption(clip.motion, clip.attributes, rng)
            said.append(caption.text)
        found = reader.read_clips(self.reader, self.make(clips, said))[0]
        return {"action_worded": reader.accuracy(found, [clip.motion for clip in clips])["action"]}

    def still(self) -> dict[str, float]:
        """Standing still really still: no joint moves, and the picture hardly changes."""
        clips = self.draw(4, [Motion("stand_still")] * self.cfg.count)
        made = self.make(clips, [plain_caption(clip.motion) for clip in clips])
        joints = probe.read(self.reader, made.reshape(-1, *made.shape[2:])).joints.reshape(*made.shape[:2], -1, 2)
        moved = np.linalg.norm(joints - joints[:, :1], axis=-1).mean(-1).max(-1)  # the farthest frame of each clip
        change = np.abs(made.astype(float) - made[:, :1]).mean()
        return {"still": float((moved <= QUIET).mean()), "still_joints_px": float(moved.mean()),
                "still_change": float(change)}  # fmt: skip

    def last(self) -> dict[str, float]:
        """The last picture given: how near the last frame comes to it."""
        clips = self.acting
        made = self.make(clips, [plain_caption(clip.motion) for clip in clips], further=self.frames - 1)
        wanted = np.stack([clip.rgb[-1] for clip in clips])
        return {"last_psnr": mean_psnr(frames_psnr(made[:, -1], wanted))}

    def middle(self) -> dict[str, float]:
        """A picture at a middle frame under a prompt that names no motion: the stronger, the nearer."""
        moving = [name for name in ACTIONS if name != "stand_still"]
        clips = self.draw(5, [Motion(moving[i % len(moving)]) for i in range(self.cfg.count)])
        at, found = self.frames // 2, {}
        wanted = np.stack([clip.rgb[at] for clip in clips])
        for strength in (0.0, *STRENGTHS):
            made = self.make(clips, [SILENT] * len(clips), at if strength else None, strength)
            found[strength] = frames_psnr(made[:, at], wanted)
        means = [mean_psnr(values) for values in found.values()]
        each = {f"middle_psnr_{strength:g}": value for strength, value in zip(found, means, strict=True)}
        return {"middle_gain": means[2] - means[0], "middle_least_step": float(np.diff(means).min()),
                "middle_nearer": float((found[0.5] > found[0.0]).mean()),
                **each}  # fmt: skip

    def prompts(self) -> dict[str, float]:
        """Two prompts on one picture differ more than two seeds on one prompt."""
        clips = self.draw(6, [Motion(ACTIONS[i % len(ACTIONS)]) for i in range(self.cfg.count)])
        texts = [plain_caption(clip.motion) for clip in clips]
        others = [plain_caption(Motion(ACTIONS[(i + 4) % len(ACTIONS)])) for i in range(len(clips))]
        one, seed, prompt = self.make(clips, texts), self.make(clips, texts, seed=1), self.make(clips, others)

        def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return np.asarray(np.square(a.astype(np.float32) - b).mean((1, 2, 3, 4)))

        by_prompt, by_seed = apart(one, prompt), apart(one, seed)
        return {"prompts_over_seeds": float((by_prompt > by_seed).mean()),
                "prompt_to_seed": float(by_prompt.mean() / max(by_seed.mean(), 1e-6))}  # fmt: skip

    def sheet(self, name: str, made: np.ndarray, truth: Sequence[np.ndarray], rows: int = 9) -> None:
        """`<name>.png`: made clips and below each the drawn truth, every fourth frame."""
        write_sheet(self.sheets / f"{name}.png", made[:rows], truth[:rows])


def attribute_shares(reading: probe.Reading, clips: Sequence[DrawnClip], frames: int) -> dict[str, float]:
    """Share of clips whose last frame shows each attribute, among those in which it can be seen at all; every value of
    an attribute counts the same. Eyes and mouth are a few pixels at this size: they are told, and are no bar.

    reading: of all frames of all clips, one clip after the other.
    """
    spec = reading.spec
    found = reading.labels.reshape(len(clips), frames, -1)[:, -1]
    wanted = np.stack([clip.attributes.to_indices(spec.choices) for clip in clips])
    seen = probe.visible(np.stack([draw_figure(clip.people[-1], clip.attributes, FRAME).parts
                                   for clip in clips]), spec)  # fmt: skip
    shares = {}
    for i, name in enumerate(spec.choices):
        of = [seen[:, i] & (wanted[:, i] == kind) for kind in range(len(spec.choices[name]))]
        right = [float((found[each, i] == kind).mean()) for kind, each in enumerate(of) if each.any()]
        if right:
            shares[name] = float(np.mean(right))
    return shares


def write_sheet(path: Path, made: np.ndarray, truth: Sequence[np.ndarray], every: int = 4) -> None:
    """A contact sheet: each made clip `(F, H, W, 3)` uint8 and below it the drawn one, every so many frames."""
    import cv2

    rows = [np.hstack(list(clip[::every])) for pair in zip(made, truth, strict=True) for clip in pair]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])
