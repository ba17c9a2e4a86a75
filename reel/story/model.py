"""A storyboard: the shots of a film in words, with who is in them and what they are made of.

What is here is the file as people and writers fill it in. What of it can be made with a model, at which length, is held
against the model's limits by the flow that makes the film.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, field_validator, model_validator

from reel.config import Config, Field, Finite, LocalPath, Text

MOST_SHOTS = 240
"""Of a film: twenty minutes of shots of five seconds. Longer ones are several films."""
MOST_CHARACTERS = 12
LONGEST_NAME = 60
"""Letters of a character's name."""

Camera = Literal[
    "static", "push_in", "pull_out", "pan_left", "pan_right", "tilt_up", "tilt_down", "orbit_left", "orbit_right",
    "crane_up", "crane_down", "track", "handheld",
]  # fmt: skip
"""What the camera does in a shot: one move."""
MOVES_OF_CAMERA: tuple[Camera, ...] = get_args(Camera)


def _words(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty: say it in words, or leave the key out")
    return text


Words = Annotated[Text, AfterValidator(_words)]
"""A text that says something."""


class Character(Config):
    """Somebody, or something, that looks the same in every shot."""

    name: Words = Field(max_length=LONGEST_NAME)
    """By which prompts call them: a word of its own, upper and lower case as it is here."""
    words: Words
    """What they look like; every prompt that names them has these very words in the name's place."""
    pictures: list[LocalPath] = Field(default=[], max_length=8)
    """Reference pictures, for key picture models that take some."""


class Transition(Config):
    """How the film comes to a shot from the one before it."""

    kind: Literal["cut", "fade", "crossfade"] = "cut"
    """cut; fade: through black; crossfade: the two shots lie over each other."""
    seconds: Finite | None = Field(default=None, gt=0, le=30)
    """Its length; empty: half a second."""
    frames: int | None = Field(default=None, ge=1, le=1800)
    """Its length in frames of the film, instead."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, data: Any) -> Any:
        return {"kind": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _one_length(self) -> Transition:
        if self.seconds is not None and self.frames is not None:
            raise ValueError("seconds and frames both say how long it is: leave one of them out")
        if self.kind == "cut" and (self.seconds is not None or self.frames is not None):
            raise ValueError("a cut has no length: leave it out, or take fade or crossfade")
        return self


Setting = bool | int | float | str | list[int] | list[float] | None


class Shot(Config):
    """A few seconds of film: one picture that comes to life by one action and one camera move."""

    name: str | None = Field(default=None, pattern=r"^[A-Za-z][\w-]{0,39}$")
    """By which people call it, and the edit lists."""
    prompt: Text = ""
    """What is in the shot's picture."""
    picture: LocalPath | None = None
    """Your own picture, which none is drawn for. A path that is not absolute begins where the file lies."""
    motion: Text = ""
    """What happens: one action."""
    camera: Camera | None = None
    """What the camera does; empty: it is not said."""
    seconds: Finite | None = Field(default=None, gt=0, le=120)
    """Its length; the animator's nearest is taken, and said."""
    frames: int | None = Field(default=None, ge=1, le=10_000)
    """Its length in frames of the animator, instead: exactly these."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """Of picture and motion; empty: the storyboard's."""
    last_prompt: Text = ""
    """What is in a picture that the shot ends with; empty: it ends as it comes."""
    last: LocalPath | None = None
    """Your own picture that the shot ends with."""
    model: str | None = Field(default=None, pattern=r"^\w[\w-]*$")
    """Its animator, a family of conf/model/; empty: the film's."""
    animate: dict[str, Setting] = {}
    """Settings of its animator that differ from the film's: {guidance_scale: 4}."""
    transition: Transition = Transition()
    """How the film comes to it from the shot before; the first shot: cut, or fade from black."""
    caption: Words | None = None
    """A text under the picture, while the shot lasts."""
    speed: Finite = Field(default=1.0, ge=0.1, le=10)
    """How fast the film shows it, its own sound with it, at the same pitch."""
    film_seconds: Finite | None = Field(default=None, gt=0, le=3600)
    """Its length in the film instead: it is shown as fast as that takes."""
    sound: LocalPath | None = None
    """A sound file that begins with the shot."""
    gain: Finite = Field(default=0.0, ge=-60, le=24)
    """dB by which its sound is raised."""
    speech: Words | None = None
    """What is spoken. Kept in the file and told; no voice speaks it, so record it and name it as `sound`."""

    @field_validator("picture", "last", "sound", mode="before")
    @classmethod
    def _named(cls, path: Any) -> Any:
        if path == "":
            raise ValueError("is empty: name a file, or leave the key out")
        return path

    @model_validator(mode="after")
    def _complete(self) -> Shot:
        if not self.prompt.strip() and self.picture is None:
            raise ValueError("a shot needs words: give prompt (what is in its picture), or a picture of your own")
        if not self.motion.strip() and not self.prompt.strip():
            raise ValueError("a picture alone does not say how it moves: give motion")
        if self.seconds is not None and self.frames is not None:
            raise ValueError("seconds and frames both say how long it is: leave one of them out")
        if self.film_seconds is not None and self.speed != 1:
            raise ValueError("speed and film_seconds both say how fast it is shown: leave one of them out")
        if self.last is not None and self.last_prompt.strip():
            raise ValueError("last and last_prompt both say how it ends: leave one of them out")
        return self


class Storyboard(Config):
    """A film in words."""

    title: Words = Field(default="untitled", max_length=200)
    style: Text = ""
    """How every picture looks; its words stand in every picture's prompt."""
    characters: list[Character] = Field(default=[], max_length=MOST_CHARACTERS)
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of every shot that has none of its own."""
    shots: list[Shot]

    @model_validator(mode="before")
    @classmethod
    def _count(cls, data: Any) -> Any:
        """Before each of them is looked at: a thousand errors would hide what is wrong."""
        shots = data.get("shots") if isinstance(data, Mapping) else None
        if isinstance(shots, list) and not 1 <= len(shots) <= MOST_SHOTS:
            found = "no shot" if not shots else f"{len(shots)} shots"
            raise ValueError(f"shots: a film has 1 to {MOST_SHOTS} shots, there is {found}"
                             if not shots else f"shots: a film has 1 to {MOST_SHOTS} shots, there are {found}: "
                             "make several films of them")  # fmt: skip
        return data

    @model_validator(mode="after")
    def _names_differ(self) -> Storyboard:
        for what, names in (
            ("characters", [one.name for one in self.characters]),
            ("shots", [one.name for one in self.shots if one.name is not None]),
        ):
            twice = [name for number, name in enumerate(names) if name in names[:number]]
            if twice:
                raise ValueError(f"{what}: two of them are called {twice[0]}")
        return self


def mentions(name: str, text: str) -> re.Match[str] | None:
    """The first place where a text names a character: a word of its own, upper and lower case as in the name."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
