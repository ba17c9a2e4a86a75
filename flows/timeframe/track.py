"""A `timeframe`'s track on its frames: which pictures there are, what holds the clip to each, where, and how firmly."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reel.errors import UserError
from reel.schedule.compile import PictureInterval, PromptTrack, compile_pictures, compile_prompts
from reel.schedule.model import Schedule
from reel.schedule.track import SparseCondition, TileTrack, sparse_of, tile_of

if TYPE_CHECKING:
    from flows.timeframe.settings import Timeframe

DRAWN = "drawn: "
"""Begins the name of a picture that is drawn from the words behind it."""


@dataclass(frozen=True)
class Track:
    """A track on the frames of a clip.

    Attributes:
        count: frames.
        ranges: of pictures in order of time, what holds to each filled in.
        prompts: over the frames; None: no range has words.
    """

    count: int
    ranges: Sequence[PictureInterval]
    prompts: PromptTrack | None

    @property
    def pictures(self) -> list[str]:
        """The distinct pictures, in order of first use."""
        return list(dict.fromkeys(one.picture for one in self.ranges))

    @property
    def begins(self) -> list[int]:
        """The first frame of each range on which its picture has all of its strength, a transition being over."""
        return [one.start + int((one.strength >= one.strength.max() - 1e-9).argmax()) for one in self.ranges]

    def held_by(self, by: str) -> list[PictureInterval]:
        return [one for one in self.ranges if one.by == by]

    def two_at_a_time(self, by: str) -> TileTrack | None:
        """For what takes a picture for every frame, and two in a transition; None: it holds no range."""
        mine = self.held_by(by)
        return tile_of(mine, self.count) if mine else None

    def sparse(self, every: int) -> Sequence[SparseCondition]:
        """For SparseCtrl: at most one picture a frame, the firmer of two."""
        found: dict[int, SparseCondition] = {}
        for one in sparse_of(self.held_by("sparsectrl"), every):
            if one.frame not in found or one.strength > found[one.frame].strength:
                found[one.frame] = one
        return [found[frame] for frame in sorted(found)]

    def strength_of(self, by: str) -> list[float]:
        """Of each frame: the sum over the pictures that it is held to, which a transition shares out."""
        total = [0.0] * self.count
        for one in self.held_by(by):
            for frame, strength in enumerate(one.strength.tolist(), one.start):
                total[frame] += strength
        return total


def on_frames(cfg: Timeframe, schedule: Schedule) -> Track:
    """A track that was looked over, on its clip.

    Raises:
        UserError: its length is not known, a range lies past the end, there is no picture, or a range without one.
    """
    count = cfg.frames or schedule.frames or _end(schedule)
    schedule = _with_words(cfg, schedule)
    _check_inside(schedule, count, float(cfg.fps), cfg.seed)
    if not schedule.has_pictures:
        raise UserError(
            "track: no range has a picture",
            fix="--pic a.png behind a range's words (picture: in YAML), or drawn=true to draw them from the words",
        )
    fps = float(cfg.fps)
    ranges = [dataclasses.replace(one, by=one.by or cfg.by) for one in compile_pictures(schedule, count, fps, cfg.seed)]
    worded = any(key.prompt is not None for key in schedule.keys)
    return Track(count, ranges, compile_prompts(schedule, count, fps, cfg.seed) if worded else None)


def words_of(picture: str) -> str | None:
    """The words that a picture is drawn from; None: it is a file."""
    return picture.removeprefix(DRAWN) if picture.startswith(DRAWN) else None


def files_of(track: Track) -> list[tuple[str, Path]]:
    """The pictures that are files, each with the setting that names it."""
    return [("track", Path(one)) for one in track.pictures if words_of(one) is None]


def _with_words(cfg: Timeframe, schedule: Schedule) -> Schedule:
    """The track with `prompt` before every range's words, and drawn pictures named by theirs."""
    keys = []
    for key in schedule.keys:
        words = ", ".join(filter(None, [schedule.head, cfg.prompt, key.prompt or "", schedule.tail]))
        if key.picture is None and cfg.drawn and key.prompt is not None:
            key = dataclasses.replace(key, picture=f"{DRAWN}{words}")
        keys.append(dataclasses.replace(key, prompt=", ".join(filter(None, [cfg.prompt, key.prompt or ""])) or None))
    return schedule.with_keys(tuple(keys))


def _end(schedule: Schedule) -> int:
    """The end of the last range, where all places are frames."""
    ends = [key.until or key.at for key in schedule.keys]
    if any(one.kind != "frame" for one in ends):
        raise UserError(
            "frames: the track has places in seconds or shares, so its length is not known", fix="frames=46"
        )
    return max(int(key.until.value) if key.until is not None else int(key.at.value) + 1 for key in schedule.keys)


def _check_inside(schedule: Schedule, count: int, fps: float, seed: int) -> None:
    """Raises: UserError for a range that begins or ends past the clip's end, or that another one overlaps."""
    try:
        placed = [
            (key.at.resolve(count, fps, seed), None if key.until is None else key.until.resolve(count, fps, seed))
            for key in schedule.keys
        ]
    except ValueError as error:
        raise UserError(f"track: {error}") from None
    late = next((start for start, _ in placed if start >= count), None)
    if late is not None:
        raise UserError(
            f"track: the range that begins at frame {late} lies past the end: the clip has {count} frames",
            fix=f"frames={late + 1} at least, or an earlier place",
        )
    spans = sorted((start, stop) for start, stop in placed if stop is not None)
    for start, stop in spans:
        if stop > count:
            raise UserError(
                f"track: the range {start}-{stop} lies past the end: the clip has {count} frames",
                fix=f"frames={spans[-1][1]}, or shorter ranges",
            )
    for (start, stop), (other, end) in itertools.pairwise(spans):
        if other < stop:
            raise UserError(
                f"track: the ranges {start}-{stop} and {other}-{end} overlap",
                fix=f"{start}-{other}, or then: blend(4) for a transition between the two",
            )
