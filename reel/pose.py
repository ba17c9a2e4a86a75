"""People as key points: the 18 body points of OpenPose/COCO-18, and the stored form of a clip's poses.

A person is a float32 array `(18, 4)` of x (px), y (px), z (px) and score (0..1). z has BlazePose's sense: smaller is
nearer to the camera, 0 is the middle of the hips, the scale is that of x. Score 0 means that the point is absent.
A frame is a list of persons, the largest first.

A stored object of kind "poses" holds what a detector saw: `poses.json` (key points, 2 decimals, and how sure it was of
each person) and `mask/000000.png`, per frame one bit a person where their outline is (bit 0 for the first). Some are
kept that the detector alone would not count as people: the tracking, which sees the whole clip, says whether they are.
Its meta: width, height, count, detector, time_base, pts, color (the clip's).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from reel.errors import UserError
from reel.store import Store, Stored

if TYPE_CHECKING:
    import numpy as np

BODY18 = (
    "nose", "neck",
    "right_shoulder", "right_elbow", "right_wrist",
    "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle",
    "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip

(
    NOSE, NECK, R_SHOULDER, R_ELBOW, R_WRIST, L_SHOULDER, L_ELBOW, L_WRIST,
    R_HIP, R_KNEE, R_ANKLE, L_HIP, L_KNEE, L_ANKLE, R_EYE, L_EYE, R_EAR, L_EAR,
) = range(18)  # fmt: skip

# The 17 limbs in the order in which OpenPose draws them (later ones lie on top), as pairs of indices into BODY18.
LIMBS = (
    (NECK, R_SHOULDER), (NECK, L_SHOULDER), (R_SHOULDER, R_ELBOW), (R_ELBOW, R_WRIST),
    (L_SHOULDER, L_ELBOW), (L_ELBOW, L_WRIST), (NECK, R_HIP), (R_HIP, R_KNEE), (R_KNEE, R_ANKLE),
    (NECK, L_HIP), (L_HIP, L_KNEE), (L_KNEE, L_ANKLE), (NECK, NOSE), (NOSE, R_EYE), (R_EYE, R_EAR),
    (NOSE, L_EYE), (L_EYE, L_EAR),
)  # fmt: skip

# One RGB colour per point; limb i has the colour of point i at 60 % brightness.
COLOURS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255),
    (255, 0, 170), (255, 0, 85),
)  # fmt: skip

SCHEMA = 2


def check_person(person: np.ndarray) -> np.ndarray:
    """Returns the person as float32 `(18, 4)`.

    Raises:
        ValueError: another shape, a value that is not finite, or a score outside 0..1.
    """
    import numpy as np

    person = np.asarray(person, np.float32)
    if person.shape != (18, 4):
        raise ValueError(f"a person is an array (18, 4) of x, y, z, score; got {person.shape}")
    if not np.isfinite(person).all():
        raise ValueError("a person's key points must be finite numbers; mark an absent point by score 0")
    if (person[:, 3] < 0).any() or (person[:, 3] > 1).any():
        raise ValueError("scores must lie in 0..1")
    return person


def extent(person: np.ndarray, min_score: float = 0.0) -> tuple[float, float, float, float]:
    """Bounding box x0, y0, x1, y1 (px) of the points whose score is above `min_score`; all zero when there is none."""
    seen = person[person[:, 3] > min_score]
    if not len(seen):
        return 0.0, 0.0, 0.0, 0.0
    x0, y0 = seen[:, :2].min(axis=0)
    x1, y1 = seen[:, :2].max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def size(person: np.ndarray) -> float:
    """The longer side (px) of the bounding box: what "largest" means here."""
    x0, y0, x1, y1 = extent(person)
    return max(x1 - x0, y1 - y0)


def largest_first(people: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The people of one frame, the largest first; equal ones from left to right, so that the order is reproducible."""
    return [people[index] for index in order_by_size(people)]


def order_by_size(people: Sequence[np.ndarray]) -> list[int]:
    """The places of the people in the order of `largest_first`."""
    keys = [(-round(size(person), 2), round(extent(person)[0], 2)) for person in people]
    return sorted(range(len(people)), key=keys.__getitem__)


def to_rows(people: Sequence[np.ndarray]) -> list[list[list[float]]]:
    """The people of one frame as nested lists `[person][point][x, y, z, score]`, rounded to 2 decimals.

    `+ 0.0` turns -0.0 into 0.0, so that equal poses have equal bytes.
    """
    return [[[round(float(v), 2) + 0.0 for v in point] for point in check_person(person)] for person in people]


def from_rows(rows: Sequence[Sequence[Sequence[float]]]) -> list[np.ndarray]:
    """The inverse of `to_rows`: a list of float32 `(18, 4)`."""
    import numpy as np

    return [check_person(np.asarray(person, np.float32)) for person in rows]


@dataclass(frozen=True)
class Sighting:
    """Somebody whom a detector saw in a frame, or thought it did.

    Attributes:
        person: key points `(18, 4)`.
        confidence: 0..1, how sure the detector was that this is a person.
        number: place among the frame's sightings, by which `Poses.outline` knows the outline.
    """

    person: np.ndarray
    confidence: float
    number: int


def to_row(people: Sequence[np.ndarray], confidences: Sequence[float] | None = None) -> bytes:
    """One frame as it stands in `poses.json`; without confidences all people are certain."""
    sure = [1.0] * len(people) if confidences is None else [round(float(one), 2) for one in confidences]
    return json.dumps({"confidence": sure, "people": to_rows(people)}, separators=(",", ":")).encode()


