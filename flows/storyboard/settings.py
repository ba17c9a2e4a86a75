"""Settings of `storyboard`; their values stand in conf/storyboard.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import model_validator

from flows.render.settings import Rendering
from reel.config import FILES, OPERATIONAL, Colour, Config, Field, Finite, LocalPath, Text, also
from reel.models.animator import Animator
from reel.models.painter import Painter
from reel.story.model import MOST_SHOTS, Camera, Transition
from reel.units import MOST_FRAMES
from tasks.animate.settings import Sampling
from tasks.film.settings import Film
from tasks.keyframe.settings import DrawingOfCharacters


class ShotChange(Config):
    """What of a shot is otherwise than its file has it (docs/storyboard.md); null: nothing."""

    prompt: Text | None = None
    """What is in the shot's picture."""
    picture: LocalPath | None = None
    """Your own picture, which none is drawn for."""
    motion: Text | None = None
    """What happens: one action."""
    camera: Camera | None = None
    """What the camera does."""
    seconds: Finite | None = Field(default=None, gt=0, le=120)
    """Its length; the animator's nearest is taken, and said."""
    frames: int | None = Field(default=None, ge=1, le=MOST_FRAMES)
    """Its length in frames of the animator, instead."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """Of picture and motion."""
    last_prompt: Text | None = None
    """What is in a picture that the shot ends with."""
    last: LocalPath | None = None
    """Your own picture that the shot ends with."""
    model: str | None = None
    """Its animator."""
    transition: Transition | None = None
    """How the film comes to it from the shot before."""
    caption: Text | None = None
    """A text under the picture."""
    speed: Finite | None = Field(default=None, ge=0.1, le=10)
    """How fast the film shows it."""
    film_seconds: Finite | None = Field(default=None, gt=0, le=3600)
    """Its length in the film, instead of a speed."""
    sound: LocalPath | None = None
    """A sound file that begins with the shot."""
    gain: Finite | None = Field(default=None, ge=-60, le=24)
    """dB by which its sound is raised."""

    def changed(self) -> dict[str, Any]:
        """What was given, as data of a `reel.story.model.Shot`; a length or a speed takes the other kind's place."""
        found: dict[str, Any] = self.model_dump(exclude_none=True)
        other: dict[str, dict[str, Any]] = {
            "seconds": {"frames": None},
            "frames": {"seconds": None},
            "speed": {"film_seconds": None},
            "film_seconds": {"speed": 1.0},
        }
        return {key: value for name in found for key, value in other.get(name, {}).items()} | found


class Story(Rendering):
    """Settings of `storyboard`."""

    story: Text = ""
    """What happens, in your own words; a writer makes a storyboard of it."""
    file: Annotated[LocalPath | None, also("shots")] = None
    """A storyboard file instead of a story: shots=story.yaml; docs/storyboard.md."""
    shots: dict[str, ShotChange] = {}
    """Changes of the storyboard's shots, by number from 1, or by name: shots.3.seed=2."""
    count: int = Field(default=4, ge=1, le=MOST_SHOTS)
    """How many shots a writer makes of a story."""
    style: Text = ""
    """How all pictures look; empty: as the storyboard, or its writer, says."""
    write: dict[str, dict[str, Any] | None]
    """The writer, by name, with its settings: write=template, write=openai_compatible."""
    approve: Annotated[Literal["ask", "yes"], OPERATIONAL] = "ask"
    """Whether the key pictures are shown first: nothing is animated before you say yes. Sweeps never ask."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """Of all shots that have none of their own; empty: the storyboard's."""
    seconds: Finite | None = Field(default=None, gt=0, le=120)
    """Length of shots that say none; empty: `frames`."""
    frames: int = Field(ge=1)
    """Length of shots that say none, where `seconds` is empty."""
    fps: Finite = Field(gt=0)
    """Frames a second that clips are made for."""
    width: int | None = Field(default=None, ge=8, le=8192)
    """px of key pictures and clips; empty, like the height: the first size that the animator's authors advise."""
    height: int | None = Field(default=None, ge=8, le=8192)
    """px."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """How a picture of your own meets a size of another shape: cut the edges, add a background, or distort."""
    background: Colour | None = None
    """Colour of borders (black if empty), and behind transparent pixels, which are refused without one."""
    negative_prompt: Text = ""
    """What clips should not show; read where the animator is guided."""
    keyframe: Painter
    draw: DrawingOfCharacters
    model: Animator
    animate: Sampling
    film: Annotated[Film, FILES]

    @model_validator(mode="before")
    @classmethod
    def _named_file(cls, data: Any) -> Any:
        """``shots: story.yaml`` in a file of settings, as on the command line."""
        if isinstance(data, Mapping) and isinstance(data.get("shots"), str):
            return {**data, "file": data["shots"], "shots": {}}
        if isinstance(data, Mapping) and isinstance(data.get("shots"), Mapping):
            return {**data, "shots": {str(name): one for name, one in data["shots"].items()}}
        return data

    @model_validator(mode="after")
    def _one_beginning(self) -> Story:
        if len(self.write) != 1:
            raise ValueError(f"write: one writer is needed, there are {len(self.write)}: write=template")
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height: give both, or neither")
        if self.animate.two_pass:
            raise ValueError("animate.two_pass: shots of a storyboard are made in one pass: animate.two_pass=false")
        return self
