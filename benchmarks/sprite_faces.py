"""How much of a drawn face outlives a VAE.

    python -m benchmarks.sprite_faces                                  # of the family in git
    python -m benchmarks.sprite_faces --folder data/models/sprite --sheet faces.png

Unseen drawings of today's style whose face is seen go through the VAE. The decoded face is compared with the four
drawings of the same figure whose eyes and mouth are open or closed; it counts as told apart when its own is nearest.
The mean square error, in dB, is given for whole pictures and for the pixels of eyes and mouths in any of the four.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.sprite import networks
from tasks.sprite.attributes import OPEN_CLOSED, Attributes, random_attributes
from tasks.sprite.drawing import EYES, MOUTH, Drawing, draw_figure
from tasks.sprite.poses import person_of
from tasks.sprite.progress import set_threads
from tasks.sprite.spec import Spec
from tasks.sprite.stage_vae import to_pictures, to_signed

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

STATES = [(eyes, mouth) for eyes in OPEN_CLOSED for mouth in OPEN_CLOSED]


@dataclass(frozen=True)
class Face:
    """A drawing, and the four of its figure in the order of `STATES`."""

    drawing: Drawing
    attributes: Attributes
    variants: list[Drawing]

    @property
    def where(self) -> np.ndarray:
        """Eyes and mouth of any of the four: bool `(S, S)`."""
        return np.any([variant.parts >= EYES for variant in self.variants], axis=0)

    def told_apart(self, decoded: np.ndarray) -> tuple[bool, bool]:
        """Whether the decoded picture's eyes and mouth are as drawn."""
        distances = [np.square(decoded[self.where].astype(float) - v.rgb[self.where]).mean() for v in self.variants]
        eyes, mouth = STATES[int(np.argmin(distances))]
        return eyes == self.attributes.eyes, mouth == self.attributes.mouth


def faces(count: int, seed: int, spec: Spec) -> list[Face]:
    """Figures whose eyes and mouth can be seen."""
    rng, found = np.random.default_rng(seed), list[Face]()
    while len(found) < count:
        person, attributes = person_of(rng, spec), random_attributes(rng)
        drawing = draw_figure(person, attributes, spec.frame)
        if (drawing.parts == EYES).sum() < 60 or (drawing.parts == MOUTH).sum() < 20:
            continue
        figures = [replace(attributes, eyes=eyes, mouth=mouth) for eyes, mouth in STATES]
        found.append(Face(drawing, attributes, [draw_figure(person, figure, spec.frame) for figure in figures]))
    return found


def decoded(vae: AutoencoderKL, pictures: list[np.ndarray]) -> np.ndarray:
    """The pictures as the VAE gives them back, `(N, S, S, 3)` uint8."""
    import torch

    with torch.no_grad():
        parts = [vae.decode(vae.encode(to_signed(picture[None])).latent_dist.mean).sample for picture in pictures]
    return to_pictures(torch.cat(parts))


def decibels(squares: list[float]) -> float:
    return float(10 * np.log10(255**2 / np.mean(squares)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("data/models/sprite"))
    parser.add_argument("--frame", type=int, default=Spec().frame)
    parser.add_argument("--n", type=int, default=48)
    parser.add_argument("--seed", type=int, default=99)
    parser.add_argument("--sheet", type=Path, help="drawings above, decoded ones below")
    options = parser.parse_args()
    set_threads(1)
    chosen = faces(options.n, options.seed, Spec(options.frame))
    pictures = decoded(networks.load(options.folder, "vae"), [face.drawing.rgb for face in chosen])
    errors = [np.square(p.astype(float) - f.drawing.rgb) for p, f in zip(pictures, chosen, strict=True)]
    told = np.array([f.told_apart(p) for p, f in zip(pictures, chosen, strict=True)])
    print(f"whole picture {decibels([float(e.mean()) for e in errors]):.1f} dB, eyes and mouth "
          f"{decibels([float(e[f.where].mean()) for e, f in zip(errors, chosen, strict=True)]):.1f} dB; told apart: "
          f"eyes {told[:, 0].mean():.2f}, mouth {told[:, 1].mean():.2f} (n={options.n})")  # fmt: skip
    if options.sheet:
        import cv2

        rows = [np.hstack([face.drawing.rgb for face in chosen[:10]]), np.hstack(list(pictures[:10]))]
        cv2.imwrite(str(options.sheet), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
