"""The stages of `text2video`, which pass digests.

blank ────────────────────┐
embed ────────────────────┼> denoise -> decode -> assemble
[motion -> extract -> maps]┘
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from flows.flow import Made, Source
from flows.render.control_maps import Makers, drawn
from flows.render.finishing import Finishing
from flows.render.measures import Measures
from reel.config import Config
from reel.op import Context, Op, get
from tasks.assemble import Assemble
from tasks.cached import call
from tasks.extract import Extract
from tasks.stylize.blank import Blank
from tasks.stylize.settings.split import Stages


@dataclass(frozen=True)
class Motion:
    """A clip whose maps the controls follow.

    Attributes:
        extract: how its frames are taken at the film's size and rate.
        makers: op and settings of every map maker and pose detector in use, by name.
        maps: the maker of each control's map, by control name.
    """

    source: Source
    extract: Extract
    makers: Makers
    maps: Mapping[str, str]

    @property
    def ops(self) -> list[tuple[Op, Config]]:
        return [(get("extract", "extract"), self.extract), *self.makers.values()]

    def drawn(self, ctx: Context) -> dict[str, str]:
        """Digests of the maps as ``map_<control>``."""
        own = replace(ctx, files={"source": self.source.path})
        frames = call(get("extract", "extract"), self.extract, {"source": self.source.digest}, own).digest
        return drawn(self.makers, self.maps, frames, ctx)[0]


@dataclass(frozen=True)
class TextPlan:
    """A render worked out and checked (`flows.flow.RenderPlan`).

    Attributes:
        size: of the clip.
        stylize: settings of embed, denoise and decode.
        assembly: settings of the last stage; ``embed_facts``: the render's key goes into its metadata.
        finish: what is done to the frames before that.
        motion: whose maps the controls follow; None: nobody's.
    """

    size: Blank
    stylize: Stages
    assembly: Assemble
    embed_facts: bool
    finish: Finishing
    measures: Measures
    motion: Motion | None = None

    @property
    def sources(self) -> Mapping[str, Source]:
        return {} if self.motion is None else {"motion": self.motion.source}

    @property
    def ops(self) -> list[tuple[Op, Config]]:
        before = [] if self.motion is None else self.motion.ops
        return [*before, *self._renderer.values(), *self.finish.ops, (get("assemble", "assemble"), self.assembly)]

    @property
    def _renderer(self) -> dict[str, tuple[Op, Config]]:
        settings: dict[str, Config] = {"blank": self.size}
        settings |= {name: getattr(self.stylize, name) for name in ("embed", "denoise", "decode")}
        return {name: (get("stylize", name), each) for name, each in settings.items()}

    def draw(self, ctx: Context) -> Made:
        """Every stage up to the decoded frames."""
        ops = self._renderer
        maps = {} if self.motion is None else self.motion.drawn(ctx)
        given = {
            "latents": call(*ops["blank"], {}, ctx).digest,
            "embeddings": call(*ops["embed"], {}, ctx).digest,
            **maps,
        }
        denoised = call(*ops["denoise"], given, ctx)
        return Made(call(*ops["decode"], {"latents": denoised.digest}, ctx).digest, maps=maps, key=denoised.key)

    def assemble(self, made: Made, ctx: Context) -> str:
        """The film and what goes with it."""
        return self.finish.film(made, self.assembly, self.embed_facts, ctx)
