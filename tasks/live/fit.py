"""Fit the factors of live pictures to an autoencoder: least squares between latents and what they were encoded from.

    python -m tasks.live.fit FAMILY_FOLDER CLIP...

The folder has the autoencoder in ``vae``; the clips should show many colours. The embedded families' own drawings serve
them better: their training stores the factors, and ``python -m tasks.sprite.preview FOLDER`` does it anew.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.errors import UserError
from tasks.live.factors import Factors

if TYPE_CHECKING:
    import numpy as np
    import torch

CELLS = 4
"""Pixels along a latent cell's side that are fitted: a preview of half the picture's size where a cell is 8 px."""


LONGEST = 33
"""Frames that are read of a clip."""
STEP = 32
"""Sides and lengths that autoencoders take are multiples of it (px), and one more than a multiple of 8 (frames)."""


def fit(vae: Any, clips: Iterable[np.ndarray], source: str, cells: int = CELLS) -> Factors:
    """Factors for an autoencoder of pictures or of clips, as diffusers has them.

    Args:
        clips: ``(F, H, W, 3)`` uint8, together more cells than the latents have channels.
        source: what they were fitted to, for people.
    """
    import torch

    latents, pixels = [], []
    with torch.inference_mode():
        for clip in clips:
            z = latents_of(vae, clip)
            latents.append(z.flatten(1).T.double())
            pixels.append(_patches(clip, z, cells))
    known, wanted = torch.cat(latents), torch.cat(pixels)
    ones = torch.cat([known, torch.ones(len(known), 1, dtype=known.dtype)], dim=1)
    # a trace of ridge: a channel that the clips never move must not get any weight it likes
    gram = ones.T @ ones + 1e-6 * len(ones) * torch.eye(ones.shape[1], dtype=ones.dtype)
    solved = torch.linalg.solve(gram, ones.T @ wanted)
    return Factors(
        tuple(tuple(row) for row in solved[:-1].tolist()), tuple(solved[-1].tolist()), cells=cells, source=source
    )


def latents_of(vae: Any, clip: np.ndarray) -> torch.Tensor:
    """Latents ``(C, F, h, w)`` float32 of frames ``(F, H, W, 3)`` uint8, as a denoising has them."""
    import torch

    values = torch.from_numpy(clip).permute(3, 0, 1, 2).float().div(127.5).sub(1).to(vae.device, vae.dtype)
    kept = dict(vae.named_buffers())
    if "latents_mean" in kept:  # of clips, normalised channel by channel
        z = vae.encode(values[None]).latent_dist.mean[0].float()
        return (z - kept["latents_mean"].view(-1, 1, 1, 1)) / kept["latents_std"].view(-1, 1, 1, 1)
    z = torch.cat([vae.encode(part).latent_dist.mean for part in values.transpose(0, 1).split(16)])
    return z.float().transpose(0, 1) * vae.config.scaling_factor


def _patches(clip: np.ndarray, z: torch.Tensor, cells: int) -> torch.Tensor:
    """What each cell's pixels should be, ``(F * h * w, 3 * cells * cells)`` from -1 to 1.

    A latent that stands for several frames is held against their mean; the first, of video autoencoders, for one frame.
    """
    import torch

    _, frames, high, wide = z.shape
    values = torch.from_numpy(clip).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    small = torch.nn.functional.interpolate(values, (high * cells, wide * cells), mode="area")
    if frames != len(small):
        step = (len(small) - 1) // (frames - 1)
        later = small[1:].unflatten(0, (frames - 1, step)).mean(1)
        small = torch.cat([small[:1], later])
    parts = small.reshape(frames, 3, high, cells, wide, cells).permute(0, 2, 4, 3, 5, 1)
    return parts.reshape(frames * high * wide, -1).double()


def error(factors: Factors, vae: Any, clip: np.ndarray) -> float:
    """Root mean square error of the preview's pixels, of 255, against the clip made as small."""
    import torch

    with torch.inference_mode():
        z = latents_of(vae, clip)
    shown = torch.from_numpy(factors.pictures(z)).double()
    wanted = _patches(clip, z, factors.cells).clamp(-1, 1)
    _, frames, high, wide = z.shape
    side = factors.cells
    wanted = wanted.reshape(frames, high, wide, side, side, 3).permute(0, 1, 3, 2, 4, 5)
    wanted = (wanted.reshape(frames, high * side, wide * side, 3) + 1) * 127.5
    return float((shown - wanted).square().mean().sqrt())


def load_vae(folder: Path) -> Any:
    """The autoencoder in a family's folder, float32.

    Raises:
        UserError: there is none.
    """
    import json

    import diffusers

    config = folder / "vae" / "config.json"
    if not config.is_file():
        raise UserError(f"{folder} has no vae/config.json", fix="name the folder of a family, in diffusers' layout")
    kind = getattr(diffusers, json.loads(config.read_text())["_class_name"])
    return kind.from_pretrained(str(folder / "vae"), local_files_only=True).float().eval()


def read_clip(path: Path) -> np.ndarray:
    """The first frames of a film, ``(F, H, W, 3)`` uint8, cut to sizes and lengths that every autoencoder takes."""
    import av
    import numpy as np

    with av.open(str(path)) as container:
        frames = [
            frame.to_ndarray(format="rgb24")
            for frame, _ in zip(container.decode(video=0), range(LONGEST), strict=False)
        ]
    high, wide = (side // STEP * STEP for side in frames[0].shape[:2])
    if not high or not wide:
        raise UserError(f"{path}: smaller than {STEP} px", fix="a larger clip")
    return np.stack(frames[: (len(frames) - 1) // 8 * 8 + 1])[:, :high, :wide]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("clips", type=Path, nargs="+")
    chosen = parser.parse_args(argv)
    vae = load_vae(chosen.folder)
    clips = [read_clip(path) for path in chosen.clips]
    found = fit(vae, clips, f"fitted to {', '.join(path.name for path in chosen.clips)}")
    print(f"{found.save(chosen.folder)}: off by {error(found, vae, clips[0]):.1f} of 255 (root mean square)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
