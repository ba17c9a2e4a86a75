"""What flows have in common that draw a film by AnimateDiff from pictures at some frames: `loop`, `timeframe`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from flows.flow import Made, Source
from flows.render import key_pictures
from flows.render.finishing import Finishing
from flows.render.key_pictures import KeyPicture, Stills
from flows.render.measures import Measures
from flows.render.settings import Rendering
from reel.config import FILES, Colour, Field, Finite, Text
from reel.models.animatediff import AnimateDiff
from reel.models.painter import Painter
from reel.op import Context
from tasks.animate.shown import ShownKeys
from tasks.assemble import Assemble
from tasks.keyframe.settings import Drawing
from tasks.stylize.blank import Blank
from tasks.stylize.settings.sampling import Sampling
from tasks.stylize.settings.split import Stages

SPARSE = "pictures"
"""Name of the one SparseCtrl in use."""


class Keyed(Rendering):
    """Settings of the pictures, of the film's size, and of what draws it."""

    negative_prompt: Text = ""
    """What it should not show."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the noise, of drawn pictures too; another seed is another take."""
    fps: Finite = Field(gt=0, le=240)
    """Frames a second; AnimateDiff's motion modules were trained at 8."""
    width: int | None = Field(default=None, ge=8, le=8192)
    """px; empty, like the height: of the sizes that the model advises the one nearest to the pictures' shape."""
    height: int | None = Field(default=None, ge=8, le=8192)
    """px."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """How pictures meet a size of another shape: cut the edges, add a background, or distort."""
    background: Colour | None = None
    """Colour of borders (black if empty), and behind transparent pixels, which are refused without one."""
    keyframe: Painter
    draw: Drawing
    model: AnimateDiff
    stylize: Sampling
    assemble: Annotated[Assemble, FILES]
    embed_facts: Annotated[bool, FILES] = True
    """Write render key, prompt, seed and model into the movie's metadata."""


@dataclass(frozen=True)
class KeyedPlan:
    """The part of a plan (`flows.flow.RenderPlan`) about the pictures and the film's first and last stage.

    Attributes:
        pictures: the distinct ones, with ``labels`` for people.
        shown: settings of the clip that shows them beside the film.
        size: of the film.
        stylize: settings of encode, embed, denoise and decode.
        assembly: settings of the last stage; ``embed_facts``: the render's key goes into its metadata.
        finish: what is done to the frames before that.
    """

    pictures: Sequence[KeyPicture]
    labels: Sequence[str]
    shown: ShownKeys
    size: Blank
    stylize: Stages
    assembly: Assemble
    embed_facts: bool
    finish: Finishing
    measures: Measures

    @property
    def sources(self) -> Mapping[str, Source]:
        """The pictures that are files."""
        return {f"pictures.{place}": source for place, source in key_pictures.sources_of(self.pictures).items()}

    @property
    def stills(self) -> Stills:
        """The pictures alone, to be looked at first."""
        return Stills(self.pictures, self.labels)

    def assemble(self, made: Made, ctx: Context) -> str:
        """The film and what goes with it."""
        return self.finish.film(made, self.assembly, self.embed_facts, ctx)
