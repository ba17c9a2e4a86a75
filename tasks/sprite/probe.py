"""The probe: a small network that reads attributes and joints off a picture, soft pictures included.

It is the family's measuring instrument and learns from drawn pictures alone: sharp, blurred, noisy and decoded from
disturbed latents, so that it does not fail on the softness of generated ones. Its own accuracy on unseen drawn and
decoded pictures belongs beside every figure it gives.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.sprite.attributes import CHOICES
from tasks.sprite.data import DataSet
from tasks.sprite.drawing import BOTTOM, HAIR, TOP
from tasks.sprite.loop import Draw, Stage
from tasks.sprite.skeleton import FRAME
from tasks.sprite.stage_vae import UNSEEN, to_pictures, to_signed

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

JOINTS = 14  # nose to left ankle; eyes and ears follow the nose
SIZES = [len(values) for values in CHOICES.values()]
NAMES = tuple(CHOICES)
_SEEN_IN = {"hair_length": HAIR, "hair_color": HAIR, "top_color": TOP, "bottom": BOTTOM, "bottom_color": BOTTOM}
_MIN_PIXELS = 30  # an attribute with fewer pixels than this is not in the picture (a close-up, say)


class Probe(nn.Module):
    """`(B, 3, 128, 128)` in -1..1 -> attribute logits and joints `(B, 14, 2)` px."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 48, 64)
        blocks: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            blocks += [*_conv(a, b, 2), *_conv(b, b, 1)]
        self.trunk = nn.Sequential(*blocks)  # 64 px -> 8 cells
        self.heat = nn.Sequential(
            nn.Conv2d(64, 128, 3, 1, 1), nn.ReLU(), nn.PixelShuffle(2), nn.Conv2d(32, JOINTS, 3, 1, 1)
        )
        self.read = nn.Sequential(*_conv(64, 96, 2), *_conv(96, 96, 1), nn.Flatten(),
                                  nn.Linear(96 * 16, 192), nn.ReLU(), nn.Linear(192, sum(SIZES)))  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        h = self.trunk(functional.avg_pool2d(x, 2))
        heat = self.heat(h).flatten(2).softmax(-1).view(len(x), JOINTS, 16, 16)
        grid = torch.arange(16.0, device=x.device) * 8 + 4
        joints = torch.stack([(heat.sum(2) * grid).sum(-1), (heat.sum(3) * grid).sum(-1)], -1)
        return self.read(h).split(SIZES, 1), joints


def _conv(a: int, b: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]


@dataclass(frozen=True)
class Reading:
    """What the probe sees in N pictures: `labels` `(N, 7)` int64, `joints` `(N, 14, 2)` px.

    `chances` holds for each attribute the probability of each of its values, `(N, number of values)`.
    """

    labels: np.ndarray
    joints: np.ndarray
    chances: Sequence[np.ndarray]


@torch.no_grad()
def read(probe: Probe, pictures: np.ndarray) -> Reading:
    """Read pictures `(N, 128, 128, 3)` uint8."""
    labels, joints, chances = [], [], []
    for i in range(0, len(pictures), 128):
        logits, points = probe(to_signed(pictures[i : i + 128]))
        labels.append(np.stack([part.argmax(1).numpy() for part in logits], 1))
        joints.append(points.numpy())
        chances.append([part.softmax(1).numpy() for part in logits])
    return Reading(
        np.concatenate(labels), np.concatenate(joints), [np.concatenate(c) for c in zip(*chances, strict=True)]
    )


def visible(parts: np.ndarray) -> np.ndarray:
    """Which attributes can be seen at all in part maps `(N, 128, 128)`: bool `(N, 7)`."""
    columns = []
    for name in NAMES:
        part = _SEEN_IN.get(name)
        columns.append(np.full(len(parts), True) if part is None else (parts == part).sum((1, 2)) >= _MIN_PIXELS)
    return np.stack(columns, 1)


def save(probe: Probe, path: Path) -> None:
    """Weights as fp16 safetensors."""
    from safetensors.torch import save_file

    save_file({k: v.half().contiguous() if v.is_floating_point() else v for k, v in probe.state_dict().items()}, path)
    path.chmod(0o644)  # safetensors writes its files for the owner alone


def load(path: Path) -> Probe:
    """A probe in eval mode.

    Raises:
        FileNotFoundError: no such file.
    """
    from safetensors.torch import load_file

    probe = Probe()
    probe.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()})
    return probe.eval()


