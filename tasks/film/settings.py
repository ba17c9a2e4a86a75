"""Settings of a film: its shots and how they follow one another, its shape, words, music and loudness."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from reel.config import Colour, Config, Field, Finite, LocalPath, Text
from tasks.media import timeline
from tasks.media.encode import FORMATS

RATE = 48_000
"""Samples a second of every film's sound."""
CHANNELS = 2


def _rate(value: Any) -> Any:
    if value == "shots":
        return value
    fps = timeline.rate(value)
    if not 1 <= fps <= 120:
        raise ValueError("must be from 1 to 120 frames per second, or shots")
    return str(fps)


class Transition(Config):
    """How a shot follows the one before it."""

    kind: Literal["cut", "fade", "crossfade"] = "cut"
    """cut: at once; fade: down to black and up again, half of the length each; crossfade: both shots overlap."""
    seconds: Finite = Field(default=0.5, gt=0, le=60)
    """Length of a fade or a crossfade, rounded to the film's frames. A crossfade shortens the film by it."""
    frames: int | None = Field(default=None, ge=1, le=7200)
    """The length in frames of the film, in the place of the seconds."""

    def length(self, fps: Fraction) -> int:
        """In frames; a cut has none."""
        if self.kind == "cut":
            return 0
        return self.frames if self.frames is not None else max(1, round(Fraction(str(self.seconds)) * fps))


class Shot(Config):
    """One shot of a film; its frames and its sound are inputs of the ops."""

    name: Text = ""
    """What timelines and files call it; empty: its number."""
    transition: Transition = Transition()
    """From the shot or the title before; where there is none: from black (fade), or at once (cut)."""
    caption: Text = ""
    """Words shown below the picture for as long as the shot lasts."""
    speed: Finite = Field(default=1.0, ge=0.1, le=10)
    """How fast it is shown, its own sound with it, at the same pitch."""
    seconds: Finite | None = Field(default=None, gt=0, le=3600)
    """Length in the film, in the place of the speed: the shot is shown as fast as that takes."""
    sound: bool = True
    """Whether its own sound is heard."""
    gain: Finite = Field(default=0.0, ge=-60, le=24)
    """dB by which its sound is raised."""

    @model_validator(mode="after")
    def _one_pace(self) -> Shot:
        if self.seconds is not None and self.speed != 1.0:
            raise ValueError("speed and seconds both say how fast the shot is shown: leave one of them out")
        return self


class Title(Config):
    """A card of words before the first shot or behind the last one."""

    text: Text
    seconds: Finite = Field(default=2.0, ge=0.2, le=60)
    colour: Colour = "#ffffff"
    """Of the words."""
    background: Colour = "#000000"
    size: Finite = Field(default=0.12, gt=0, le=0.5)
    """Height of a line, as a share of the picture's height; longer texts are set smaller, to fit."""
    transition: Transition = Transition(kind="fade")
    """Into the card: from black before the first shot, from the last shot behind it."""


class Captions(Config):
    """How captions are shown."""

    show: Literal["burnt", "soft", "none"] = "burnt"
    """burnt: drawn into the picture; soft: in .srt and .ass files beside the film; none: not at all."""
    font: LocalPath | None = None
    """A .ttf or .otf file; empty: DejaVu Sans, which comes with the project's packages."""
    size: Finite = Field(default=0.055, gt=0, le=0.3)
    """Height of a line, as a share of the picture's shorter side."""
    colour: Colour = "#ffffff"
    outline: Colour = "#000000"
    """Colour around the letters, which keeps them readable on any picture."""
    place: Literal["bottom", "top"] = "bottom"


class MusicHow(Config):
    """How music is laid under the film."""

    start: Finite = Field(default=0.0, ge=0)
    """Seconds of the music that are skipped."""
    short: Literal["loop", "pad"] = "loop"
    """Music that ends before the film: played again from `start` on, or silence. Longer music is cut at the end."""
    gain: Finite = Field(default=-6.0, ge=-60, le=24)
    """dB by which the music is raised."""
    fade_in: Finite = Field(default=0.5, ge=0, le=60)
    """Seconds."""
    fade_out: Finite = Field(default=1.5, ge=0, le=60)
    """Seconds, up to the film's end."""
    duck: Finite = Field(default=12.0, ge=0, le=60)
    """dB by which the music gives way where a shot's own sound is heard; 0: it does not."""


