"""How like two stored results are, pixel by pixel and sample by sample: of clips the frame that is worst says it."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reel.clip import Clip
from reel.store import Stored
from tasks.measure.first_frame import psnr

if TYPE_CHECKING:
    import numpy as np

SOUND = "sound.wav"
"""File of an object of kind ``sound``: of 16-bit or of float samples, packed."""


@dataclass(frozen=True)
class Likeness:
    """What a comparison found.

    Attributes:
        psnr: dB of the frame that is worst, or of the sound; infinite: not a bit differs; None: they cannot be laid on
            one another.
        told: in words: how many differ, which is the worst, or why they do not fit.
    """

    psnr: float | None
    told: str

    @property
    def identical(self) -> bool:
        return self.psnr == math.inf


def alike(then: Stored, now: Stored) -> Likeness:
    """Compare two clips or two sounds, each checked as it is read.

    Raises:
        DamagedObject: bytes of either are not those that were stored.
        UserError: objects that are neither.
    """
    if then.kind != now.kind:
        return Likeness(None, f"{then.kind} then, {now.kind} now")
    return _sounds(then, now) if then.kind == "sound" else _clips(Clip(then), Clip(now))


def _clips(then: Clip, now: Clip) -> Likeness:
    shapes = [f"{clip.count} frames of {clip.width}x{clip.height} px" for clip in (then, now)]
    if shapes[0] != shapes[1]:
        return Likeness(None, f"{shapes[0]} then, {shapes[1]} now")
    if [tick * then.time_base for tick in then.pts] != [tick * now.time_base for tick in now.pts]:
        return Likeness(None, "the frames stand at other times")
    worst, at, changed = math.inf, 0, 0
    for number, (one, other) in enumerate(zip(then.frames(), now.frames(), strict=True)):
        if (one != other).any():
            changed += 1
            if (found := psnr(one, other)) < worst:
                worst, at = found, number
    if not changed:
        return Likeness(math.inf, f"all {shapes[0]}")
    return Likeness(worst, f"{changed} of {shapes[0]} differ, frame {at} most: {worst:.1f} dB")


def _sounds(then: Stored, now: Stored) -> Likeness:
    (rate, one), (other_rate, other) = _samples(then), _samples(now)
    if (rate, one.shape) != (other_rate, other.shape):
        return Likeness(None, "sound of another length, rate or number of channels")
    changed = int((one != other).sum())
    if not changed:
        return Likeness(math.inf, f"all {one.size} samples of the sound")
    found = -10 * math.log10(float(((one - other) ** 2).mean()))
    return Likeness(found, f"{changed} of {one.size} samples of the sound differ: {found:.1f} dB")


def _samples(stored: Stored) -> tuple[int, np.ndarray]:
    """Rate in Hz, and the samples of all channels, full scale being 1."""
    import av
    import numpy as np

    with av.open(io.BytesIO(stored.read(SOUND))) as file:
        blocks = [frame.to_ndarray() for frame in file.decode(audio=0)]
        samples = np.concatenate([block.ravel() for block in blocks] or [np.zeros(0)])
        scale = -float(np.iinfo(samples.dtype).min) if samples.dtype.kind == "i" else 1.0
        return file.streams.audio[0].rate, samples.astype(np.float64) / scale
