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

from tasks.sprite.data import DataSet
from tasks.sprite.drawing import BOTTOM, EYES, HAIR, MOUTH, PARTS, TOP
from tasks.sprite.loop import Draw, Stage
from tasks.sprite.spec import Spec
from tasks.sprite.spec import load as load_spec
from tasks.sprite.stage_vae import UNSEEN, to_pictures, to_signed

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

JOINTS = 14  # nose to left ankle; eyes and ears follow the nose
_SEEN_IN = {"hair_length": HAIR, "hair_color": HAIR, "top_color": TOP, "bottom": BOTTOM, "bottom_color": BOTTOM,
            "eyes": EYES, "mouth": MOUTH}  # fmt: skip
_MIN_SHARE = {"eyes": 3e-4, "mouth": 3e-4}  # an attribute with fewer pixels is not in the picture (a close-up, say)
_MIN_SHARE_OF_PARTS = 30 / 128**2


class Probe(nn.Module):
    """`(B, 3, S, S)` in -1..1 -> attribute logits and joints `(B, 14, 2)` px; S is the frame of the family's spec."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.sizes = [len(values) for values in spec.choices.values()]
        self.cells = spec.frame // 8  # of a joint's heat map
        widths = (3, 24, 48, 64)
        blocks: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            blocks += [*_conv(a, b, 2), *_conv(b, b, 1)]
        self.trunk = nn.Sequential(*blocks)  # the half picture -> an eighth of that
        last = 1 if spec.frame <= 128 else 2
        left = -(-self.cells // (4 * last))
        self.heat = nn.Sequential(
            nn.Conv2d(64, 128, 3, 1, 1), nn.ReLU(), nn.PixelShuffle(2), nn.Conv2d(32, JOINTS, 3, 1, 1)
        )
        self.read = nn.Sequential(*_conv(64, 96, 2), *_conv(96, 96, last), nn.Flatten(),
                                  nn.Linear(96 * left**2, 192), nn.ReLU(), nn.Linear(192, sum(self.sizes)))  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        h = self.trunk(functional.avg_pool2d(x, 2))
        heat = self.heat(h).flatten(2).softmax(-1).view(len(x), JOINTS, self.cells, self.cells)
        grid = torch.arange(float(self.cells), device=x.device) * 8 + 4
        joints = torch.stack([(heat.sum(2) * grid).sum(-1), (heat.sum(3) * grid).sum(-1)], -1)
        return self.read(h).split(self.sizes, 1), joints


def _conv(a: int, b: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]


@dataclass(frozen=True)
class Reading:
    """What the probe sees in N pictures: `labels` `(N, A)` int64, `joints` `(N, 14, 2)` px of those pictures.

    `chances` holds for each attribute the probability of each of its values, `(N, number of values)`. Columns are
    those of `spec.choices`.
    """

    labels: np.ndarray
    joints: np.ndarray
    chances: Sequence[np.ndarray]
    spec: Spec

    def right(self, wanted: np.ndarray) -> dict[str, np.ndarray]:
        """Attribute -> whether it is the wanted one `(N,)`; wanted: `(N, A)` int64."""
        return dict(zip(self.spec.choices, (self.labels == wanted).T, strict=True))


@torch.no_grad()
def read(probe: Probe, pictures: np.ndarray) -> Reading:
    """Read square pictures `(N, S, S, 3)` uint8; those of another size than the probe's are scaled to it."""
    labels, joints, chances = [], [], []
    scale = pictures.shape[1] / probe.spec.frame
    for i in range(0, len(pictures), 128):
        x = to_signed(_scaled(pictures[i : i + 128], probe.spec.frame))
        logits, points = probe(x.to(next(probe.parameters()).device))
        labels.append(np.stack([part.argmax(1).cpu().numpy() for part in logits], 1))
        joints.append(points.cpu().numpy() * scale if scale != 1 else points.cpu().numpy())
        chances.append([part.softmax(1).cpu().numpy() for part in logits])
    together = [np.concatenate(c) for c in zip(*chances, strict=True)]
    return Reading(np.concatenate(labels), np.concatenate(joints), together, probe.spec)


def _scaled(pictures: np.ndarray, side: int) -> np.ndarray:
    import cv2

    if pictures.shape[1] == side:
        return pictures
    how = cv2.INTER_AREA if pictures.shape[1] > side else cv2.INTER_LINEAR
    return np.stack([cv2.resize(picture, (side, side), interpolation=how) for picture in pictures])


def visible(parts: np.ndarray, spec: Spec) -> np.ndarray:
    """Which attributes can be seen at all in part maps `(N, S, S)`: bool `(N, A)`."""
    return np.concatenate([_visible(parts[i : i + 512], spec) for i in range(0, len(parts), 512)])


def _visible(parts: np.ndarray, spec: Spec) -> np.ndarray:
    shares = np.stack([(parts == part).mean((1, 2)) for part in range(len(PARTS))], 1)
    return np.stack([
        np.full(len(parts), True) if name not in _SEEN_IN
        else shares[:, _SEEN_IN[name]] >= _MIN_SHARE.get(name, _MIN_SHARE_OF_PARTS)
        for name in spec.choices
    ], 1)  # fmt: skip


