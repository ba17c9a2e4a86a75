"""The four ops of the engine: encode, embed, denoise, decode.

They are complete and callable through `tasks.cached.call`; they are not registered by name yet.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reel.clip import Clip, ClipWriter, encode_png
from reel.config import Config
from reel.keys import canonical
from reel.op import Context, Op
from reel.store import canonical_json, sha256_bytes
from tasks import weights
from tasks.stylize import memory
from tasks.stylize.device import check_device, resolve_device
from tasks.stylize.engine import codec, embed, models, render, stored
from tasks.stylize.engine.clock import Clock
from tasks.stylize.engine.journal import Journal, Shelf
from tasks.stylize.engine.settings import Decode, Denoise, Embed, Encode
from tasks.stylize.quiet import quiet
from tasks.weights_memory import LOADED

log = logging.getLogger(__name__)
LIBRARIES = ("diffusers", "torch", "transformers", "accelerate", "peft", "numpy", "opencv-python-headless")


def encode(cfg: Encode, inputs: Mapping[str, str], ctx: Context) -> str:
    """Frames to the mean and standard deviation of their latents; a killed run goes on where it was.

    Returns:
        digest of an object of kind ``latents``.
    """
    import torch

    clip = Clip.open(ctx.store, inputs["frames"])
    device = _ready(ctx, models.codec_sources(cfg))
    vae, shelf = models.vae(cfg, device), Shelf(ctx.store, identity("encode", cfg, inputs, models.codec_sources(cfg)))
    parts: list[Any] = []
    with (
        _working([vae], device, ctx),
        codec.upcast(vae),
        codec.tiled(vae, cfg.tiling),
        ctx.progress(len(clip), "encode") as bar,
    ):
        for start, stop in _chunks(len(clip), cfg.chunk_size):
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


def embed_texts(cfg: Embed, inputs: Mapping[str, str], ctx: Context) -> str:
    """Texts to embeddings, all padded alike.

    Returns:
        digest of an object of kind ``embeddings``: ``positive`` and ``negative`` ``(K, T, D)``.
    """
    device = _ready(ctx, models.embed_sources(cfg))
    tokenizer, encoder = models.text(cfg, device)
    with _working([encoder], device, ctx):
        both = [text for pair in cfg.texts for text in pair]
        found = embed.encode_texts(tokenizer, encoder, both, cfg.clip_skip).float().cpu()
    return stored.put(
        ctx.store,
        "embeddings",
        {"positive": found[0::2], "negative": found[1::2]},
        texts=len(cfg.texts),
        pieces=found.shape[1] // int(tokenizer.model_max_length),
    )


def denoise(cfg: Denoise, inputs: Mapping[str, str], ctx: Context) -> str:
    """Encoded latents, embeddings and maps to new latents; a killed run goes on where it was.

    Inputs: ``latents``, ``embeddings``, ``map_<control>``, ``poses`` (for masks and compositing), ``mask_<control>``.

    Returns:
        digest of an object of kind ``latents``.
    """
    job = render.prepare(cfg, inputs, ctx)  # every check that needs no model
    device = _ready(ctx, models.denoise_sources(cfg))
    name = identity("denoise", cfg, inputs, models.denoise_sources(cfg))
    journal = Journal(ctx.store.root / "journals" / name, {"identity": name, "device": device})
    clock = Clock(bool(getattr(ctx.compute, "profile", False)), device)
    latents = _laddered(job, replace(ctx, compute=ctx.compute.model_copy(update={"device": device})), journal, clock)
    if clock.on:
        ctx.note(profile_seconds=clock.report())
    digest = stored.put(ctx.store, "latents", {"latents": latents.float().cpu()}, stage="denoised", **job.meta)
    journal.clear()
    return digest


def decode(cfg: Decode, inputs: Mapping[str, str], ctx: Context) -> str:
    """Latents to frames; a killed run goes on where it was.

    Returns:
        digest of a clip of kind ``rgb``.
    """
    tensors, meta = stored.take(ctx.store, inputs["latents"], "latents")
    latents = tensors["latents"]  # (F, C, h, w)
    device = _ready(ctx, models.codec_sources(cfg))
    vae, shelf = models.vae(cfg, device), Shelf(ctx.store, identity("decode", cfg, inputs, models.codec_sources(cfg)))
    with (
        ClipWriter(ctx.store, "rgb", **stored.shape_of(meta)) as writer,
        _working([vae], device, ctx),
        codec.upcast(vae),
        codec.tiled(vae, cfg.tiling),
        ctx.progress(len(latents), "decode") as bar,
    ):
        for start, stop in _chunks(len(latents), cfg.chunk_size):
            for index, png in enumerate(_decoded(vae, latents, start, stop, shelf), start):
                (file := writer.dir / f"new-{index}.png").write_bytes(png)
                writer.add_file(file, meta["pts"][index])
            bar.update(stop - start)
    shelf.clear()
    return writer.digest


def _decoded(vae: Any, latents: Any, start: int, stop: int, shelf: Shelf) -> Iterator[bytes]:
    """PNG bytes of a chunk's frames: those of an earlier run, or all of them computed together."""
    kept = [shelf.get(i) for i in range(start, stop)]
    if all(kept):
        yield from (png for png in kept if png)
        return
    for index, picture in enumerate(codec.decode_chunk(vae, latents[start:stop]), start):
        png = encode_png(picture)
        shelf.put(index, png)
        yield png


