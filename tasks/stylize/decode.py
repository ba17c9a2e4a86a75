"""The op `stylize.decode`: latents to frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reel.clip import ClipWriter, encode_png
from reel.op import Context, get, op
from tasks.stylize.engine import codec, models, stored
from tasks.stylize.engine.journal import Shelf
from tasks.stylize.engine.settings import Decode
from tasks.stylize.engine.work import LIBRARIES, chunks, identity, ready, with_room, working

FIX = "stylize.decode_chunk_size=1, stylize.decode_tiling=true, a lower extract.short_side"
"""What helps when the VAE needs too much memory."""


@op(
    "stylize",
    "decode",
    version=1,
    config=Decode,
    inputs=("latents",),
    distributions=LIBRARIES,
    models=models.codec_sources,
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
    device = ready(ctx, models.codec_sources(cfg))
    shelf = Shelf(ctx.store, identity(get("stylize", "decode"), cfg, inputs, device))

    def attempt(offload: str) -> str:
        vae = models.vae(cfg, device)
        with (
            ClipWriter(ctx.store, "rgb", **stored.shape_of(meta)) as writer,
            codec.upcast(vae),
            codec.tiled(vae, cfg.tiling),
            working([vae], device, offload),
            ctx.progress(len(latents), "decode") as bar,
        ):
            for start, stop in chunks(len(latents), cfg.chunk_size):
                for index, png in enumerate(_decoded(cfg, vae, latents[start:stop], start, shelf, device), start):
                    (file := writer.dir / f"new-{index}.png").write_bytes(png)
                    writer.add_file(file, meta["pts"][index])
                bar.update(stop - start)
        return writer.digest

    digest = with_room(attempt, device, ctx, FIX)
    shelf.clear()
    return digest


def _decoded(cfg: Decode, vae: Any, latents: Any, start: int, shelf: Shelf, device: str) -> Iterator[bytes]:
    """PNG bytes of a chunk's frames: those of an earlier run, or all of them computed together."""
    kept = [shelf.get(i) for i in range(start, start + len(latents))]
    if all(kept):
        yield from (png for png in kept if png)
        return
    pictures = codec.decode_chunk(vae, latents, device, cfg.memory_format == "channels_last")
    for index, picture in enumerate(pictures, start):
        png = encode_png(picture)
        shelf.put(index, png)
        yield png