@torch.no_grad()
def decode_disturbed(vae: AutoencoderKL, z: np.ndarray, seed: int) -> np.ndarray:
    """Pictures `(N, 128, 128, 3)` uint8 decoded from latents with noise of deviation 0 to 0.35."""
    generator = torch.Generator().manual_seed(seed)
    out = []
    for part in torch.from_numpy(z).float().split(64):
        strength = 0.35 * torch.rand(len(part), 1, 1, 1, generator=generator)
        noise = torch.randn(part.shape, generator=generator)
        out.append(to_pictures(vae.decode(part + strength * noise).sample))
    return np.concatenate(out)


class ProbeStage:
    """Training of the probe; `decoded` are the first pictures of the data set after `decode_disturbed`."""

    def __init__(self, data: DataSet, decoded: np.ndarray, decoded_unseen: np.ndarray, batch: int,
                 start: Probe | None = None) -> None:  # fmt: skip
        self.probe, self.batch, self.stills = start or Probe(), batch, data.stills
        self.rgb, self.decoded, self.decoded_unseen = data.read("rgb"), decoded, decoded_unseen
        self.labels, self.people = np.array(data.read("labels")), np.array(data.read("people"))
        self.visible = visible(data.read("parts")[: data.stills])

    def stage(self) -> Stage:
        return Stage("probe", {"probe": self.probe}, self.loss, self.check)

    def loss(self, draw: Draw, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        third = self.batch // 3
        rows = np.concatenate([draw.rng.integers(self.stills - UNSEEN, size=self.batch - third),
                               draw.rng.integers(len(self.decoded), size=third)])  # fmt: skip
        pictures = np.concatenate([self.rgb[np.sort(rows[:-third])], self.decoded[rows[-third:]]])
        rows[:-third] = np.sort(rows[:-third])
        x = _soften(to_signed(pictures), draw)
        logits, joints = self.probe(x)
        seen = torch.from_numpy(self.visible[rows]).float()
        total = torch.zeros(())
        for i, part in enumerate(logits):
            entropy = functional.cross_entropy(part, torch.from_numpy(self.labels[rows, i]), reduction="none")
            total = total + (entropy * seen[:, i]).mean()
        points = torch.from_numpy(self.people[rows, :JOINTS, :2])
        inside = ((points > 0) & (points < FRAME)).all(-1, keepdim=True)
        return total + 0.2 * ((joints - points).abs() * inside).mean(), {}

    def check(self, step: int) -> dict[str, float]:
        """Accuracy per attribute (worst kind of picture) and joint error (px) on the unseen stills."""
        rows = np.arange(self.stills - UNSEEN, self.stills)
        figures = {}
        for kind, pictures in (("drawn", np.array(self.rgb[rows])), ("decoded", self.decoded_unseen)):
            reading = read(self.probe, pictures)
            for i, name in enumerate(NAMES):
                seen = self.visible[rows, i]
                figures[f"{kind}_{name}"] = float((reading.labels[seen, i] == self.labels[rows[seen], i]).mean())
            figures[f"{kind}_joints_px"] = joint_error(reading.joints, self.people[rows])
        return figures


def joint_error(found: np.ndarray, people: np.ndarray) -> float:
    """Mean distance (px) over the joints inside the frame; found `(N, 14, 2)`, people `(N, 18, 4)`."""
    distances = np.linalg.norm(found - people[:, :JOINTS, :2], axis=-1)
    return float(distances[inside(people)].mean())


def inside(people: np.ndarray) -> np.ndarray:
    """Which of the probe's joints of people `(..., 18, 4)` px lie inside the frame: bool `(..., 14)`."""
    joints = people[..., :JOINTS, :2]
    return np.all((joints > 0) & (joints < FRAME), axis=-1)


def _soften(x: Tensor, draw: Draw) -> Tensor:
    """Blur the batch by up to 2.2 px and add noise, each at random strength."""
    sigma = float(draw.rng.uniform(-0.8, 2.2))
    if sigma > 0.3:
        t = torch.arange(-6.0, 7.0)
        kernel = torch.exp(-0.5 * (t / sigma) ** 2)
        kernel = (kernel / kernel.sum()).repeat(3, 1, 1, 1)
        x = functional.conv2d(functional.pad(x, (6, 6, 0, 0), "replicate"), kernel.view(3, 1, 1, 13), groups=3)
        x = functional.conv2d(functional.pad(x, (0, 0, 6, 6), "replicate"), kernel.view(3, 1, 13, 1), groups=3)
    return x + float(draw.rng.uniform(0, 0.12)) * draw.normal(*x.shape)