def save(probe: Probe, path: Path) -> None:
    """Weights as fp16 safetensors."""
    from safetensors.torch import save_file

    save_file({k: v.half().contiguous() if v.is_floating_point() else v for k, v in probe.state_dict().items()}, path)
    path.chmod(0o644)  # safetensors writes its files for the owner alone


def load(path: Path) -> Probe:
    """A probe in eval mode, of the family whose folder the file is in.

    Raises:
        FileNotFoundError: no such file.
        UserError: the folder does not say what its family draws.
    """
    from safetensors.torch import load_file

    probe = Probe(load_spec(path.parent))
    probe.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()})
    return probe.eval()


@torch.no_grad()
def decode_disturbed(vae: AutoencoderKL, z: np.ndarray, seed: int) -> np.ndarray:
    """Pictures `(N, S, S, 3)` uint8 decoded from latents with noise of deviation 0 to 0.35."""
    generator = torch.Generator().manual_seed(seed)
    out = []
    for part in torch.from_numpy(z).float().split(64):
        strength = 0.35 * torch.rand(len(part), 1, 1, 1, generator=generator)
        noise = torch.randn(part.shape, generator=generator)
        out.append(to_pictures(vae.decode((part + strength * noise).to(vae.device)).sample))
    return np.concatenate(out)


class ProbeStage:
    """Training of the probe; `decoded` are the first pictures of the data set after `decode_disturbed`."""

    def __init__(self, data: DataSet, decoded: np.ndarray, decoded_unseen: np.ndarray, batch: int,
                 start: Probe | None = None) -> None:  # fmt: skip
        self.spec = data.spec
        self.probe, self.batch, self.stills = start or Probe(data.spec), batch, data.stills
        self.rgb, self.decoded, self.decoded_unseen = data.read("rgb"), decoded, decoded_unseen
        self.labels, self.people = np.array(data.read("labels")), np.array(data.read("people"))
        self.visible = visible(data.read("parts")[: data.stills], data.spec)

    def stage(self) -> Stage:
        return Stage("probe", {"probe": self.probe}, self.loss, self.check)

    def loss(self, draw: Draw, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        third = self.batch // 3
        rows = np.concatenate([draw.rng.integers(self.stills - UNSEEN, size=self.batch - third),
                               draw.rng.integers(len(self.decoded), size=third)])  # fmt: skip
        pictures = np.concatenate([self.rgb[np.sort(rows[:-third])], self.decoded[rows[-third:]]])
        rows[:-third] = np.sort(rows[:-third])
        x = _soften(to_signed(pictures).to(draw.device), draw)
        logits, joints = self.probe(x)
        seen = torch.from_numpy(self.visible[rows]).to(x.device).float()
        total = x.new_zeros(())
        for i, part in enumerate(logits):
            entropy = functional.cross_entropy(
                part, torch.from_numpy(self.labels[rows, i]).to(x.device), reduction="none"
            )
            total = total + (entropy * seen[:, i]).mean()
        points = torch.from_numpy(self.people[rows, :JOINTS, :2]).to(x.device)
        side = self.spec.frame
        inside = ((points > 0) & (points < side)).all(-1, keepdim=True)
        return total + 25.6 / side * ((joints - points).abs() * inside).mean(), {}

    def check(self, step: int) -> dict[str, float]:
        """Accuracy per attribute (worst kind of picture) and joint error (px) on the unseen stills."""
        rows = np.arange(self.stills - UNSEEN, self.stills)
        figures = {}
        for kind, pictures in (("drawn", np.array(self.rgb[rows])), ("decoded", self.decoded_unseen)):
            reading = read(self.probe, pictures)
            for i, name in enumerate(self.spec.choices):
                seen = self.visible[rows, i]
                figures[f"{kind}_{name}"] = float((reading.labels[seen, i] == self.labels[rows[seen], i]).mean())
            figures[f"{kind}_joints_px"] = joint_error(reading.joints, self.people[rows], self.spec.frame)
        return figures


def joint_error(found: np.ndarray, people: np.ndarray, side: int) -> float:
    """Mean distance (px) over the joints inside a frame of `side` px; found `(N, 14, 2)`, people `(N, 18, 4)`."""
    distances = np.linalg.norm(found - people[:, :JOINTS, :2], axis=-1)
    return float(distances[inside(people, side)].mean())


def inside(people: np.ndarray, side: int) -> np.ndarray:
    """Which of the probe's joints of people `(..., 18, 4)` px lie inside a frame of `side` px: bool `(..., 14)`."""
    joints = people[..., :JOINTS, :2]
    return np.all((joints > 0) & (joints < side), axis=-1)


def _soften(x: Tensor, draw: Draw) -> Tensor:
    """Blur the batch by up to 2.2 px and add noise, each at random strength."""
    sigma = float(draw.rng.uniform(-0.8, 2.2))
    if sigma > 0.3:
        t = torch.arange(-6.0, 7.0, device=x.device)
        kernel = torch.exp(-0.5 * (t / sigma) ** 2)
        kernel = (kernel / kernel.sum()).repeat(3, 1, 1, 1)
        x = functional.conv2d(functional.pad(x, (6, 6, 0, 0), "replicate"), kernel.view(3, 1, 1, 13), groups=3)
        x = functional.conv2d(functional.pad(x, (0, 0, 6, 6), "replicate"), kernel.view(3, 1, 13, 1), groups=3)
    return x + float(draw.rng.uniform(0, 0.12)) * draw.normal(*x.shape)
