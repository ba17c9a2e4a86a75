"""BlazePose: body key points with depth, and a person mask, from weights inside a registry package (no hub)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from reel import pose
from reel.config import Config, Field
from reel.models.source import ModelSource
from reel.op import Context, op
from tasks.preprocess.detect import Find, Found, detect_poses

if TYPE_CHECKING:
    import numpy as np

    from tasks.preprocess.blaze import Landmarker, Landmarks, Region, Window

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

# For each point of BODY18 its number among BlazePose's 33; the neck is the middle of the shoulders (11 and 12).
_FROM = (0, 11, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)
# The network's z is larger than its x and y by this factor: the ratio of its z to its own metric output, fitted over
# four live-action clips, is 3.6 for whole bodies (3.0 to 3.3 for people cut off at the hips).
_Z_SCALE = 1 / 3.6


class BlazePose(Config):
    """Settings of the BlazePose detector. Every field can change what is found, so every field is in the key."""

    max_people: int = Field(default=4, ge=1, le=20)
    """People per frame at most; the ones that the network is surest of are kept."""
    min_detection_confidence: float = Field(default=0.5, gt=0, lt=1)
    """Confidence (0..1) above which a detection counts. Lower finds more people, and more ghosts."""
    min_presence: float = Field(default=0.5, gt=0, lt=1)
    """Confidence (0..1) of the point network that there is a person in the region."""
    search: Literal["auto", "whole", "tiles"] = "auto"
    """Where to look. `whole`: the whole frame once, at 224 px. `auto`: that, and when nobody is found the frame
    zoomed out and in overlapping tiles. `tiles`: always all of them, for crowds and small people (much slower)."""
    passes: int = Field(default=2, ge=1, le=4)
    """Times the points are read; each pass centres its region on the points of the one before."""


@op(
    "preprocess",
    "blazepose",
    version=1,
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
    return detect_poses("blazepose", cfg, inputs["frames"], ctx, lambda: finder(cfg))


def finder(cfg: BlazePose) -> Find:
    """Loads both networks. The function it returns must stay in one thread."""
    import numpy as np

    from tasks.preprocess import blaze
    from tasks.weights import fetch as weights

    detector = blaze.Detector(weights.path(DETECTOR))
    landmarker = blaze.Landmarker(weights.path(LANDMARKS))

    def find(frame: np.ndarray) -> Found:
        height, width = frame.shape[:2]
        people: list[Landmarks] = []
        for windows in _searches(cfg, width, height):
            for window in windows:
                regions = [region for _, region in detector(frame, window, cfg.min_detection_confidence)]
                if cfg.search == "tiles" and window.side < max(width, height):
                    # Beside the look at the whole frame a tile is for small people: in parts of large ones it
                    # sees ghosts. Where nobody was found in the whole frame, anything is welcome.
                    regions = [region for region in regions if region.side < 1.2 * window.side]
                read = [_read(landmarker, frame, region, cfg) for region in regions]
                people = _merge(people, [person for person in read if person is not None])
            if people and cfg.search != "tiles":
                break
        people = sorted(people, key=lambda p: -p.confidence)[: cfg.max_people]
        mask = np.zeros((height, width), np.uint8)
        for person in people:
            blaze.draw_outline(mask, person)
        return Found([to_body18(person.points) for person in people], mask)

    return find


def _searches(cfg: BlazePose, width: int, height: int) -> Iterator[list[Window]]:
    """Windows to look into, one list after the other until somebody is found."""
    from tasks.preprocess import blaze

    short = min(width, height)
    long = max(width, height) > 1.9 * short  # two clips side by side, a panorama: people are small in the whole
    squares = list(blaze.tiles(width, height, short)) if long else []
    yield [blaze.whole(width, height), *squares]
    if cfg.search != "whole":
        yield [blaze.whole(width, height, zoom=0.6), *([] if long else blaze.tiles(width, height, short))]
        yield list(blaze.tiles(width, height, short / 2))


def _read(landmarker: Landmarker, frame: np.ndarray, region: Region, cfg: BlazePose) -> Landmarks | None:
    person = landmarker(frame, region)
    for _ in range(cfg.passes - 1):
        if person.confidence < cfg.min_presence:
            return None
        person = landmarker(frame, person.next_region())
    return person if person.confidence >= cfg.min_presence else None


def _merge(known: Sequence[Landmarks], seen: Sequence[Landmarks]) -> list[Landmarks]:
    """The people of earlier windows and those of one more: whoever was seen twice stays once, as read more surely.

    Two detections of one window have nearly the same points when they are one person. Those of different windows may
    also differ, when one of them cuts the person; then their boxes tell.
    """
    people: list[Landmarks] = []
    both = [(person, 0) for person in known] + [(person, 1) for person in seen]
    kept: list[int] = []
    for person, source in sorted(both, key=lambda pair: -pair[0].confidence):
        twice = any(
            _apart(other, person) < 0.1 or (where != source and _overlap(other, person) > 0.5)
            for other, where in zip(people, kept, strict=True)
        )
        if not twice:
            people.append(person)
            kept.append(source)
    return people


def _apart(a: Landmarks, b: Landmarks) -> float:
    """Median distance of the points of two people, as a fraction of the larger one's size."""
    import numpy as np

    span = max(np.ptp(p.points[:33, :2], axis=0).max() for p in (a, b))
    return float(np.median(np.linalg.norm(a.points[:33, :2] - b.points[:33, :2], axis=1)) / span)


def _overlap(a: Landmarks, b: Landmarks) -> float:
    """Intersection over union of the boxes around the points of two people."""
    import numpy as np

    low = [p.points[:33, :2].min(axis=0) for p in (a, b)]
    high = [p.points[:33, :2].max(axis=0) for p in (a, b)]
    common = np.clip(np.minimum(*high) - np.maximum(*low), 0, None).prod()
    return float(common / (sum((h - w).prod() for w, h in zip(low, high, strict=True)) - common))


def to_body18(points: np.ndarray) -> np.ndarray:
    """BlazePose's points `(33+, 5)` as a person `(18, 4)`; the score is visibility x presence."""
    import numpy as np

    out = points[list(_FROM)]
    neck = (points[11] + points[12]) / 2
    out[pose.NECK, :3] = neck[:3]
    out[pose.NECK, 3:] = np.minimum(points[11, 3:], points[12, 3:])
    score = (out[:, 3] * out[:, 4]).clip(0, 1)
    return np.column_stack([out[:, :2], out[:, 2] * _Z_SCALE, score]).astype(np.float32)
