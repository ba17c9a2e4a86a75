"""The op `stylize.encode`: frames to latents."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from reel.clip import Clip
from reel.op import Context, get, op
from tasks.stylize.engine import codec, models, stored
from tasks.stylize.engine.journal import Shelf
from tasks.stylize.engine.settings import Encode
from tasks.stylize.engine.work import LIBRARIES, SMALLER, chunks, identity, ready, working


@op(
    "stylize",
    "encode",
    version=1,
    config=Encode,
    inputs=("frames",),
    distributions=LIBRARIES,
    models=models.codec_sources,
    gives="latents",
)
def encode(cfg: Encode, inputs: Mapping[str, str], ctx: Context) -> str:
    """The mean and standard deviation of the frames' latents; a killed run goes on where it was.

    Returns:
        digest of an object of kind ``latents``: ``mean`` and ``std`` ``(F, C, h, w)``, unscaled.
    """
    import torch

    clip = Clip.open(ctx.store, inputs["frames"])
    device = ready(ctx, models.codec_sources(cfg))
    vae, shelf = models.vae(cfg, device), Shelf(ctx.store, identity(get("stylize", "encode"), cfg, inputs, device))
    parts: list[Any] = []
    with (
        working([vae], device, ctx, SMALLER),
        codec.upcast(vae),
        codec.tiled(vae, cfg.tiling),
        ctx.progress(len(clip), "encode") as bar,
    ):
        for start, stop in chunks(len(clip), cfg.chunk_size):
            kept = shelf.get(start)
            if kept is None:
                both = torch.stack(codec.encode_chunk(vae, np.stack([clip.frame(i) for i in range(start, stop)])))
                shelf.put(start, _to_bytes(both))
            else:
                both = _from_bytes(kept)
            parts.append(both)
            bar.update(stop - start)
    mean, std = torch.cat(parts, dim=1)
    digest = stored.put(
        ctx.store,
        "latents",
        {"mean": mean, "std": std},
        stage="encoded",
        chunk_size=cfg.chunk_size,
        scaling_factor=float(vae.config.scaling_factor),
        **stored.times(clip),
    )
    shelf.clear()
    return digest


def _to_bytes(tensor: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, tensor.numpy(), allow_pickle=False)
    return buffer.getvalue()


def _from_bytes(data: bytes) -> Any:
    import torch

    return torch.from_numpy(np.load(io.BytesIO(data), allow_pickle=False))
