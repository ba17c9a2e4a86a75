"""What the bars of the embedded family share: fresh figures, renders of them, and the rows of the table."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.sprite_renders import ControlOf, Renders
from tasks.sprite import probe
from tasks.sprite.attributes import random_attributes
from tasks.sprite.captions import plain_caption
from tasks.sprite.clips import TEACHER, sampling_of
from tasks.sprite.drawing import Drawing, draw_figure
from tasks.sprite.latents import to_map
from tasks.sprite.maps import control_map
from tasks.sprite.poses import sized
from tasks.sprite.skeleton import FRAME, random_person

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.sprite.attributes import Attributes


@dataclass
class Bench:
    """The family, n figures to render and the rows of the table so far."""

    folder: Path
    n: int
    seed: int
    clips: list[Path] = field(default_factory=list)
    sheet: Path | None = None
    plot: Path | None = None
    strengths: list[float] = field(default_factory=lambda: [1.0, 0.8])
    cache: Path | None = None
    teacher: bool = False
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sampling = TEACHER if self.teacher else sampling_of(self.folder)
        self.renders = Renders(self.folder, self.cache, self.sampling)
        self.readings: dict[float, probe.Reading] = {}
        self.free: dict[float, tuple[np.ndarray, float]] = {}
        self.probe = probe.load(self.folder / "probe.safetensors")
        self.spec = self.probe.spec
        rng = np.random.default_rng([self.seed, 99])
        self.wanted = [random_attributes(rng, self.spec.choices) for _ in range(self.n)]
        self.people = np.stack([sized(_whole_person(rng), self.spec.frame) for _ in range(self.n)])
        self.truth = self.drawn(self.wanted)

    def drawn(self, attributes: list[Attributes]) -> list[Drawing]:
        spec = self.spec
        return [draw_figure(p, a, spec.frame) for p, a in zip(self.people, attributes, strict=True)]

    def maps(self, kind: str, drawn: list[Drawing]) -> Tensor:
        """Maps `(n, 3, S, S)` in 0..1 of one kind."""
        return to_map([control_map(kind, p, d.rgb, d.mask) for p, d in zip(self.people, drawn, strict=True)])

    def render(self, controls: list[ControlOf], keep: Tensor | None = None) -> np.ndarray:
        """Pictures `(n, S, S, 3)` uint8 of the wanted figures, see `Renders.stills`."""
        return self.renders.stills(
            [plain_caption(a, self.spec.choices) for a in self.wanted], controls, self.seed, keep
        )

    def posed(self, weight: float) -> probe.Reading:
        """What the probe sees in renders under the pose at a weight; each weight is rendered once."""
        if weight not in self.readings:
            maps = self.maps("openpose", self.truth)
            self.readings[weight] = probe.read(self.probe, self.render([("openpose", maps, weight)]))
        return self.readings[weight]

    def interval(self, values: np.ndarray) -> tuple[float, float]:
        """95 % bootstrap interval of the mean of `(n,)` paired differences."""
        rng = np.random.default_rng(0)
        means = values[rng.integers(len(values), size=(4000, len(values)))].mean(1)
        low, high = np.percentile(means, [2.5, 97.5])
        return float(low), float(high)

    def labels(self) -> np.ndarray:
        return np.stack([a.to_indices(self.spec.choices) for a in self.wanted])

    def error(self, joints: np.ndarray, people: np.ndarray | None = None) -> float:
        """Mean joint error (% of the frame) against these people, by default the figures' own."""
        side = self.spec.frame
        return 100 * probe.joint_error(joints, self.people if people is None else people, side) / side

    def row(self, what: str, figure: str, bar: str = "") -> None:
        self.rows.append((what, figure, bar))
        print(f"{what:58s} {figure:34s} {bar}", flush=True)


def _whole_person(rng: np.random.Generator) -> np.ndarray:
    """A person with every joint inside the frame."""
    while True:
        person = random_person(rng)
        if ((person[:, :2] > 2) & (person[:, :2] < FRAME - 2)).all():
            return person