class Music(MusicHow):
    """Music under the film."""

    file: LocalPath | None = None
    """A file with sound; empty: no music."""


class Loudness(Config):
    """How loud the film is."""

    target: Finite | None = Field(default=-16.0, ge=-40, le=-5)
    """LUFS by EBU R128 (-14: platforms, -16: web, -23: broadcast); empty: the mix as it is."""
    peak: Finite = Field(default=-1.5, ge=-9, le=0)
    """dBTP that no true peak goes above."""


class ColourMatch(Config):
    """Whether shots are brought to one another's colours."""

    to: Literal["none", "first", "previous"] = "none"
    """first: every shot to the film's first; previous: each to the one before, as that is shown."""
    strength: Finite = Field(default=0.8, gt=0, le=1)
    """1: mean and spread of the colours become those of the other shot."""


class Frame(Config):
    """The picture's shape and rate, and how shots of other shapes and rates meet them."""

    aspect: Literal["shots", "16:9", "9:16", "1:1"] = "shots"
    """shots: as the first shot is."""
    short_side: int | None = Field(default=None, ge=16, le=4320, multiple_of=2)
    """px; empty: the first shot's."""
    fit: Literal["crop", "pad", "blur"] = "crop"
    """A shot of another shape: its edges are cut, it gets borders, or it stands before itself, enlarged and blurred."""
    background: Colour = "#000000"
    """Of the borders."""
    fps: Annotated[str, BeforeValidator(_rate)] = "shots"
    """Frames a second, such as 24 or 30000/1001; shots: the rate that most of the film's seconds have."""
    flash: Literal["off", "tell", "hold"] = "tell"
    """Frames that flash where shots meet: left alone, reported, or replaced by the frame beside them."""
    colour_match: ColourMatch = ColourMatch()


class Output(Config):
    """The files that come out."""

    format: Literal["mp4", "prores", "ffv1", "webm"] = "mp4"
    """mp4: H.264, plays everywhere; prores: for editing; ffv1: lossless RGB; webm: VP9."""
    crf: int | None = Field(default=None, ge=0, le=63)
    """Quality of mp4 (1 to 51) and webm (0 to 63): lower is better and larger; empty: 14 and 24."""
    preset: Literal["ultrafast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"] = "medium"
    """How long x264 may search (mp4): slower is smaller at the same quality."""
    poster: Annotated[float, Field(ge=0)] | Literal["auto", "none"] = "auto"
    """Moment of the still that stands for the film, seconds; auto: the middle of its longest shot."""
    timeline: bool = True
    """Write .otio, FCP7 .xml and .edl for edit suites, with every shot as a movie of its own."""
    metadata: dict[str, Text] = Field(default_factory=dict)
    """Facts written as JSON into the movie's comment; empty: none."""

    @model_validator(mode="after")
    def _crf_fits(self) -> Output:
        dial = FORMATS[self.format].crf
        if self.crf is None or (dial is not None and dial[1] <= self.crf <= dial[2]):
            return self
        if dial is None:
            raise ValueError(f"crf does nothing for {self.format}: leave it empty")
        raise ValueError(f"crf of {self.format} goes from {dial[1]} to {dial[2]}, got {self.crf}; ffv1 is lossless")


class Film(Config):
    """A film as its user sets it; conf/shape/*.yaml hold the values."""

    frame: Frame = Frame()
    opening: Title | None = None
    """A card before the first shot."""
    closing: Title | None = None
    """A card behind the last shot."""
    fade_out: Finite = Field(default=0.0, ge=0, le=60)
    """Seconds in which the end goes to black, sound and all."""
    captions: Captions = Captions()
    music: Music = Music()
    loudness: Loudness = Loudness()
    output: Output = Output()
