"""People as key points: the 18 body points of OpenPose/COCO-18, and the stored form of a clip's poses.

A person is a float32 array `(18, 4)` of x (px), y (px), z (px) and score (0..1). z has BlazePose's sense: smaller is
nearer to the camera, 0 is the middle of the hips, the scale is that of x. Score 0 means that the point is absent.
A frame is a list of persons, the largest first.

A stored object of kind "poses" holds `poses.json` (the key points, 2 decimals) and `mask/000000.png`, one uint8 mask
per frame, 255 where any person is. Its meta: width, height, count, detector, time_base, pts, color (the clip's).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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

SCHEMA = 1


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
    return sorted(people, key=lambda person: (-round(size(person), 2), round(extent(person)[0], 2)))


def to_rows(people: Sequence[np.ndarray]) -> list[list[list[float]]]:
    """The people of one frame as nested lists `[person][point][x, y, z, score]`, rounded to 2 decimals.

    `+ 0.0` turns -0.0 into 0.0, so that equal poses have equal bytes.
    """
    return [[[round(float(v), 2) + 0.0 for v in point] for point in check_person(person)] for person in people]


def from_rows(rows: Sequence[Sequence[Sequence[float]]]) -> list[np.ndarray]:
    """The inverse of `to_rows`: a list of float32 `(18, 4)`."""
    import numpy as np

    return [check_person(np.asarray(person, np.float32)) for person in rows]


def dump(frames: Sequence[Sequence[np.ndarray]], width: int, height: int, detector: str) -> bytes:
    """The canonical bytes of `poses.json` for a clip of `width` x `height` px."""
    rows = [json.dumps(to_rows(people), separators=(",", ":")).encode() for people in frames]
    return join_rows(rows, width, height, detector)


def join_rows(rows: Sequence[bytes], width: int, height: int, detector: str) -> bytes:
    """Like `dump`, for frames whose people are JSON already: a long clip's numbers need not be held as objects."""
    head = f'"detector":{json.dumps(detector)}'.encode()
    frames = b",".join(b"{" + head + b',"people":' + people + b"}" for people in rows)
    tail = f'"height":{height},"points":"body18","schema":{SCHEMA},"width":{width}'.encode()
    return b"{" + head + b',"frames":[' + frames + b"]," + tail + b"}"


def load(data: bytes) -> list[list[np.ndarray]]:
    """People per frame from the bytes of `poses.json`.

    Raises:
        ValueError: not such a file, or one of another schema.
    """
    try:
        body = json.loads(data)
    except ValueError as error:
        raise ValueError(f"poses.json is not JSON: {error}") from None
    if not isinstance(body, Mapping) or body.get("schema") != SCHEMA or body.get("points") != "body18":
        raise ValueError(f"poses.json: expected schema {SCHEMA} with body18 points")
    return [from_rows(frame["people"]) for frame in body["frames"]]


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
    """A stored object of kind "poses": people per frame in memory (they are small), masks read one by one."""

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
        self.frames = load(stored.read("poses.json"))

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
        """Outline of all people of a frame `(H, W)` uint8, 255 inside; checked as it is read."""
        import cv2
        import numpy as np

        data = self.stored.read(mask_name(index))
        mask = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        return np.asarray(mask, np.uint8)


def mask_name(index: int) -> str:
    return f"mask/{index:06d}.png"
