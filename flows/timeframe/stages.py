"""The stages of `timeframe`, which pass digests.

pictures -> extract | words -> keyframe.draw ─┬─> keyframe.sheet -> tile -> stylize.ordered, twice (at a transition) ─┐
                                              └─> keyframe.sheet ────────> [encode] ──────────────────────────────────┤
                                     blank, words -> embed ───────────────────────────────────────────────────────────┴>
denoise -> decode -> assemble
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows.flow import Made
from flows.render import key_pictures
from flows.render.keyed import SPARSE, KeyedPlan
from reel.config import Config
from reel.op import Context, Op, get
from tasks.cached import call
from tasks.keyframe.sheet import Sheet
from tasks.preprocess.tile import Tile
from tasks.stylize.ordered import Ordered


@dataclass(frozen=True)
class ByControlNet:
    """Settings of the maps of a ControlNet: made of the pictures once, and laid on the frames for each control."""

    map: Tile
    ordered: Mapping[str, Ordered]


@dataclass(frozen=True)
class BySparseCtrl:
    """Which picture each place of the SparseCtrl shows; ``latents``: whether it reads the VAE's latents of them."""

    which: Sequence[int]
    latents: bool


@dataclass(frozen=True)
class TimeframePlan(KeyedPlan):
    """A render worked out and checked (`flows.flow.RenderPlan`).

    Attributes:
        begins: for each range the number of its picture; ``shown`` says from which frame on.
    """

    begins: Sequence[int]
    tile: ByControlNet | None
    sparse: BySparseCtrl | None

    @property
    def ops(self) -> list[tuple[Op, Config]]:
        stylize = self.stylize
        stages: list[tuple[str, Config | None]] = [
            ("blank", self.size),
            ("encode", stylize.encode if self.sparse is not None and self.sparse.latents else None),
            *(("ordered", each) for each in (self.tile.ordered.values() if self.tile else ())),
            ("embed", stylize.embed),
            ("denoise", stylize.denoise),
            ("decode", stylize.decode),
        ]
        return [
            *(pair for one in self.pictures for pair in key_pictures.ops_of(one)),
            (get("keyframe", "sheet"), Sheet(labels=list(self.labels))),
            *([(get("preprocess", "tile"), self.tile.map)] if self.tile else []),
            *((get("stylize", name), cfg) for name, cfg in stages if cfg is not None),
            (get("animate", "shown"), self.shown),
            *self.finish.ops,
            (get("assemble", "assemble"), self.assembly),
        ]

    def draw(self, ctx: Context) -> Made:
        """Every stage up to the decoded frames."""
        single = [key_pictures.made(one, ctx) for one in self.pictures]
        given = {
            "latents": call(get("stylize", "blank"), self.size, {}, ctx).digest,
            "embeddings": call(get("stylize", "embed"), self.stylize.embed, {}, ctx).digest,
            **self._maps(single, ctx),
            **self._sparse(single, ctx),
        }
        if self.stylize.denoise.picture_prompts is not None:
            given["ip_pictures"] = key_pictures.as_clip(single, ctx)
        denoised = call(get("stylize", "denoise"), self.stylize.denoise, given, ctx)
        frames = call(get("stylize", "decode"), self.stylize.decode, {"latents": denoised.digest}, ctx).digest
        shown = {f"frames_{index}": single[number] for index, number in enumerate(self.begins)}
        beside = call(get("animate", "shown"), self.shown, shown, ctx).digest
        return Made(frames, maps={"map_pictures": beside}, key=denoised.key)

    def _maps(self, single: Sequence[str], ctx: Context) -> dict[str, str]:
        """The maps of the controls, by the denoising's inputs."""
        if self.tile is None:
            return {}
        sheet = key_pictures.as_clip(single, ctx)
        drawn = call(get("preprocess", "tile"), self.tile.map, {"frames": sheet}, ctx).digest
        return {
            f"map_{name}": call(get("stylize", "ordered"), each, {"frames": drawn}, ctx).digest
            for name, each in self.tile.ordered.items()
        }

    def _sparse(self, single: Sequence[str], ctx: Context) -> dict[str, str]:
        """The pictures of the SparseCtrl, by the denoising's input."""
        if self.sparse is None:
            return {}
        told = key_pictures.as_clip([single[number] for number in self.sparse.which], ctx)
        if self.sparse.latents:
            told = call(get("stylize", "encode"), self.stylize.encode, {"frames": told}, ctx).digest
        return {f"sparse_{SPARSE}": told}
