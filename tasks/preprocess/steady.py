"""The people of a clip as maps draw them: followed, chosen, carried over gaps, made steady."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from reel import pose
from reel.config import Config, Field
from reel.errors import UserError
from reel.op import Context
from tasks.preprocess.bodies import ground_line
from tasks.preprocess.smoothing import bridge, settle, smooth, unflip
from tasks.preprocess.tracks import Track, people_of

if TYPE_CHECKING:
    import numpy as np

_FLIP_PENALTY = 0.8  # a second: at 24 frames/s a body that jumps by a shoulder's width may be turned for 12 frames


class Steady(Config):
    """Settings of the clip-level part of every map that is drawn from poses."""

    detector: str = "blazepose"
    """The registered pose detector whose poses are drawn (blazepose, dwpose, openpose)."""
    people: Literal["all", "largest", "nearest"] | Annotated[int, Field(ge=1, le=pose.MOST)] = "all"
    """Who is drawn: `all`; the `largest` over the whole clip (size times frames); the `nearest`, who stands lowest in
    the picture; or a number: so many of the largest."""
    carry: float = Field(default=1.0, ge=0, le=5)
    """Seconds for which somebody may be lost, behind somebody else or to the detector, and still be the same person:
    their points move evenly over the gap."""
    missing: Literal["error", "hold", "empty"] = "hold"
    """Frames in which nobody was found: stop and name them, hold the last known pose (evenly moved to the next one
    when that comes within `carry`), or leave the map empty. They are named in the run's notes in any case."""
    smoothing: float = Field(default=0.2, ge=0, le=2)
    """Window of a Savitzky-Golay filter over time (seconds; 0 = off). It takes the detector's jitter out and keeps
    quick movement: a quadratic is fitted, so evenly accelerated movement passes unchanged and without lag. Points
    that come or go for less than it neither flash up nor drop out."""
    keep_sides: bool = True
    """Undo short exchanges of left and right (under about half a second), as detectors make them when they cannot see
    the face. A real turn is longer and stays."""


def steady(poses: pose.Poses, cfg: Steady, ctx: Context, where: str, min_score: float = 0.1) -> list[Track]:
    """Tracks of a clip's people, the largest first, chosen, with gaps treated as the settings say, and smoothed.

    Args:
        where: the settings' key for messages, such as `preprocess.pose_map`.
        min_score: score from which the caller draws a point.

    Raises:
        UserError: nobody was found in some frames and `missing` is `error`, or nobody in any frame and it is `hold`.
    """
    everybody = people_of(poses.sightings, poses.sure, poses.fps, cfg.carry)
    nobody = _unseen(everybody, poses.count)
    _refuse(nobody, poses, cfg, where)
    tracks = choose(everybody, cfg.people)
    if cfg.keep_sides:
        turned = sum(unflip(track, _FLIP_PENALTY / poses.fps) for track in tracks)
        ctx.note(frames_with_sides_exchanged=turned)
    if cfg.missing == "hold":
        hold(tracks, poses.count)
    elif cfg.missing == "empty":
        for track in tracks:
            for index in track.people.keys() & set(nobody):
                del track.people[index]
    window = round(cfg.smoothing * poses.fps)
    for track in tracks:
        settle(track, window, min_score)
        smooth(track, window)
    ctx.note(
        people=told(everybody, poses.count),
        drawn=len(tracks),
        frames_without_people=pose.ranges(nobody),
        missing=cfg.missing if nobody else "none",
    )
    return tracks


def choose(tracks: Sequence[Track], people: str | int) -> list[Track]:
    """Those whom the setting names, the largest first.

    Args:
        tracks: of everybody, gaps filled.
        people: see `Steady.people`.
    """
    import numpy as np

    order = sorted(tracks, key=lambda track: (-round(track.weight(), 2), min(track.people)))
    if people == "nearest":
        return sorted(order, key=lambda track: -float(np.median([ground_line(p) for p in track.people.values()])))[:1]
    if people == "all":
        return order
    return order[: 1 if people == "largest" else int(people)]


def told(tracks: Sequence[Track], count: int) -> str:
    """Who is in how much of a clip, for a reader: `2; no. 2 in 4 of 16 frames`.

    Args:
        tracks: of everybody, gaps filled.
        count: frames of the clip.
    """
    order = choose(tracks, "all")
    parts = [str(len(order))]
    for number, track in enumerate(order, 1):
        carried = len(track.people.keys() - track.seen.keys())
        if len(track.people) < count or carried:
            lost = f", {carried} of them carried" if carried else ""
            parts.append(f"no. {number} in {len(track.people)} of {count} frames{lost}")
    return "; ".join(parts)


def at(tracks: Sequence[Track], frame: int) -> list[np.ndarray]:
    """The people of a frame, in the tracks' order, hidden joints bridged."""
    return [bridge(track.people[frame]) for track in tracks if frame in track.people]


def _unseen(tracks: Sequence[Track], count: int) -> list[int]:
    """Frames in which nobody was seen who is a person."""
    seen = {index for track in tracks for index in track.seen}
    return [index for index in range(count) if index not in seen]


def _refuse(nobody: list[int], poses: pose.Poses, cfg: Steady, where: str) -> None:
    if not nobody or cfg.missing == "empty" or (cfg.missing == "hold" and len(nobody) < poses.count):
        return
    policies = "empty" if len(nobody) == poses.count else "hold or empty"
    harder = "preprocess.blazepose.search=tiles, a lower preprocess.blazepose.min_detection_confidence, "
    raise UserError(
        f"{poses.detector} found nobody in {len(nobody)} of {poses.count} frames: {pose.ranges(nobody)}",
        fix=f"{where}.missing={policies}, or {harder if poses.detector == 'blazepose' else ''}"
        "a clip in which the person is larger",
    )


def hold(tracks: Sequence[Track], count: int) -> None:
    """In frames that are still empty, repeats the people of the nearest earlier frame, or else of the first one."""
    seen = sorted({index for track in tracks for index in track.people})
    for index in range(count):
        if index in seen:
            continue
        source = max((s for s in seen if s < index), default=seen[0])
        for track in tracks:
            if source in track.people:
                track.people[index] = track.people[source].copy()
