"""How a VAE works through a clip: whole, in tiles, a few frames at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tasks.animate.settings import Codec

FLAGS = ("use_tiling", "use_framewise_encoding", "use_framewise_decoding")


@contextmanager
def arranged(vae: Any, cfg: Codec) -> Iterator[None]:
    """The VAE as its settings say, inside the block. Framewise decoding is said for itself: tiling leaves it off."""
    before = {name: getattr(vae, name) for name in FLAGS if hasattr(vae, name)}
    wanted = dict(zip(FLAGS, (cfg.tiling, cfg.framewise, cfg.framewise), strict=True))
    for name in before:
        setattr(vae, name, wanted[name])
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(vae, name, value)
