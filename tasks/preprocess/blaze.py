"""The two networks of BlazePose on ai-edge-litert: people found in a square, then 33 points and an outline each.

Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking" (arXiv 2006.10204); the networks and the numbers
of their pre- and post-processing are those of MediaPipe 0.10.21 (Apache-2.0): modules/pose_detection and
modules/pose_landmark. What MediaPipe does with the previous frame (tracking the region) is done here by a second pass
within the frame, so that a frame's result depends on that frame alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DETECTOR_SIDE = 224
LANDMARK_SIDE = 256
HEAT_SIDE = 64
POINTS = 33  # of the body; the network gives 6 more, of which 33 and 34 span the region of interest
ROI_SCALE = 1.25


@dataclass(frozen=True)
class Region:
    """A rotated square around a person: centre (px), side (px), angle (radians, 0 = upright)."""

    x: float
    y: float
    side: float
    angle: float

    @classmethod
    def from_points(cls, centre: np.ndarray, rim: np.ndarray) -> Region:
        """From the middle of the hips and a point on the circle around the whole body, both (2,) px.

        The rim point lies above the head, so its direction gives the person's lean.
        """
        dx, dy = (rim - centre).tolist()
        angle = np.pi / 2 - np.arctan2(-dy, dx)
        angle -= 2 * np.pi * np.floor((angle + np.pi) / (2 * np.pi))
        return cls(float(centre[0]), float(centre[1]), 2 * ROI_SCALE * float(np.hypot(dx, dy)), float(angle))

    def matrix(self, side: int) -> np.ndarray:
        """Affine map `(2, 3)` from crop px (a square of `side` px) to frame px."""
        scale = self.side / side
        cos, sin = np.cos(self.angle) * scale, np.sin(self.angle) * scale
        turn = np.array([[cos, -sin], [sin, cos]])
        # Pixel centres: crop pixel (side - 1) / 2 is the middle of the crop.
        offset = np.array([self.x - 0.5, self.y - 0.5]) - turn @ np.full(2, (side - 1) / 2)
        return np.hstack([turn, offset[:, None]])


@dataclass(frozen=True)
class Landmarks:
    """One person: points `(39, 5)` of x, y, z (px of the frame), visibility, presence (0..1); outline logits
    `(256, 256)` in the crop; the region they were read from; the network's confidence 0..1 that there is a person.
    """

    points: np.ndarray
    outline: np.ndarray
    region: Region
    confidence: float

    def next_region(self) -> Region:
        """The region that these points ask for."""
        return Region.from_points(self.points[33, :2], self.points[34, :2])


class _Network:
    def __init__(self, path: Path, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._net = Interpreter(str(path), num_threads=threads)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        self._outputs = {tuple(d["shape"].tolist()): d["index"] for d in self._net.get_output_details()}

    def __call__(self, picture: np.ndarray) -> None:
        self._net.set_tensor(self._input, picture[None])
        self._net.invoke()

    def __getitem__(self, shape: tuple[int, ...]) -> np.ndarray:
        return self._net.get_tensor(self._outputs[shape])[0]


class Detector:
    """Finds people in a window of the frame."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._net = _Network(path, threads)
        self._anchors = anchors()

    def __call__(
        self, frame: np.ndarray, window: Window, min_confidence: float, sure: float
    ) -> list[tuple[float, Region]]:
        """People in a window, as (confidence, region in frame px), most confident first.

        Args:
            frame: RGB `(H, W, 3)` uint8.
            sure: boxes below this confidence do not move the place of one above it.
        """
        self._net(window.cut(frame, DETECTOR_SIDE).astype(np.float32) / 127.5 - 1)
        scores = sigmoid(self._net[1, 2254, 1][:, 0])
        raw = self._net[1, 2254, 12] / DETECTOR_SIDE  # box centre, box size, then 4 points, all relative to the anchor
        keep = np.flatnonzero(scores >= min_confidence)
        boxes = raw[keep].reshape(-1, 6, 2)
        boxes[:, [0, 2, 3, 4, 5]] += self._anchors[keep, None]
        found = []
        for score, box in suppress(scores[keep], boxes, sure):
            frame_px = box[2:] * window.side + (window.x, window.y)
            found.append((score, Region.from_points(frame_px[0], frame_px[1])))
        return found


