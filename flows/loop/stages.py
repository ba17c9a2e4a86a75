"""The stages of `loop`, which pass digests.

pictures -> extract | words -> keyframe.draw ─> keyframe.sheet ┬─> [lines] -> [encode] ─┐
                                     blank ────────────────────┼────────────────────────┤
                                     words -> embed ───────────┼────────────────────────┴> denoise -> decode ─┐
                                                               └──────────────────> [match_colour] <──────────┴─> assemble
"""  # noqa: E501

from __future__ import annotations

from dataclasses import dataclass

from flows.flow import Made
from flows.render import key_pictures
from flows.render.keyed import SPARSE, KeyedPlan
from reel.config import Config
from reel.op import Context, Op, get
from tasks.cached import call
from tasks.keyframe.sheet import Sheet
from tasks.stylize.match_colour import MatchColour


@dataclass(frozen=True)
class LoopPlan(KeyedPlan):
    """A render worked out and checked (`flows.flow.RenderPlan`).

    Attributes:
        lines: the op that draws their lines; None: they are read as they are.
        latents: whether the SparseCtrl reads the VAE's latents of them.
        match: of the guard against flashes; None: it is off.
    """

    lines: tuple[Op, Config] | None
    latents: bool
    match: MatchColour | None

    @property
    def ops(self) -> list[tuple[Op, Config]]:
        stylize = self.stylize
        stages: list[tuple[str, Config | None]] = [
            ("blank", self.size),
            ("encode", stylize.encode if self.latents else None),
            ("embed", stylize.embed),
            ("denoise", stylize.denoise),
            ("decode", stylize.decode),
            ("match_colour", self.match),
        ]
        return [
            *(pair for one in self.pictures for pair in key_pictures.ops_of(one)),
            (get("keyframe", "sheet"), Sheet(labels=list(self.labels))),
            *([self.lines] if self.lines else []),
            *((get("stylize", name), cfg) for name, cfg in stages if cfg is not None),
            (get("animate", "shown"), self.shown),
            *self.finish.ops,
            (get("assemble", "assemble"), self.assembly),
        ]

    def draw(self, ctx: Context) -> Made:
        """Every stage up to the decoded frames."""
        single = [key_pictures.made(one, ctx) for one in self.pictures]
        given = key_pictures.as_clip(single, ctx)
        denoised = call(get("stylize", "denoise"), self.stylize.denoise, self._inputs(given, ctx), ctx)
        frames = call(get("stylize", "decode"), self.stylize.decode, {"latents": denoised.digest}, ctx).digest
        shown = {f"frames_{index}": digest for index, digest in enumerate(single)}
        maps = {"map_pictures": call(get("animate", "shown"), self.shown, shown, ctx).digest}
        if self.match is not None:
            maps["map_unmatched"] = frames
            both = {"frames": frames, "pictures": given}
            frames = call(get("stylize", "match_colour"), self.match, both, ctx).digest
        return Made(frames, maps=maps, key=denoised.key)

    def _inputs(self, given: str, ctx: Context) -> dict[str, str]:
        """What the denoising is given beside its settings.

        Args:
            given: digest of the clip of the pictures.
        """
        told = given if self.lines is None else call(*self.lines, {"frames": given}, ctx).digest
        if self.latents:
            told = call(get("stylize", "encode"), self.stylize.encode, {"frames": told}, ctx).digest
        return {
            "latents": call(get("stylize", "blank"), self.size, {}, ctx).digest,
            "embeddings": call(get("stylize", "embed"), self.stylize.embed, {}, ctx).digest,
            f"sparse_{SPARSE}": told,
        }
