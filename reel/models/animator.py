"""Families that bring still pictures to life: what each takes and gives, as data for checks, help and plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from reel.config import OPERATIONAL, Config, Field, Finite
from reel.models import buckets
from reel.models.family import Advice, Size
from reel.models.source import LoraSource, ModelSource
from reel.models.stock import Argument, Scalar, StockFamily

MANY = 8
"""Sizes of a family that are still listed one by one."""


class FrameRule(Config):
    """Lengths that a family can make: ``step * k + rest`` frames."""

    step: int = Field(default=1, ge=1)
    rest: int = Field(default=0, ge=0)
    least: int = Field(default=1, ge=1)
    most: int = Field(ge=1)
    """Longer ones were not trained."""

    def fits(self, frames: int) -> bool:
        return self.least <= frames <= self.most and (frames - self.rest) % self.step == 0

    def nearest(self, frames: int) -> int:
        """The length that is nearest to the one asked for, the longer of two."""
        low, high = (self.rest + self.step * k for k in self._range())
        return min(max((frames - self.rest + self.step // 2) // self.step * self.step + self.rest, low), high)

    def _range(self) -> tuple[int, int]:
        return -((self.rest - self.least) // self.step), (self.most - self.rest) // self.step

    def __str__(self) -> str:
        if self.least == self.most:
            return str(self.most)
        shape = f"{self.step}k+{self.rest}" if self.step > 1 else "any number"
        return f"{shape}, {self.least} to {self.most}"


class Limits(Config):
    """What a family takes and gives. It refuses what does not fit, and changes no byte of what does."""

    frames: FrameRule
    least_side: int = Field(default=64, ge=1)
    """px."""
    most_pixels: int = Field(ge=1)
    """Pixels of a frame."""
    sizes: list[Size] = Field(default_factory=list)
    """The only sizes that it makes; none: any within the other limits."""
    bucket: int | None = Field(default=None, ge=1)
    """px of the square whose pixels its sizes have; it takes one by the picture's shape (`reel.models.buckets`)."""
    least_fps: Finite = Field(default=1, gt=0)
    most_fps: Finite = Field(default=60, gt=0)
    """The same as ``least_fps``: its pipeline is told no rate, and its motion is right at this one."""
    whole_fps: bool = False
    """Whether it reads the rate as a whole number."""
    pictures: Literal["first", "first_last", "any", "beside"] = "any"
    """Frames that can be given: the first, the first and the last, or any; `beside`: of the character, no frames."""
    least_pictures: int = Field(default=1, ge=1)
    most_pictures: int = Field(default=1, ge=1)
    grid: int = Field(default=1, ge=1)
    """Pictures stand at multiples of this number of frames alone."""
    late: int = Field(default=0, ge=0)
    """Frames by which a picture behind the first stands later than asked: its pipeline has no nearer place."""
    maps: list[str] = Field(default_factory=list)
    """Kinds of maps (openpose, depth, ...) that it was trained to be driven by; none: it brings pictures to life."""
    clips: bool = False
    """Whether a clip can be given to go on from."""
    sound: bool = False
    prompt: Literal["needed", "optional", "none"] = "needed"
    two_pass: bool = False
    """Whether it has a second, larger pass."""

    def only(self) -> list[Size]:
        """The only sizes that it makes; empty: any within the other limits."""
        if self.bucket is None:
            return self.sizes
        return [Size(width=width, height=height) for width, height in buckets.sizes(self.bucket)]

    def rates(self) -> str:
        """The frame rates that it makes, in words."""
        low, high = f"{self.least_fps:g}", f"{self.most_fps:g}"
        return low if low == high else f"{low} to {high}" + (" (whole numbers)" if self.whole_fps else "")