def dump(frames: Sequence[Sequence[np.ndarray]], width: int, height: int, detector: str) -> bytes:
    """The canonical bytes of `poses.json` for a clip of `width` x `height` px whose people are all certain."""
    return join_rows([to_row(people) for people in frames], width, height, detector, 0.0)


def join_rows(rows: Sequence[bytes], width: int, height: int, detector: str, sure: float) -> bytes:
    """Like `dump`, for frames that are JSON already: a long clip's numbers need not be held as objects.

    Args:
        rows: of `to_row`.
        sure: confidence from which the detector counts a sighting as a person without looking at other frames.
    """
    head = f'"detector":{json.dumps(detector)},"frames":['.encode()
    tail = f'],"height":{height},"points":"body18","schema":{SCHEMA},"sure":{json.dumps(sure)},"width":{width}'.encode()
    return b"{" + head + b",".join(rows) + tail + b"}"


def load(data: bytes) -> tuple[list[list[Sighting]], float]:
    """Sightings per frame from the bytes of `poses.json`, and the confidence from which they are certain.

    Raises:
        ValueError: not such a file, or one of another schema.
    """
    try:
        body = json.loads(data)
    except ValueError as error:
        raise ValueError(f"poses.json is not JSON: {error}") from None
    if not isinstance(body, Mapping) or body.get("schema") != SCHEMA or body.get("points") != "body18":
        raise ValueError(f"poses.json: expected schema {SCHEMA} with body18 points")
    frames = [
        [
            Sighting(person, confidence, number)
            for number, (person, confidence) in enumerate(
                zip(from_rows(frame["people"]), frame["confidence"], strict=True)
            )
        ]
        for frame in body["frames"]
    ]
    return frames, float(body["sure"])


def missing(frames: Sequence[Sequence[np.ndarray]]) -> list[int]:
    """The indices of the frames in which nobody was found."""
    return [index for index, people in enumerate(frames) if not len(people)]


def ranges(indices: Sequence[int], limit: int = 12) -> str:
    """Sorted frame numbers for a reader: `3, 7-9, 20`; beyond `limit` groups the rest is counted.

    >>> ranges([3, 7, 8, 9, 20])
    '3, 7-9, 20'
    """
    groups: list[list[int]] = []
    for index in indices:
        if groups and index == groups[-1][1] + 1:
            groups[-1][1] = index
        else:
            groups.append([index, index])
    shown = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in groups[:limit])
    rest = sum(b - a + 1 for a, b in groups[limit:])
    return f"{shown} and {rest} more" if rest else shown


class Poses:
    """A stored object of kind "poses": people per frame in memory (they are small), outlines read one by one.

    Attributes:
        sightings: all that the detector saw in each frame; for the tracking.
        frames: of these, the people of whom it was sure, the largest first: what a frame alone tells.
        sure: confidence from which it was.
    """

    def __init__(self, stored: Stored) -> None:
        if stored.kind != "poses":
            raise UserError(f"object {stored.digest[:12]} is of kind {stored.kind!r}, not the poses of a clip")
        self.stored = stored
        self.width: int = stored.meta["width"]
        self.height: int = stored.meta["height"]
        self.count: int = stored.meta["count"]
        self.detector: str = stored.meta["detector"]
        self.time_base = Fraction(stored.meta["time_base"])
        self.pts: list[int] = stored.meta["pts"]
        self.color: str = stored.meta["color"]
        self.sightings, self.sure = load(stored.read("poses.json"))
        self.frames = [[one.person for one in seen if one.confidence >= self.sure] for seen in self.sightings]

    @classmethod
    def open(cls, store: Store, digest: str) -> Poses:
        """Raises: MissingObject, DamagedObject; UserError when the object holds no poses."""
        return cls(store.get(digest))

    @property
    def fps(self) -> float:
        """Nominal frames per second: one over the median step between frames; 1 for a single frame."""
        steps = sorted(b - a for a, b in zip(self.pts, self.pts[1:], strict=False))
        return float(1 / (steps[len(steps) // 2] * self.time_base)) if steps else 1.0

    def mask(self, index: int) -> np.ndarray:
        """Outline of all people of a frame of whom the detector was sure: `(H, W)` uint8, 255 inside."""
        return self.outline(index, [one.number for one in self.sightings[index] if one.confidence >= self.sure])

    def outline(self, index: int, numbers: Sequence[int]) -> np.ndarray:
        """Outline of some sightings of a frame together, `(H, W)` uint8, 255 inside; checked as it is read."""
        import cv2
        import numpy as np

        data = self.stored.read(mask_name(index))
        bits = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        wanted = sum(1 << number for number in set(numbers))
        return np.where(np.asarray(bits) & wanted, 255, 0).astype(np.uint8)


MOST = 16
"""Sightings that a frame's outlines have room for: the bits of a pixel."""


def pack_outlines(outlines: Sequence[np.ndarray], width: int, height: int) -> bytes:
    """The stored form of a frame's outlines `(height, width)` bool, in the order of its sightings: a PNG.

    Raises:
        ValueError: more than `MOST`, or the PNG could not be written.
    """
    import cv2
    import numpy as np

    if len(outlines) > MOST:
        raise ValueError(f"{len(outlines)} outlines in a frame; there is room for {MOST}")
    bits = np.zeros((height, width), np.uint8 if len(outlines) <= 8 else np.uint16)
    for number, outline in enumerate(outlines):
        bits |= outline.astype(bits.dtype) << number
    ok, png = cv2.imencode(".png", bits, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not ok:
        raise ValueError("the outlines could not be encoded as PNG")
    return png.tobytes()


def mask_name(index: int) -> str:
    return f"mask/{index:06d}.png"
