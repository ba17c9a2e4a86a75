"""Settings of `loop`; their values stand in conf/loop.yaml."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import field_validator, model_validator

from flows.render import infotexts, schedules
from flows.render.keyed import Keyed
from flows.text2video.settings import OF_A_SOURCE
from reel.config import OPERATIONAL, Config, Field, LocalPath, Marker, Text
from reel.schedule.setting import ScheduleText
from reel.units import MOST_FRAMES, Factor
from tasks.stylize.settings.embed import check_text


class LoopPicture(Config):
    """A picture that the loop comes to."""

    picture: LocalPath
    at: int | None = Field(default=None, ge=0)
    """Number of its frame, counted from 0; empty for all: evenly spread, the first at frame 0."""
    strength: Factor | None = Field(default=None, gt=0, le=2)
    """How firmly the loop is held to it; empty: `strength`."""


class Loop(Keyed):
    """Settings of `loop`."""

    pictures: list[LoopPicture] = []
    """Given pictures: [a.png, b.png], or [{picture: a.png, at: 0, strength: 0.8}]."""
    stills: list[Text] = []
    """Or the words of pictures that are drawn, each after `prompt`, from one noise: [eyes open, eyes closed]."""
    strength: Factor = Field(default=1.0, gt=0, le=2)
    """How firmly the loop is held to pictures that say nothing of their own; 1 is as the SparseCtrl was trained."""
    kind: str = "rgb"
    """Which of the family's SparseCtrls reads the pictures: rgb, or scribble, which takes white lines on black."""
    preprocess: dict[str, dict[str, Any] | None] = {}
    """For kind=scribble: what draws the lines of pictures that are none: preprocess=[lineart_standard]."""
    match_colour: Factor = Field(default=0.0, ge=0, le=1)
    """A guard against flashes and dark frames: every frame's colours brought to those of the pictures. 0: off, 1: all
    the way."""
    approve: Annotated[Literal["ask", "yes"], OPERATIONAL] = "ask"
    """Whether drawn pictures are shown first: nothing moves before you say yes. Sweeps never ask."""
    prompt: Text
    """What the loop shows; empty where the pictures say it all."""
    prompt_schedule: ScheduleText = None
    """Takes the prompt's place: `loop: true; 0: eyes open; 50%: eyes closed`, @file, keys in YAML; docs/schedules/."""
    frames: int = Field(ge=1, le=MOST_FRAMES)
    """Length of one round."""

    @model_validator(mode="before")
    @classmethod
    def _pasted(cls, data: Any) -> Any:
        return infotexts.taken_apart(data)

    @field_validator("pictures", mode="before")
    @classmethod
    def _paths(cls, given: Any) -> Any:
        """A path alone stands for a picture with nothing else said of it; one that is empty for none."""
        if not isinstance(given, list):
            return given
        named = [one if isinstance(one, Mapping | LoopPicture) else {"picture": one} for one in given]
        for index, one in enumerate(named):
            if isinstance(one, Mapping) and one.get("picture") == "":  # Path("") is the folder one stands in
                raise ValueError(f"{index}: is empty: name a file")
        return named

    @model_validator(mode="after")
    def _consistent(self) -> Loop:
        if bool(self.pictures) == bool(self.stills):
            given = "there are none" if not self.pictures else "both are given"
            raise ValueError(
                f"pictures, stills: a loop comes to pictures that are given or drawn, and {given}: "
                "pictures=[a.png,b.png], or stills=[eyes open,eyes closed]"
            )
        if self.stills and not self.keyframe.draws:
            raise ValueError(f"stills: keyframe={self.keyframe.name} draws none: keyframe=sprite, sd15, ...")
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height: give both, or neither")
        if self.preprocess and self.kind == "rgb":
            raise ValueError("preprocess: kind=rgb reads the pictures themselves: kind=scribble, or preprocess=[]")
        if len(self.preprocess) > 1:
            raise ValueError(f"preprocess: one of them draws the lines, got {', '.join(self.preprocess)}")
        if not self.stylize.windows.closed_loop:
            raise ValueError(
                "stylize.windows.closed_loop: false would leave a seam between the last frame and the first; use "
                "true, or text2video for a clip that does not go round"
            )
        _check_places(self.pictures, len(self.stills), self.frames)
        embeddings = self.stylize.embeddings
        if self.prompt_schedule is None:
            check_text(self.prompt, "prompt", embeddings)
        for index, words in enumerate(self.stills):
            check_text(words, f"stills.{index}", embeddings)
        if self.stylize.guidance_scale > 1:
            check_text(self.negative_prompt, "negative_prompt", embeddings)
        schedules.check(schedules.slots(self, embeddings))
        return self

    @property
    def at(self) -> list[int]:
        """The frame of each picture, as given or evenly spread."""
        own = [one.at for one in self.pictures if one.at is not None]
        count = len(self.pictures) or len(self.stills)
        return own or [index * self.frames // count for index in range(count)]

    def result_part(self, without: Collection[Marker] = ()) -> dict[str, Any]:
        """Without what has no effect: drawing where pictures are given, a prompt under a schedule, ControlNets."""
        part = super().result_part(without)
        part["stylize"] = {name: value for name, value in part["stylize"].items() if name not in UNREAD}
        part["model"] = self.model.only((), {self.kind}).result_part(without)
        unread = {
            "keyframe": not self.stills,
            "draw": not self.stills,
            "fit": not self.pictures,
            "background": not self.pictures,
            "prompt": self.prompt_schedule is not None and not self.stills,
        }
        return {name: value for name, value in part.items() if not unread.get(name, False)}


UNREAD = ("control_every", *(name for name in OF_A_SOURCE if not name.startswith("encode_")))
"""Settings under `stylize` without effect here; pictures are encoded for a SparseCtrl that reads latents."""


def _check_places(pictures: list[LoopPicture], drawn: int, frames: int) -> None:
    """Whether every picture has a frame of its own.

    Raises:
        ValueError: it does not.
    """
    own = [one.at for one in pictures if one.at is not None]
    count = len(pictures) or drawn
    if count > frames:
        raise ValueError(f"pictures: {count} pictures in {frames} frames: each needs a frame of its own")
    if own and len(own) < len(pictures):
        raise ValueError("pictures: `at` for all of them, or for none, which spreads them evenly")
    if any(b <= a for a, b in itertools.pairwise(own)):
        raise ValueError(f"pictures: `at` must ascend, got {own}")
    if own and own[-1] >= frames:
        raise ValueError(f"pictures: frame {own[-1]} lies past the end of {frames} frames, which count from 0")
