"""The stages of `text2video`, which pass digests.

blank ─┐
embed ─┴> denoise -> decode -> assemble
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flows.flow import Made, Source
from flows.render.finishing import Finishing
from flows.render.measures import Measures
from reel.config import Config
from reel.op import Context, Op, get
from tasks.assemble import Assemble
from tasks.cached import call
from tasks.stylize.blank import Blank
from tasks.stylize.settings.split import Stages


@dataclass(frozen=True)
class TextPlan:
    """A render worked out and checked (`flows.flow.RenderPlan`).

    Attributes:
        size: of the clip.
        stylize: settings of embed, denoise and decode.
        assembly: settings of the last stage; ``embed_facts``: the render's key goes into its metadata.
        finish: what is done to the frames before that.
    """

    size: Blank
    stylize: Stages
    assembly: Assemble
    embed_facts: bool
    finish: Finishing
    measures: Measures

    @property
    def sources(self) -> Mapping[str, Source]:
        return {}

    @property
    def ops(self) -> list[tuple[Op, Config]]:
        return [*self._renderer.values(), *self.finish.ops, (get("assemble", "assemble"), self.assembly)]

    @property
    def _renderer(self) -> dict[str, tuple[Op, Config]]:
        settings: dict[str, Config] = {"blank": self.size}
        settings |= {name: getattr(self.stylize, name) for name in ("embed", "denoise", "decode")}
        return {name: (get("stylize", name), each) for name, each in settings.items()}

    def draw(self, ctx: Context) -> Made:
        """Every stage up to the decoded frames."""
        ops = self._renderer
        given = {
            "latents": call(*ops["blank"], {}, ctx).digest,
            "embeddings": call(*ops["embed"], {}, ctx).digest,
        }
        denoised = call(*ops["denoise"], given, ctx)
        return Made(call(*ops["decode"], {"latents": denoised.digest}, ctx).digest, key=denoised.key)

    def assemble(self, made: Made, ctx: Context) -> str:
        """The film and what goes with it."""
        key = {"render": made.key} if self.embed_facts else {}
        settings = self.assembly.model_copy(update={"metadata": {**key, **self.assembly.metadata}})
        given = {"frames": made.frames, **self.finish.inputs(made.frames, ctx)}
        return call(get("assemble", "assemble"), settings, given, ctx).digest
