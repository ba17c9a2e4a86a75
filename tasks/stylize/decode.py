"""The op `stylize.decode`: latents to frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reel.clip import ClipWriter, encode_png
from reel.op import Context, get, op
from tasks.networks import stored
from tasks.networks.journal import ChunkCache
from tasks.networks.retry import retry_offloaded
from tasks.networks.work import LIBRARIES, chunks, computing, identity, set_up
from tasks.stylize.engine import codec
from tasks.stylize.models.codec import load_vae
from tasks.stylize.models.sources import codec_sources
from tasks.stylize.settings.codec import Decode

FIX = "stylize.decode_chunk_size=1, stylize.decode_tiling=true, a lower extract.short_side"
"""What helps when the VAE needs too much memory."""


@op(
    "stylize",
    "decode",
    version=1,
    config=Decode,
    inputs=("latents",),
    distributions=LIBRARIES,
    models=codec_sources,
    gives="frames",
)
def decode(cfg: Decode, inputs: Mapping[str, str], ctx: Context) -> str:
    """Latents to a clip with the source's times; a killed run goes on where it was.

    Returns:
        digest of a clip of kind ``rgb``.

    Raises:
        UserError: pixels that are not numbers (a VAE that overflowed).
    """
    tensors, meta = stored.take(ctx.store, inputs["latents"], "latents")
    latents = tensors["latents"]  # (F, C, h, w)
    device = set_up(ctx, codec_sources(cfg))
    done = ChunkCache(ctx.store, identity(get("stylize", "decode"), cfg, inputs, device))

    def attempt(offload: str) -> str:
        vae = load_vae(cfg, device)
        with (
            ClipWriter(ctx.store, "rgb", **stored.shape_of(meta)) as writer,
            codec.upcast(vae),
            codec.tiled(vae, cfg.tiling),
            computing([vae], device, offload),
            ctx.progress(len(latents), "decode") as bar,
        ):
            for start, stop in chunks(len(latents), cfg.chunk_size):
                for index, png in enumerate(_decoded(cfg, vae, latents[start:stop], start, done, device), start):
                    (file := writer.dir / f"new-{index}.png").write_bytes(png)
                    writer.add_file(file, meta["pts"][index])
                bar.update(stop - start)
        return writer.digest

    digest = retry_offloaded(attempt, device, ctx, FIX)
    done.clear()
    return digest


def _decoded(cfg: Decode, vae: Any, latents: Any, start: int, done: ChunkCache, device: str) -> Iterator[bytes]:
    """PNG bytes of a chunk's frames: those of an earlier run, or all of them computed together."""
    kept = [done.get(i) for i in range(start, start + len(latents))]
    if all(kept):
        yield from (png for png in kept if png)
        return
    pictures = codec.decode_chunk(vae, latents, device, cfg.memory_format == "channels_last")
    for index, picture in enumerate(pictures, start):
        png = encode_png(picture)
        done.put(index, png)
        yield png