class Landmarker:
    """Reads the points and the outline of the person in a region."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._net = _Network(path, threads)

    def __call__(self, frame: np.ndarray, region: Region) -> Landmarks:
        import cv2

        picture, to_frame = frame, region.matrix(LANDMARK_SIDE)
        shrink = int(region.side // LANDMARK_SIDE)
        if shrink >= 2:  # bilinear sampling alone would skip pixels
            size = (max(1, frame.shape[1] // shrink), max(1, frame.shape[0] // shrink))
            picture = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
            scale = np.array([size[0] / frame.shape[1], size[1] / frame.shape[0]])
            sampled = np.hstack([to_frame[:, :2], to_frame[:, 2:] + 0.5]) * scale[:, None] - [[0, 0, 0.5]]
        else:
            sampled = to_frame
        crop = cv2.warpAffine(
            picture, sampled, (LANDMARK_SIDE, LANDMARK_SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        self._net(crop.astype(np.float32) / 255)
        points = self._net[1, 195].reshape(39, 5).copy()
        points[:, :2] = refine(points[:, :2], self._net[1, HEAT_SIDE, HEAT_SIDE, 39])
        points[:, 3:] = sigmoid(points[:, 3:])
        points[:, :2] = (points[:, :2] - 0.5) @ to_frame[:, :2].T + to_frame[:, 2] + 0.5
        points[:, 2] *= region.side / LANDMARK_SIDE
        outline = self._net[1, LANDMARK_SIDE, LANDMARK_SIDE, 1][..., 0].copy()
        return Landmarks(points, outline, region, float(self._net[1, 1][0]))


@dataclass(frozen=True)
class Window:
    """An upright square of the frame, in px; it may reach beyond the frame, where it is black."""

    x: float
    y: float
    side: float

    def cut(self, frame: np.ndarray, side: int) -> np.ndarray:
        """The window as `(side, side, 3)` uint8."""
        import cv2

        x0, y0, n = round(self.x), round(self.y), round(self.side)
        height, width = frame.shape[:2]
        ax, ay, bx, by = max(0, x0), max(0, y0), min(width, x0 + n), min(height, y0 + n)
        part = frame[ay:by, ax:bx]
        square = cv2.copyMakeBorder(part, ay - y0, y0 + n - by, ax - x0, x0 + n - bx, cv2.BORDER_CONSTANT)
        return cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA if n > side else cv2.INTER_LINEAR)


def whole(width: int, height: int, zoom: float = 1.0) -> Window:
    """The square around the whole frame; `zoom` 0.5 sees the frame at half that size, with room around it."""
    side = max(width, height) / zoom
    return Window((width - side) / 2, (height - side) / 2, side)


def tiles(width: int, height: int, side: float) -> Iterator[Window]:
    """Squares of `side` px that cover the frame and overlap by half or more."""
    side = min(side, max(width, height))
    xs, ys = _starts(width, side), _starts(height, side)
    return (Window(x, y, side) for y in ys for x in xs)


def _starts(length: int, side: float) -> list[float]:
    if side >= length:
        return [(length - side) / 2]
    count = int(np.ceil((length - side) / (side / 2))) + 1
    return np.linspace(0, length - side, count).tolist()


def anchors() -> np.ndarray:
    """Centres `(2254, 2)` of the detector's anchors in 0..1: strides 8 and 16 with two each, 32 with six."""
    grids = []
    for stride, repeat in ((8, 2), (16, 2), (32, 6)):
        cells = DETECTOR_SIDE // stride
        y, x = np.mgrid[:cells, :cells]
        centre = np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)
        grids.append(np.repeat((centre + 0.5) / cells, repeat, axis=0))
    return np.concatenate(grids)


def suppress(
    scores: np.ndarray, boxes: np.ndarray, sure: float = 0.0, overlap: float = 0.3
) -> list[tuple[float, np.ndarray]]:
    """Weighted non-maximum suppression: boxes that overlap the best one are averaged into it by their scores.

    Args:
        scores: `(N,)`.
        boxes: `(N, 6, 2)`: centre, size, 4 points.
        sure: boxes with a lower score are averaged into none above it.

    Returns:
        (best score, box `(6, 2)`) of each group, best first.
    """
    order = np.argsort(-scores, kind="stable")
    scores, boxes = scores[order], boxes[order]
    low, high = boxes[:, 0] - boxes[:, 1] / 2, boxes[:, 0] + boxes[:, 1] / 2
    area = boxes[:, 1].prod(axis=1)
    left = np.ones(len(scores), bool)
    groups = []
    for best in range(len(scores)):
        if not left[best]:
            continue
        common = np.clip(np.minimum(high, high[best]) - np.maximum(low, low[best]), 0, None).prod(axis=1)
        group = left & (common / np.maximum(area + area[best] - common, 1e-9) > overlap)
        group[best] = True
        left &= ~group
        if scores[best] >= sure:
            group &= scores >= sure
        groups.append((float(scores[best]), np.average(boxes[group], axis=0, weights=scores[group])))
    return groups


def refine(points: np.ndarray, heat: np.ndarray, radius: int = 3, sure: float = 0.5) -> np.ndarray:
    """Moves each point to the centre of mass of its heat map around it, where the map is confident.

    Args:
        points: `(39, 2)` px of the crop.
        heat: logits `(64, 64, 39)`.
    """
    out = points.copy()
    cells = points * HEAT_SIDE / LANDMARK_SIDE
    for k, (x, y) in enumerate(cells.astype(int).tolist()):
        if not (0 <= x < HEAT_SIDE and 0 <= y < HEAT_SIDE):
            continue
        y0, x0 = max(0, y - radius), max(0, x - radius)
        near = sigmoid(heat[y0 : y + radius + 1, x0 : x + radius + 1, k])
        if near.max() >= sure:
            ys, xs = np.mgrid[y0 : y0 + near.shape[0], x0 : x0 + near.shape[1]]
            out[k] = np.array([(xs * near).sum(), (ys * near).sum()]) / near.sum() * LANDMARK_SIDE / HEAT_SIDE
    return out


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -80, 80)))


def outline(person: Landmarks, width: int, height: int, scale: float = 1.0) -> np.ndarray:
    """A person's outline `(height, width)` bool in the frame, or in the frame reduced by `scale`."""
    import cv2

    to_frame = person.region.matrix(LANDMARK_SIDE)
    reduced = np.hstack([to_frame[:, :2], to_frame[:, 2:] + 0.5]) * scale - [[0, 0, 0.5]] if scale != 1 else to_frame
    return cv2.warpAffine(sigmoid(person.outline), reduced, (width, height), flags=cv2.INTER_LINEAR) > 0.5