class AnimatorAdvice(Advice):
    """What a family's authors recommend."""

    frames: int = Field(default=97, ge=1)
    fps: Finite = Field(default=24, gt=0)
    guidance_rescale: Finite = Field(default=0.0, ge=0, le=1)
    timesteps: list[Finite] | None = None
    """Of a distilled model, 1000 to 0; in the place of a number of steps."""
    picture_noise: Finite = Field(default=0.0, ge=0, le=1)
    decode_timestep: Finite = Field(default=0.0, ge=0, le=1)
    decode_noise_scale: Finite | None = Field(default=None, ge=0, le=1)
    refine_timesteps: list[Finite] | None = None
    refine_steps: int = Field(default=10, ge=1)
    refine_strength: Finite = Field(default=0.4, gt=0, le=1)
    refine_guidance_scale: Finite | None = Field(default=None, ge=0, le=50)
    refine_loras: list[LoraSource] = Field(default_factory=list)
    """Of its second pass: for weights that are not distilled, what makes them so."""
    adain: Finite = Field(default=0.0, ge=0, le=1)
    tone_map: Finite = Field(default=0.0, ge=0, le=1)
    extra_frames: int = Field(default=8, ge=0, le=64)
    """Made behind the end and cut off, for families that flash there."""
    decode_framewise: bool = False
    """Whether its VAE is meant to decode a few frames at a time."""
    words: int = Field(default=0, ge=0)
    """A prompt of fewer words than this is shorter than those that the family was trained with."""


class Animator(StockFamily):
    """A family of one of the pipelines that tasks/animate/animators/ names, by ``architecture``."""

    kind: ClassVar[str] = "animator"
    recipes: ClassVar[str] = "animate/animators"

    base: ModelSource
    """A folder as diffusers saves a pipeline: transformer/, vae/, text_encoder/, tokenizer/, scheduler/, ..."""
    generation: Annotated[str, OPERATIONAL] = ""
    """What LoRAs for it say they are made for (`ltxv 0.9.7 13b`); those of other generations do not fit."""
    refine_call: dict[str, Argument] = Field(default_factory=dict)
    """Arguments of the call that are others in a second pass: {stg_scale: 0.0}."""
    refine_scheduler_config: dict[str, Scalar] = Field(default_factory=dict)
    """Scheduler settings that are others in a second pass, whose time steps may be meant as they are."""
    limits: Annotated[Limits, OPERATIONAL]
    advice: AnimatorAdvice = Field(default_factory=AnimatorAdvice, exclude=True)

    @property
    def refines(self) -> bool:
        """Whether it has a second, larger pass, and what enlarges the first."""
        return self.limits.two_pass and "latent_upsampler" in self.parts

    def facts(self) -> dict[str, str]:
        limits = self.limits
        where = {
            "first": "the first frame",
            "first_last": "the first and the last frame",
            "any": "any frame",
            "beside": "of the character",
        }
        given = where[limits.pictures]
        if limits.pictures in ("any", "beside"):
            given += f", {limits.most_pictures} at most" if limits.most_pictures > 1 else ""
        elif limits.least_pictures > 1:
            given += ", both"
        sizes = [f"{one.width}x{one.height}" for one in limits.only()]
        places = f"; at multiples of {limits.grid}" if limits.grid > 1 else ""
        places += f", {limits.late} frame late" if limits.late else ""
        return {
            "frames": str(limits.frames),
            "frames a second": limits.rates(),
            **({"sizes": _few(sizes)} if sizes else {}),
            "pictures": given + places,
            **({"maps": ", ".join(limits.maps)} if limits.maps else {}),
            **({"two passes": f"animate.two_pass=true; sides {2 * self.multiple_of}k"} if self.refines else {}),
            "sound": "yes" if limits.sound else "no",
            "prompt": limits.prompt,
            **super().facts(),
        }


def _few(sizes: Sequence[str]) -> str:
    """Sizes in words; of many the first and the last."""
    return ", ".join(sizes) if len(sizes) <= MANY else f"{len(sizes)}, from {sizes[0]} to {sizes[-1]}"
