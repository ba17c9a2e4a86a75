"""What the ops hand to one another: results at the seams, and the state after a denoising's last step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from reel.clip import Clip, ClipWriter
from reel.op import Context
from tasks.animate.catalogue import RECIPES
from tasks.animate.recipe import Role, Shown
from tasks.animate.replay.journal import Checkpoint
from tasks.animate.replay.seams import Kept
from tasks.animate.replay.segments import Segment
from tasks.animate.settings import Denoise
from tasks.networks import stored
from tasks.networks.packing import pack, unpack

if TYPE_CHECKING:
    import torch

    from reel.store import Store


DRIVING: tuple[Role, ...] = ("control", "mask", "face", "background")
"""Inputs of ops: clips that drive a film, where any do, by their roles."""


def put_kept(store: Store, kind: str, kept: Kept, **meta: Any) -> str:
    """Store what seams gave."""
    tensors: dict[str, Any] = {}
    plan = pack(kept, tensors)
    return stored.put(store, kind, tensors, plan=plan, **meta)


def take_kept(store: Store, digest: str, kind: str) -> tuple[Kept, dict[str, Any]]:
    """The inverse of `put_kept`, and the object's meta."""
    tensors, meta = stored.take(store, digest, kind)
    return unpack(meta["plan"], tensors), meta


@dataclass(frozen=True)
class Given:
    """The inputs of an op that makes the pipeline's call: pictures, embeddings, encoded pictures, latents to refine.

    ``texts`` are positive and negative ones; none of a pipeline that reads no prompt. ``latents`` are what it begins
    from, by the call's arguments (`Recipe.refines`); none: from noise. Of a film in segments ``segment`` is the one
    that is made, and ``before`` where a later one begins: behind the steps of the one before.
    """

    shown: Sequence[Shown]
    kept: Kept
    texts: Sequence[tuple[str, str]]
    latents: Mapping[str, torch.Tensor]
    segment: Segment | None
    before: Checkpoint | None


def given(cfg: Denoise, inputs: Mapping[str, str], ctx: Context) -> Given:
    """Read the inputs that `denoise` and what comes after it share."""
    kept: Kept = {}
    texts: list[list[str]] = []
    if "embeddings" in inputs:
        kept, meta = take_kept(ctx.store, inputs["embeddings"], "embeddings")
        texts = meta["texts"]
    for name in sorted(name for name in inputs if name.startswith("encoded_")):
        own, _ = take_kept(ctx.store, inputs[name], "encoded")
        for seam, found in own.items():
            kept.setdefault(seam, {}).update(found)
    begun = stored.take(ctx.store, inputs["latents"], "latents")[0] if "latents" in inputs else {}
    latents = {name: begun[name] for name in RECIPES[cfg.architecture].refines} if begun else {}
    pairs = [(positive, negative) for positive, negative in texts]
    before = take_end(ctx.store, inputs["before"]).behind(cfg.steps) if "before" in inputs else None
    return Given(shown_in(cfg, inputs, ctx), kept, pairs, latents, segment_of(cfg, inputs, ctx), before)


def shown_in(cfg: Denoise, inputs: Mapping[str, str], ctx: Context) -> list[Shown]:
    """The pictures and clips that a film is held to, and what drives it."""
    clips = [Clip.open(ctx.store, inputs[f"frames_{index}"]) for index in range(len(cfg.keys))]
    driving = {role: Clip.open(ctx.store, inputs[role]) for role in DRIVING if role in inputs}
    return [
        *(Shown(clip.array(), key.at, key.strength) for clip, key in zip(clips, cfg.keys, strict=True)),
        *(Shown(clip.array(), 0, 1.0, role) for role, clip in driving.items()),
    ]


def times(frames: int, fps: float, width: int, height: int) -> dict[str, Any]:
    """A film's size and times, as stored objects say them."""
    step = 1 / Fraction(fps).limit_denominator(1001)
    return {
        "width": width,
        "height": height,
        "count": frames,
        "time_base": str(step),
        "pts": list(range(frames)),
        "color": "bt709",
    }


def put_denoised(store: Store, end: Checkpoint, results: Sequence[torch.Tensor], **meta: Any) -> str:
    """Store the state after the last step, and what the pipeline returned: latents, and those of the sound."""
    plan, tensors = end.packed()
    tensors |= {f"result.{index}": result.detach().float().cpu() for index, result in enumerate(results)}
    return stored.put(store, "denoised", tensors, end=json.dumps(plan), **meta)


def take_end(store: Store, digest: str) -> Checkpoint:
    """The state after the last step."""
    tensors, meta = stored.take(store, digest, "denoised")
    return Checkpoint.unpacked(json.loads(meta["end"]), tensors)


def take_results(store: Store, digest: str) -> tuple[list[torch.Tensor], dict[str, Any]]:
    """What the pipeline returned, latents and those of the sound, and the object's meta."""
    tensors, meta = stored.take(store, digest, "denoised")
    count = sum(name.startswith("result.") for name in tensors)
    return [tensors[f"result.{index}"] for index in range(count)], meta


CARRIED = "carried.safetensors"
"""Beside a segment's frames: the last of them as the decoder gave them, for the next one goes on from these."""


def carry(writer: ClipWriter, segment: Segment, cfg: Denoise) -> None:
    """Keep the frames that the next segment takes over beside this one's, as they are before they become 8 bits."""
    from safetensors.torch import save

    count = cfg.call[RECIPES[cfg.architecture].carried]
    assert segment.frames is not None
    assert isinstance(count, int)
    writer.attach(CARRIED, save({"frames": segment.frames[:, :, -count:].cpu().contiguous()}))


def segment_of(cfg: Denoise, inputs: Mapping[str, str], ctx: Context) -> Segment | None:
    """Which part of the film is made: one of several segments, or None: all of it."""
    from safetensors.torch import load

    if not RECIPES[cfg.architecture].carried:
        return None
    if "carried" not in inputs:
        return Segment()
    return Segment(load(ctx.store.get(inputs["carried"]).read(CARRIED))["frames"])
