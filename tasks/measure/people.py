"""The people of a source as metrics ask for them: followed over the clip, chosen as for the maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from reel.config import Field
from reel.pose import MOST, Poses
from tasks.preprocess.steady import choose
from tasks.preprocess.tracks import Track, people_of

if TYPE_CHECKING:
    import numpy as np

CARRY = 1.0
"""Seconds for which somebody may be lost and still be the same person: the maps' default."""
People = Literal["all", "largest", "nearest"] | Annotated[int, Field(ge=1, le=MOST)] | None


def followed(poses: Poses) -> list[Track]:
    """Everybody in a clip, the largest first, gaps filled."""
    return choose(people_of(poses.sightings, poses.sure, poses.fps, CARRY), "all")


def chosen(tracks: Sequence[Track], people: str | int | None) -> list[int]:
    """Numbers of the tracks that a setting asks for; None: all."""
    wanted = choose(tracks, "all" if people is None else people)
    return sorted(next(i for i, track in enumerate(tracks) if track is one) for one in wanted)


def here(tracks: Sequence[Track], frame: int) -> dict[int, np.ndarray]:
    """People `(18, 4)` of a frame by their track's number: who is seen in it, since points that were carried over a gap
    are no reading to compare with."""
    return {number: track.people[frame] for number, track in enumerate(tracks) if frame in track.seen}


def told(people: int, missed: Mapping[int, int], present: Mapping[int, int], added: int = 0) -> str:
    """Who is shown, for a reader: `2; no. 2 missing in 12 of 16 frames`.

    Args:
        people: how many the source has.
        missed: frames in which each is not shown, by number from 0.
        present: frames in which each is in the source.
        added: frames in which the render shows somebody more.
    """
    parts = [str(people)]
    parts += [f"no. {i + 1} missing in {lost} of {present[i]} frames" for i, lost in sorted(missed.items()) if lost]
    if added:
        parts.append(f"somebody more in {added} frame{'s' if added > 1 else ''}")
    return "; ".join(parts)
