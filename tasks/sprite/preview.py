"""The factors of live pictures for the embedded families, fitted to their own drawings.

python -m tasks.sprite.preview data/models/sprite
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reel.errors import UserError
from tasks.live.factors import FILE as PREVIEW
from tasks.live.fit import error, fit, load_vae
from tasks.sprite.attributes import random_attributes
from tasks.sprite.clips import drawn_clip
from tasks.sprite.ltx.data import draw_clip
from tasks.sprite.poses import clip_of
from tasks.sprite.spec import FILE, Spec, load

CLIPS = 24
SEED = 5


def store(vae: Any, folder: Path, spec: Spec, clips: int = CLIPS) -> float:
    """Write the factors beside a family's weights.

    Args:
        vae: of either half of the family, as diffusers has it.
        spec: of the drawings.

    Returns:
        root mean square error of 255, on drawings not fitted to.
    """
    unseen, *drawn = (_clip(vae, spec, number) for number in range(clips + 1))
    found = fit(vae, drawn, f"fitted to {clips} clips of its own drawings of {unseen.shape[1]} px")
    found.save(folder)
    return error(found, vae, unseen)


def _clip(vae: Any, spec: Spec, number: int) -> np.ndarray:
    """A drawn clip `(F, S, S, 3)` uint8 of a length that the autoencoder takes."""
    rng = np.random.default_rng([SEED, number])
    if type(vae).__name__ == "AutoencoderKLLTXVideo":
        return draw_clip(rng, spec).rgb
    return drawn_clip(clip_of(rng, spec), random_attributes(rng, spec.choices), spec)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1:
        raise UserError("one folder is needed", fix="python -m tasks.sprite.preview data/models/sprite")
    folder = Path(arguments[0])
    first_half = folder if (folder / FILE).is_file() else folder.parent / "sprite"
    off = store(load_vae(folder), folder, load(first_half))
    print(f"{folder / PREVIEW}: off by {off:.1f} of 255 (root mean square, on drawings not fitted to)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
