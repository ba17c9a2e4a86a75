"""Renders with the toy family: clips, maps and poses of noise, and the four ops wired together."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import torch

from reel import op
from reel.clip import ClipWriter
from reel.compute import Compute
from reel.live import Live
from reel.pose import dump, mask_name, pack_outlines
from reel.store import Store
from tasks.networks import stored
from tasks.stylize.decode import decode
from tasks.stylize.denoise import denoise
from tasks.stylize.embed import embed_texts
from tasks.stylize.encode import encode
from tasks.stylize.settings.split import Stages
from tests.tasks.tiny_settings import settings

SIDE, WINDOW, COUNT = 32, 8, 5
"""Sides of a frame (px), frames of the toy family's motion window, frames of a clip."""
ALONE = {"context_length": 1, "context_overlap": 0}
"""Every frame by itself: no motion module carries anything over."""


def make_clip(store: Store, kind: Any, count: int, seed: int, side: int = SIDE) -> str:
    noise = np.random.default_rng(seed)
    with ClipWriter(store, kind, width=side, height=side, time_base=Fraction(1, 12)) as writer:
        for index in range(count):
            writer.add(noise.integers(0, 255, (side, side, 3)).astype(np.uint8), index * 2)
    return writer.digest


def make_poses(store: Store, count: int, *, nobody: bool = False) -> str:
    """A person in the left half of every frame, or in none."""
    person = np.zeros((18, 4), np.float32)
    person[:, 3] = 1
    outline = np.zeros((SIDE, SIDE), bool)
    outline[:, : SIDE // 2] = True
    outlines = pack_outlines([] if nobody else [outline], SIDE, SIDE)
    with store.draft("poses") as draft:
        draft.add("poses.json", dump([[] if nobody else [person]] * count, SIDE, SIDE, "test"))
        for index in range(count):
            draft.add(mask_name(index), outlines)
        return draft.commit(
            width=SIDE,
            height=SIDE,
            count=count,
            detector="test",
            time_base="1/12",
            pts=[2 * i for i in range(count)],
            color="bt709",
        )


def inputs(store: Store, count: int, side: int = SIDE) -> dict[str, str]:
    return {
        "frames": make_clip(store, "rgb", count, 0, side),
        "map_pose": make_clip(store, "map", count, 1, side),
        "map_lines": make_clip(store, "map", count, 2, side),
    }


def stylized(store: Store, stages: Stages, given: dict[str, str], ctx: op.Context | None = None) -> str:
    """Digest of the frames that the four ops draw, wired as a flow wires them."""
    ctx = ctx or op.Context(store, Compute(device="cpu", threads=1))
    guides = {f"map_{name}": given[f"map_{name}"] for name in stages.denoise.controls}
    latents = op.get("stylize", "encode").fn(stages.encode, {"frames": given["frames"]}, ctx)
    embeddings = op.get("stylize", "embed").fn(stages.embed, {}, ctx)
    both = {"latents": latents, "embeddings": embeddings}
    denoised = op.get("stylize", "denoise").fn(stages.denoise, {**both, **guides}, ctx)
    return op.get("stylize", "decode").fn(stages.decode, {"latents": denoised}, ctx)


def render(store: Store, count: int = 3, side: int = SIDE, **changes: Any) -> str:
    return stylized(store, settings(**changes), inputs(store, count, side))


class Rendered:
    """A render by the four ops, with every digest on the way."""

    def __init__(
        self, store: Store, stages: Stages, count: int = COUNT, run: str = "r", live: Live | None = None
    ) -> None:
        ctx = op.Context(store, Compute(device="cpu", threads=1), run=run, live=live)
        self.stages = stages
        self.inputs = {"map_pose": make_clip(store, "map", count, 1), "poses": make_poses(store, count)}
        self.frames = make_clip(store, "rgb", count, 0)
        self.latents = encode(stages.encode, {"frames": self.frames}, ctx)
        self.embeddings = embed_texts(stages.embed, {}, ctx)
        self.inputs |= {"latents": self.latents, "embeddings": self.embeddings}
        self.denoised = denoise(stages.denoise, self.inputs, ctx)
        self.clip = decode(stages.decode, {"latents": self.denoised}, ctx)


def tensor(store: Store, digest: str) -> torch.Tensor:
    return stored.take(store, digest, "latents")[0]["latents"]