def _laddered(job: render.Job, ctx: Context, journal: Journal, clock: Clock) -> Any:
    """Denoise; when memory runs out, again with less of it, by steps that change no bit of the result."""
    import torch

    tried: list[str] = []
    rungs: list[tuple[str, dict[str, Any]]] = [
        ("freed other loaded models", {}),
        ("spilled activations", {"keep": 0}),
        ("spilled activations and offloaded the models layer by layer", {"keep": 0, "offload": "sequential"}),
    ]
    more: dict[str, Any] = {}
    for what, following in [*rungs, ("", {})]:
        try:
            with quiet(), torch.inference_mode():
                found = render.run(job, ctx, journal, clock, **more)
            if tried:
                ctx.note(out_of_memory=tried)
            return found
        except (RuntimeError, MemoryError) as error:
            if not memory.is_out_of_memory(error) or not what:
                raise
            log.warning("out of memory; %s and going on from the last checkpoint", what)
        LOADED.free()
        tried.append(what)
        more = following
    raise AssertionError("the last rung returns or raises")


def identity(op: str, cfg: Config, inputs: Mapping[str, str], sources: Sequence[Any]) -> str:
    """What a checkpoint belongs to: settings, inputs, models and libraries."""
    facts = {
        "op": op,
        "version": VERSIONS[op],
        "config": canonical(cfg),
        "inputs": dict(inputs),
        "models": [weights.content_id(source) for source in sources],
        "libraries": {name: importlib.metadata.version(name) for name in ("torch", "diffusers")},
    }
    return sha256_bytes(canonical_json(facts))


def resumable(root: Path) -> list[dict[str, Any]]:
    """Renders that were broken off under a store's root: folder, finished steps, time of the last checkpoint."""
    found = []
    for path in sorted((root / "journals").glob("*/state.safetensors")):
        resumed = path.read_bytes()[32:]
        length = int.from_bytes(resumed[:8], "little")
        meta = json.loads(resumed[8 : 8 + length])["__metadata__"]
        found.append({"journal": path.parent.name, "steps": int(meta["step"]), "saved": path.stat().st_mtime})
    return found


def _ready(ctx: Context, sources: Sequence[Any]) -> str:
    """Fetch the models, check the device, set the threads; returns the device."""
    weights.fetch(sources)
    device = resolve_device(ctx.compute)
    check_device(device)
    if ctx.compute.threads:
        import torch

        torch.set_num_threads(ctx.compute.threads)
    return device


@contextlib.contextmanager
def _working(modules: Sequence[Any], device: str, ctx: Context) -> Iterator[None]:
    """Modules on their device, no gradients, no library chatter."""
    import torch

    with models.placed(modules, device, ctx.compute.offload), quiet(), torch.inference_mode():
        yield


def _chunks(count: int, size: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + size, count)) for start in range(0, count, size))


def _to_bytes(tensor: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, tensor.numpy(), allow_pickle=False)
    return buffer.getvalue()


def _from_bytes(data: bytes) -> Any:
    import torch

    return torch.from_numpy(np.load(io.BytesIO(data), allow_pickle=False))


VERSIONS = {"encode": 1, "embed": 1, "denoise": 1, "decode": 1}

ENCODE = Op("stylize", "encode", 1, Encode, ("frames",), LIBRARIES, models.codec_sources, "latents", __name__, encode)
EMBED = Op("stylize", "embed", 1, Embed, (), LIBRARIES, models.embed_sources, "embeddings", __name__, embed_texts)
DENOISE = Op(
    "stylize",
    "denoise",
    1,
    Denoise,
    ("latents", "embeddings", "map_*", "poses", "mask_*"),
    LIBRARIES,
    models.denoise_sources,
    "latents",
    __name__,
    denoise,
)
DECODE = Op("stylize", "decode", 1, Decode, ("latents",), LIBRARIES, models.codec_sources, "frames", __name__, decode)

__all__ = ["DECODE", "DENOISE", "EMBED", "ENCODE", "VERSIONS", "identity", "resumable"]
