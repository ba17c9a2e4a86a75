"""What a diffusion stage is judged by while it trains: rendered pictures, read by the probe, not the loss alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from tasks.sprite import probe
from tasks.sprite.attributes import Attributes, random_attributes
from tasks.sprite.captions import FACE, plain_caption
from tasks.sprite.diffusion import Control, Family, sample
from tasks.sprite.drawing import draw_figure
from tasks.sprite.latents import to_map
from tasks.sprite.maps import control_map
from tasks.sprite.poses import person_of
from tasks.sprite.spec import Spec
from tasks.sprite.stage_vae import to_pictures

COUNT = 32  # pictures a check renders per kind of control
SHEET = 12  # columns of the contact sheet


class RenderCheck:
    """Called by the training loop; writes `sheets/<step>.png`: renders of each kind below each other, then the truth.

    kinds: names of `nets`; "" is text alone.
    """

    def __init__(
        self,
        family: Family,
        nets: dict[str, nn.Module],
        kinds: tuple[str, ...],
        probe_file: Path,
        sheets: Path,
        spec: Spec,
        steps: int = 12,
        guidance_scale: float = 4.0,
    ) -> None:
        self.family, self.nets, self.kinds, self.sheets = family, nets, kinds, sheets
        self.probe_file, self.steps, self.guidance_scale = probe_file, steps, guidance_scale
        self.spec = spec
        rng = np.random.default_rng(20260101)
        self.attributes: list[Attributes] = [random_attributes(rng, spec.choices) for _ in range(COUNT)]
        self.people = np.stack([person_of(rng, spec) for _ in range(COUNT)])
        drawn = [draw_figure(p, a, spec.frame) for p, a in zip(self.people, self.attributes, strict=True)]
        self.truth = np.stack([d.rgb for d in drawn])
        self.visible = probe.visible(np.stack([d.parts for d in drawn]), spec)
        self.maps = {
            kind: to_map([control_map(kind, p, d.rgb, d.mask) for p, d in zip(self.people, drawn, strict=True)])
            for kind in kinds if kind
        }  # fmt: skip

    def __call__(self, step: int) -> dict[str, float]:
        rows: list[np.ndarray] = []
        figures: dict[str, float] = {}
        prompts = [plain_caption(a, self.spec.choices) for a in self.attributes]
        for kind in self.kinds:
            controls = [Control(self.nets[kind], self.maps[kind])] if kind else []
            pictures = to_pictures(
                sample(self.family, prompts, controls, steps=self.steps, guidance_scale=self.guidance_scale, seed=7)
            )
            rows.append(pictures[:SHEET])
            figures |= {f"{kind or 'text'}_{k}": v for k, v in self._read(pictures, bool(kind)).items()}
        self._sheet([*rows, self.truth[:SHEET]], step)
        return figures

    def _read(self, pictures: np.ndarray, placed: bool) -> dict[str, float]:
        if not self.probe_file.exists():
            return {}
        reading = probe.read(probe.load(self.probe_file), pictures)
        wanted = np.stack([a.to_indices(self.spec.choices) for a in self.attributes])
        seen = dict(zip(self.spec.choices, self.visible.T if placed else np.ones_like(self.visible.T), strict=True))
        right = {
            name: float(found[seen[name]].mean()) for name, found in reading.right(wanted).items() if name != "skin"
        }  # the reference wording does not name it
        if placed:
            right["joints_px"] = probe.joint_error(reading.joints, self.people, self.spec.frame)
        # without a skeleton the model chooses whether the face is seen
        passed_over = ("joints_px",) if placed else ("joints_px", *FACE)
        return right | {"worst": min(v for k, v in right.items() if k not in passed_over)}

    def _sheet(self, rows: list[np.ndarray], step: int) -> None:
        import cv2

        self.sheets.mkdir(parents=True, exist_ok=True)
        sheet = np.vstack([np.hstack(list(row)) for row in rows])
        cv2.imwrite(str(self.sheets / f"{step:06d}.png"), sheet[..., ::-1])


def set_threads(count: int) -> None:
    """One place for the libraries' thread counts."""
    import cv2

    torch.set_num_threads(count)
    cv2.setNumThreads(1)
