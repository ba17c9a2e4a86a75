"""The film's frames, one after the other: shots brought to its shape, rate and colours, and joined.

At most two shots are open at a time, and a frame of each is in memory, however long the film is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from reel.clip import Clip
from tasks.film import colours, seams
from tasks.film.colours import Map
from tasks.film.conform import Size, conformed
from tasks.film.plan import Placed, Plan
from tasks.film.settings import ColourMatch, Frame
from tasks.media.timeline import Timing, frame_step

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Look:
    """What is done to a shot beside its shape.

    Attributes:
        colour: brings it to another's colours; None: it stays.
        order: which frame of the clip is shown in the place of each; None: its own.
    """

    colour: Map | None = None
    order: Sequence[int] | None = None


@dataclass
class Looks:
    """How each shot looks, by its number, and the figures that say why."""

    of: dict[int, Look] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)


def looks(clips: Sequence[Clip], cfg: Frame) -> Looks:
    """Work out colour match and flashes of all shots."""
    found = Looks()
    ends = [seams.ends_of(clip) if cfg.flash != "off" else None for clip in clips]
    flashing = {index: one for index, one in enumerate(ends) if one is not None and (one.head or one.tail)}
    if flashing:
        found.figures["flashes"] = {
            str(index + 1): {**one.figures, "held": cfg.flash == "hold"} for index, one in flashing.items()
        }
    maps, distances = _matched(clips, cfg.colour_match)
    if distances:
        found.figures["colour_match"] = distances
    for index, clip in enumerate(clips):
        order = seams.held(clip.count, flashing[index]) if cfg.flash == "hold" and index in flashing else None
        found.of[index] = Look(maps.get(index), order)
    return found


def _matched(clips: Sequence[Clip], cfg: ColourMatch) -> tuple[dict[int, Map], dict[str, Any]]:
    """The map of each shot that has one, and how far neighbours are apart before and after, in 255ths."""
    if cfg.to == "none" or len(clips) < 2:
        return {}, {}
    own = [colours.colours_of(clip) for clip in clips]
    shown, maps = [own[0]], {}
    for index in range(1, len(own)):
        other = shown[0] if cfg.to == "first" else shown[-1]
        maps[index] = colours.between(own[index], other, cfg.strength)
        shown.append(colours.mapped(own[index], maps[index]))
    seams_between = range(1, len(own))
    return maps, {
        "before": [round(colours.distance(own[index - 1], own[index]), 2) for index in seams_between],
        "after": [round(colours.distance(shown[index - 1], shown[index]), 2) for index in seams_between],
    }


def shown_frames(clip: Clip, fps: Fraction, placed: Placed) -> list[int]:
    """Which of a clip's frames each frame of the film shows, as `timeline.due` has it; speed counts."""
    pts = [tick - clip.pts[0] for tick in clip.pts]
    step = frame_step(pts) if len(pts) > 1 else 1 / clip.time_base
    base = clip.time_base / placed.speed
    found = Timing(pts, base, (pts[-1] + step) * base, fps).shown
    assert len(found) == placed.frames
    return found


def shot_frames(
    clip: Clip, fps: Fraction, placed: Placed, size: Size, cfg: Frame, look: Look | None = None
) -> Iterator[np.ndarray]:
    """A shot's frames ``(H, W, 3)`` uint8, as many as it has in the film; what is held is worked out once."""
    look = look or Look()
    before, frame = -1, None
    for number in shown_frames(clip, fps, placed):
        wanted = number if look.order is None else look.order[number]
        if frame is None or wanted != before:
            frame = conformed(clip.frame(wanted), size, cfg.fit, cfg.background)
            frame = frame if look.colour is None else look.colour(frame)
            before = wanted
        yield frame


def counted(frames: Iterator[np.ndarray], bar: Any) -> Iterator[np.ndarray]:
    """The same frames, each noted on a progress bar."""
    for frame in frames:
        yield frame
        bar.update(1)


def joined(plan: Plan, parts: Mapping[int, Iterator[np.ndarray]]) -> Iterator[np.ndarray]:
    """All frames of the film.

    Args:
        parts: the frames of each of ``plan.placed``, by its place.
    """
    going: Iterator[np.ndarray] = iter(())
    for place, placed in enumerate(plan.placed):
        coming = parts[place]
        for number in range(placed.frames - placed.overlap_out):
            frame = _faded(next(coming), number, placed)
            if number < placed.overlap_in:
                frame = _crossed(next(going), frame, (number + 1) / (placed.overlap_in + 1))
            yield frame
        going = coming


def _crossed(going: np.ndarray, coming: np.ndarray, share: float) -> np.ndarray:
    import cv2

    return cv2.addWeighted(going, 1 - share, coming, share, 0)


def _faded(frame: np.ndarray, number: int, placed: Placed) -> np.ndarray:
    """A shot's frame on its way from or to black; the first and the last of a fade are black."""
    import cv2

    share = 1.0
    if number < placed.fade_in:
        share = number / placed.fade_in
    if (left := placed.frames - 1 - number) < placed.fade_out:
        share = min(share, left / placed.fade_out)
    return frame if share == 1 else cv2.convertScaleAbs(frame, alpha=share)
