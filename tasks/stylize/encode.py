"""The op `stylize.encode`: frames to latents."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reel.clip import Clip
from reel.op import Context, get, op
from tasks.networks import stored
from tasks.networks.journal import ChunkCache
from tasks.networks.retry import retry_offloaded
from tasks.networks.work import LIBRARIES, chunks, computing, identity, set_up
from tasks.stylize.engine import codec
from tasks.stylize.models.codec import load_vae
from tasks.stylize.models.sources import codec_sources
from tasks.stylize.settings.codec import Encode

if TYPE_CHECKING:
    import torch

FIX = "stylize.encode_chunk_size=1, stylize.encode_tiling=true, a lower extract.short_side"
"""What helps when the VAE needs too much memory."""


@op(
    "stylize",
    "encode",
    version=2,
    config=Encode,
    inputs=("frames",),
    distributions=LIBRARIES,
    models=codec_sources,
    gives="latents",
)
def encode(cfg: Encode, inputs: Mapping[str, str], ctx: Context) -> str:
    """The mean and standard deviation of the frames' latents; a killed run goes on where it was.

    Returns:
        digest of an object of kind ``latents``: ``mean`` and ``std`` ``(F, C, h, w)``, unscaled.
    """
    clip = Clip.open(ctx.store, inputs["frames"])
    device = set_up(ctx, codec_sources(cfg))
    done = ChunkCache(ctx.store, identity(get("stylize", "encode"), cfg, inputs, device))
    (mean, std), scaling = retry_offloaded(
        lambda offload: _encoded(cfg, clip, done, device, ctx, offload), device, ctx, FIX
    )
    digest = stored.put(
        ctx.store,
        "latents",
        {"mean": mean, "std": std},
        stage="encoded",
        chunk_size=min(cfg.chunk_size, len(clip)),  # noise is drawn by it: two that cut alike are the same latents
        scaling_factor=scaling,
        **stored.times(clip),
    )
    done.clear()
    return digest


def _encoded(
    cfg: Encode, clip: Clip, done: ChunkCache, device: str, ctx: Context, offload: str
) -> tuple[torch.Tensor, float]:
    """Mean and standard deviation ``(2, F, C, h, w)``, and the VAE's factor of latents."""
    import numpy as np
    import torch

    vae = load_vae(cfg, device)
    parts: list[torch.Tensor] = []
    with (
        codec.upcast(vae),
        codec.tiled(vae, cfg.tiling),
        computing([vae], device, offload),
        ctx.progress(len(clip), "encode") as bar,
    ):
        for start, stop in chunks(len(clip), cfg.chunk_size):
            kept = done.get(start)
            if kept is None:
                pictures = np.stack([clip.frame(i) for i in range(start, stop)])
                both = torch.stack(codec.encode_chunk(vae, pictures, device))
                done.put(start, _to_bytes(both))
            else:
                both = _from_bytes(kept)
            parts.append(both)
            bar.update(stop - start)
    return torch.cat(parts, dim=1), float(vae.config.scaling_factor)


def _to_bytes(tensor: Any) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, tensor.numpy(), allow_pickle=False)
    return buffer.getvalue()


def _from_bytes(data: bytes) -> Any:
    import numpy as np
    import torch

    return torch.from_numpy(np.load(io.BytesIO(data), allow_pickle=False))
