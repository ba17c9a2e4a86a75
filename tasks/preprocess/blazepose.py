"""BlazePose: body key points with depth, and a person mask, from weights inside a registry package (no hub)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from reel import pose
from reel.config import Config, Field
from reel.models.source import ModelSource
from reel.op import Context, op
from tasks.preprocess.detect import Find, Found, detect_poses

if TYPE_CHECKING:
    import numpy as np

    from tasks.preprocess.blaze import Detector, Landmarker, Landmarks, Region, Window

WHEEL = "mediapipe==0.10.21"
DETECTOR = ModelSource(
    kind="wheel",
    id=WHEEL,
    member="mediapipe/modules/pose_detection/pose_detection.tflite",
    sha256="9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    license="Apache-2.0",
)
LANDMARKS = ModelSource(
    kind="wheel",
    id=WHEEL,
    member="mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
    sha256="e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    license="Apache-2.0",
)

_SQUARE = 0.75  # part of the longer side that the squares beside the whole frame have at most
_LEAST_TILE = 96  # px: nobody is found in smaller tiles
_CUT = 1.2  # a region that exceeds a small tile by this factor is of somebody large
_HANDICAP = 0.1  # by so much surer a tile must be to be read from, not the whole frame: else the choice flickers
_LONG = 1.9  # longer frames, such as two clips side by side, show people too small as a whole to be preferred
_READINGS = 2  # regions that are read, for each person that may be told
_SILHOUETTE = 160  # px, longer side of the outlines that are held against one another
_INSIDE = 0.7  # part of a silhouette that lies in another's when both are of one person

# For each point of BODY18 its number among BlazePose's 33; the neck is the middle of the shoulders (11 and 12).
_FROM = (0, 11, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)
# The network's z is larger than its x and y by this factor: the ratio of its z to its own metric output, fitted over
# four live-action clips, is 3.6 for whole bodies (3.0 to 3.3 for people cut off at the hips).
_Z_SCALE = 1 / 3.6


class BlazePose(Config):
    """Settings of the BlazePose detector. Every field can change what is found, so every field is in the key."""

    max_people: int = Field(default=6, ge=1, le=pose.MOST)
    """People per frame at most; the ones that the network is surest of are kept."""
    min_detection_confidence: float = Field(default=0.5, gt=0, lt=1)
    """Confidence (0..1) above which a frame alone tells that somebody is there. Lower finds more people, and more
    ghosts."""
    min_tracked_confidence: float = Field(default=0.25, gt=0, lt=1)
    """Confidence (0..1) above which somebody is told to the tracking, which takes them for the person whom it knows
    from frames in which the network was surer. At or above `min_detection_confidence`: nobody beside the sure ones."""
    min_presence: float = Field(default=0.5, gt=0, lt=1)
    """Confidence (0..1) of the point network that there is a person in the region."""
    search: Literal["auto", "whole", "tiles"] = "auto"
    """Where to look. `whole`: the whole frame once, at 224 px. `auto`: that and overlapping squares nearly as large,
    and when nobody is found the frame zoomed out and in smaller tiles. `tiles`: always all of them, for crowds and
    small people (much slower)."""
    passes: int = Field(default=2, ge=1, le=4)
    """Times the points are read; each pass centres its region on the points of the one before."""


@op(
    "preprocess",
    "blazepose",
    version=2,
    config=BlazePose,
    inputs=("frames",),
    distributions=("ai-edge-litert", "numpy", "opencv-python-headless"),
    models=lambda cfg: [DETECTOR, LANDMARKS],
    gives="poses",
)
def blazepose(cfg: BlazePose, inputs: Mapping[str, str], ctx: Context) -> str:
    """Finds the people of every frame by itself: no frame depends on another, so a longer cut costs new frames only.

    Raises:
        ModelAbsent: the weights are not on this machine and cannot be fetched.
    """
    ctx.note(provider="ai-edge-litert (CPU)")
    sure = cfg.min_detection_confidence
    return detect_poses("blazepose", cfg, inputs["frames"], ctx, lambda: finder(cfg), sure=sure)


@dataclass(frozen=True)
class _Seen:
    """A person who was read from one region."""

    landmarks: Landmarks
    confidence: float
    silhouette: np.ndarray


def finder(cfg: BlazePose) -> Find:
    """Loads both networks. The function it returns must stay in one thread."""
    from tasks.preprocess import blaze
    from tasks.weights import fetch as weights

    detector = blaze.Detector(weights.path(DETECTOR))
    landmarker = blaze.Landmarker(weights.path(LANDMARKS))

    def find(frame: np.ndarray) -> Found:
        height, width = frame.shape[:2]
        people: list[_Seen] = []
        for number, windows in enumerate(_searches(cfg, width, height)):
            found = _regions(detector, frame, windows, cfg, again=number > 0)
            people = _merge([*people, *_read_all(landmarker, frame, found, cfg)])
            if any(person.confidence >= cfg.min_detection_confidence for person in people) and cfg.search != "tiles":
                break
        people = people[: cfg.max_people]
        return Found(
            [to_body18(person.landmarks.points) for person in people],
            [person.confidence for person in people],
            [blaze.outline(person.landmarks, width, height) for person in people],
            (height, width),
            cfg.min_detection_confidence,
        )

    return find


def _searches(cfg: BlazePose, width: int, height: int) -> Iterator[list[Window]]:
    """Windows to look into, one list after the other until somebody is found."""
    from tasks.preprocess import blaze

    short, long = min(width, height), max(width, height)
    if cfg.search == "whole":
        yield [blaze.whole(width, height)]
        return
    side = short if short < _SQUARE * long else _SQUARE * long
    yield [blaze.whole(width, height), *blaze.tiles(width, height, side)]
    yield [blaze.whole(width, height, zoom=0.6), *blaze.tiles(width, height, short / 2)]
    yield list(blaze.tiles(width, height, max(short / 4, min(short / 2, _LEAST_TILE))))


def _regions(
    detector: Detector, frame: np.ndarray, windows: Sequence[Window], cfg: BlazePose, again: bool
) -> list[tuple[float, Region]]:
    """Where people may be, the surest first, the whole frame before tiles; most of them are told several times.

    Args:
        again: whether the frame is looked at again, in smaller tiles: these see ghosts in parts of people and of
            things, so that only what the network is sure of counts.
    """
    least = cfg.min_detection_confidence if again else min(cfg.min_tracked_confidence, cfg.min_detection_confidence)
    found: list[tuple[float, Region]] = []
    handicaps: list[float] = []
    largest = max(window.side for window in windows)
    handicap = 0.0 if max(frame.shape[:2]) > _LONG * min(frame.shape[:2]) else _HANDICAP
    for window in windows:
        for score, region in detector(frame, window, least, cfg.min_detection_confidence):
            # Beside larger windows a small tile is for small people: who is larger than it was seen there. Where
            # nobody was found, anybody is welcome.
            if not (again and cfg.search == "tiles") or region.side < _CUT * window.side:
                found.append((score, region))
                handicaps.append(0.0 if window.side == largest else handicap)
    order = sorted(range(len(found)), key=lambda n: handicaps[n] - found[n][0])
    return [found[n] for n in order]


def _same_place(a: Region, b: Region) -> bool:
    import math

    large, small = max(a.side, b.side), min(a.side, b.side)
    return math.hypot(a.x - b.x, a.y - b.y) < 0.15 * large and large < 1.4 * small


def _read_all(
    landmarker: Landmarker, frame: np.ndarray, regions: Sequence[tuple[float, Region]], cfg: BlazePose
) -> list[_Seen]:
    """Each person once, as sure as their surest region; read again where a first region of theirs showed nobody."""
    from tasks.preprocess import blaze

    height, width = frame.shape[:2]
    scale = _SILHOUETTE / max(width, height)
    known: list[tuple[Region, _Seen]] = []
    for score, region in regions:
        place = next((n for n, (other, _) in enumerate(known) if _same_place(region, other)), None)
        if place is not None:
            other, seen = known[place]
            surer = max(seen.confidence, round(min(score, seen.landmarks.confidence), 2))
            known[place] = other, replace(seen, confidence=surer)
        elif len(known) < _READINGS * cfg.max_people:
            person = _read(landmarker, frame, region, cfg)
            if person is not None:
                small = blaze.outline(person, round(width * scale), round(height * scale), scale)
                known.append((region, _Seen(person, round(min(score, person.confidence), 2), small)))
    return [seen for _, seen in known]


def _read(landmarker: Landmarker, frame: np.ndarray, region: Region, cfg: BlazePose) -> Landmarks | None:
    person = landmarker(frame, region)
    for _ in range(cfg.passes - 1):
        if person.confidence < cfg.min_presence:
            return None
        person = landmarker(frame, person.next_region())
    return person if person.confidence >= cfg.min_presence else None


def _merge(seen: Sequence[_Seen]) -> list[_Seen]:
    """Whoever was read twice stays once, as seen more surely: two readings are of one person when their points are
    nearly the same, or when one's silhouette lies in the other's (a part of somebody that was taken for a person)."""
    people: list[_Seen] = []
    for person in sorted(seen, key=lambda one: -one.confidence):
        if not any(
            _apart(other.landmarks, person.landmarks) < 0.1 or _within(other.silhouette, person.silhouette) > _INSIDE
            for other in people
        ):
            people.append(person)
    return people


def _apart(a: Landmarks, b: Landmarks) -> float:
    """Median distance of the points of two people, as a fraction of the larger one's size."""
    import numpy as np

    span = max(np.ptp(p.points[:33, :2], axis=0).max() for p in (a, b))
    return float(np.median(np.linalg.norm(a.points[:33, :2] - b.points[:33, :2], axis=1)) / span)


def _within(a: np.ndarray, b: np.ndarray) -> float:
    """Share (0..1) of the smaller silhouette that lies in the other; 0 where either is empty."""
    least = min(a.sum(), b.sum())
    return float((a & b).sum() / least) if least else 0.0


def to_body18(points: np.ndarray) -> np.ndarray:
    """BlazePose's points `(33+, 5)` as a person `(18, 4)`; the score is visibility x presence."""
    import numpy as np

    out = points[list(_FROM)]
    neck = (points[11] + points[12]) / 2
    out[pose.NECK, :3] = neck[:3]
    out[pose.NECK, 3:] = np.minimum(points[11, 3:], points[12, 3:])
    score = (out[:, 3] * out[:, 4]).clip(0, 1)
    return np.column_stack([out[:, :2], out[:, 2] * _Z_SCALE, score]).astype(np.float32)
