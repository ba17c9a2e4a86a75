"""Settings of `animate`; their values stand in conf/animate.yaml."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import field_validator, model_validator

from flows.render import schedules
from flows.render.settings import Rendering
from reel.config import FILES, OPERATIONAL, Colour, Config, Field, LocalPath, Marker, Text
from reel.models.animator import Animator
from reel.schedule.setting import ScheduleText
from reel.units import Factor, FramesPerSecond, Pixels
from tasks.animate.settings import Sampling
from tasks.assemble import Assemble


class KeyPicture(Config):
    """A picture that the film shows at a frame."""

    picture: LocalPath
    at: Annotated[int, Field(ge=0)] | Literal["last"]
    """Number of the frame, counted from 0, or `last`."""
    strength: Factor = Field(default=1.0, gt=0, le=1)
    """How firmly the frame is held to it; 1: as it is."""


class Animate(Rendering):
    """Settings of `animate`."""

    picture: LocalPath | None = None
    """The picture that comes to life: the film's first frame."""
    strength: Factor = Field(default=1.0, gt=0, le=1)
    """How firmly the first frame is held to the picture; 1: as it is."""
    last: LocalPath | None = None
    """A picture that the film ends with."""
    last_strength: Factor = Field(default=1.0, gt=0, le=1)
    """How firmly the last frame is held to its picture."""
    loop: bool = False
    """End with the picture that the film begins with, so that it can be shown over and over."""
    pictures: list[KeyPicture] = []
    """Further pictures: [{picture: b.png, at: 48, strength: 0.8}]."""
    track: ScheduleText = None
    """Pictures on ranges of frames, a Timeframe track: @blink.yaml; see docs/schedules/timeframe.md."""
    extend: LocalPath | None = None
    """A clip to go on from: its last frames are the film's first, in the place of a picture."""
    extend_frames: int = Field(default=9, ge=1)
    """How many of the clip's last frames the film begins with."""
    prompt: Text
    """What is in the picture, and how it and the camera move; LTX wants whole sentences."""
    prompt_schedule: ScheduleText = None
    """Takes the prompt's place where a film is made in sections (model=ltx_long): "0: she waves; 120: she turns"."""
    negative_prompt: Text = ""
    """What it should not show; read where there is guidance."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the noise; another seed is another take."""
    frames: int = Field(ge=1)
    """Length of the film."""
    fps: FramesPerSecond = Field(gt=0)
    """Frames a second that the film is made for, and shown at."""
    snap: Annotated[Literal["error", "nearest"], OPERATIONAL] = "error"
    """Lengths, sides, and frames of pictures that the model does not make: refuse, or take the nearest and say so."""
    width: Pixels | None = Field(default=None, ge=8, le=8192)
    """px; empty, like the height: of the sizes that the model advises the one nearest to the picture's shape."""
    height: Pixels | None = Field(default=None, ge=8, le=8192)
    """px; empty beside a width: it follows the picture's shape."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """How a picture meets a size of another shape: cut the edges, add a background, or distort."""
    background: Colour | None = None
    """Colour of borders (black if empty), and behind transparent pixels, which are refused without one."""
    model: Animator
    animate: Sampling
    assemble: Annotated[Assemble, FILES]
    embed_facts: Annotated[bool, FILES] = True
    """Write render key, prompt, seed and model into the movie's metadata."""

    @field_validator("picture", "last", "extend", mode="before")
    @classmethod
    def _named(cls, path: Any) -> Any:
        if path == "":  # Path("") is the folder one stands in
            raise ValueError("is empty: name a file, or null for none")
        return path

    @model_validator(mode="after")
    def _one_beginning(self) -> Animate:
        if self.loop and self.last is not None:
            raise ValueError("loop ends with the first picture and last with another: leave one of them out")
        if self.picture is not None and self.extend is not None:
            raise ValueError("picture and extend both say what the film begins with: leave one of them out")
        if self.loop and self.picture is None:
            raise ValueError("loop ends with the picture that the film begins with, and there is none: picture=key.png")
        schedules.check(schedules.slots(self))
        return self

    def result_part(self, without: Collection[Marker] = ()) -> dict[str, Any]:
        """Without what has no effect beside other settings."""
        part = super().result_part(without)
        unread = {
            "prompt": self.prompt_schedule is not None,
            "negative_prompt": self.model.limits.prompt == "none",
            "strength": self.picture is None,
            "last_strength": self.last is None,
            "extend_frames": not self.extend,
        }
        return {name: value for name, value in part.items() if not unread.get(name, False)}
