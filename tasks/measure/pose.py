"""Pose: are the joints that a detector finds in the render where it found them in the source?"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reel import pose as poses
from reel.config import Config, Field
from reel.errors import UserError
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from tasks.measure.people import People, chosen, followed, here, told

if TYPE_CHECKING:
    import numpy as np

MEASURE = declare(
    Measure(
        name="pose",
        about="Joints found again in the render by the detector that read the source.",
        aspect="pose",
        values=(
            Value("oks", "pose kept (OKS)", "higher", 0, 1),
            Value("pck", "joints in place (PCK)", "higher", 0, 1),
            Value("found", "people found again", "higher", 0, 1),
            Value("added", "people who are not in the source", "lower", 0, None),
        ),
        reference="OKS of COCO's key point evaluation (Ronchi and Perona, ICCV 2017, arXiv 1707.05388; "
        "github.com/cocodataset/cocoapi); PCK of Yang and Ramanan, IEEE TPAMI 35(12), 2013",
    )
)

_SIGMAS = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062,
    "hip": 0.107, "knee": 0.087, "ankle": 0.089,
}  # fmt: skip
"""COCO's spread of human annotators, as a fraction of a person's size. It has no neck: that point is left out."""
_OF_COCO = [name != "neck" for name in poses.BODY18]
_SPREAD = [2 * _SIGMAS[name.rpartition("_")[2]] if name != "neck" else math.inf for name in poses.BODY18]
SAME = 0.1
"""OKS below which two people are not the same one, wherever else there is nobody to compare with."""
_BOX_SHARE = 0.53  # of a box around a person that the person fills, where there is no outline (xtcocotools)


class Pose(Config):
    """Settings of the pose metric."""

    detector: str = "blazepose"
    """The registered pose detector that reads the source and the render, with its settings under `preprocess`:
    blazepose, dwpose, openpose. Figures of different detectors are not to be compared."""
    people: People = None
    """Who of the source is asked for: all, the largest, the nearest, or so many of the largest. Empty: those whom the
    pose map draws (`preprocess.pose_map.people`)."""
    threshold: float = Field(0.1, gt=0, le=1)
    """PCK: a joint is in place within this part of the longer side of the person's box."""
    min_score: float = Field(0.3, ge=0, le=1)
    """Joints that the detector was less sure of in the source (0..1) are not asked for."""
    embedded: bool = False
    """Measure the embedded family's cartoons, too. Detectors of real people find few of them: the figures say more
    about the detector than about the pose, and probe_joints is there for them."""


@op(
    "measure",
    "pose",
    version=3,
    config=Pose,
    inputs=("poses", "poses_render"),
    distributions=("numpy", "scipy"),
    gives="measure",
)
def pose(cfg: Pose, inputs: Mapping[str, str], ctx: Context) -> str:
    """Mean over the frames in which the source shows anybody; a person who is not found again counts 0.

    In source and render people are followed over the clip as for the maps, so that ghosts are none of them; compared
    are those frames in which they are seen.

    Args:
        inputs: ``poses`` of the source, ``poses_render`` of the render: stored poses.

    Raises:
        UserError: poses of different detectors, of different sizes or numbers of frames.
    """
    import numpy as np

    source, render = (poses.Poses.open(ctx.store, inputs[name]) for name in ("poses", "poses_render"))
    _check(source, render, cfg)
    people, shown = followed(source), followed(render)
    asked = set(chosen(people, cfg.people))
    pairs = [(here(people, index), list(here(shown, index).values())) for index in range(source.count)]
    frames = [compare(there, found, cfg, asked) for there, found in pairs]
    seen = [frame for frame in frames if frame is not None]
    notes = {"detector": source.detector}
    if not seen:
        missing = f"{source.detector} found nobody in the source"
        return save(ctx.store, Result("pose", missing=missing, notes=notes))
    present = {number: sum(number in there for there, _ in pairs) for number in asked}
    missed = {number: sum(number in frame.missed for frame in seen) for number in asked}
    notes["people"] = told(len(asked), missed, present, sum(frame.values["added"] > 0 for frame in seen))
    names = [value.name for value in MEASURE.values]
    values = {name: float(np.mean([frame.values[name] for frame in seen])) for name in names}
    series = {name: [None if frame is None else frame.values[name] for frame in frames] for name in names}
    return save(ctx.store, Result("pose", values, series, notes=notes))


def _check(source: poses.Poses, render: poses.Poses, cfg: Pose) -> None:
    for what, read in (("source", source), ("render", render)):
        if read.detector != cfg.detector:
            raise UserError(
                f"measure.pose: the {what} was read by {read.detector}, not by {cfg.detector}: joints of different "
                "detectors are never compared",
                fix="read both with one detector: measure.pose.detector",
            )
    ours, theirs = ((one.width, one.height, one.count) for one in (render, source))
    if ours != theirs:
        shown = [f"{width}x{height} px x {count} frames" for width, height, count in (ours, theirs)]
        raise UserError(f"measure.pose: the render is {shown[0]}, the source {shown[1]}")


@dataclass(frozen=True)
class Compared:
    """One frame: the metric's values, and who of the source is not shown, by number."""

    values: Mapping[str, float]
    missed: frozenset[int]


def compare(
    source: Mapping[int, np.ndarray], render: Sequence[np.ndarray], cfg: Pose, asked: Collection[int] | None = None
) -> Compared | None:
    """One frame: mean OKS and PCK of the source's people, the share who were found again, and whoever was added.

    Each person of the source is given at most one of the render's, so that the sum of OKS is largest; two whose OKS is
    below `SAME` are not the same person: one is missing, one was added. Nobody counts beside those `asked` for, but who
    stands where another of the source does was not added.

    Args:
        source: people `(18, 4)` of x (px), y (px), z, score, by number.
        render: people.
        asked: numbers of those who are asked for; None: all.

    Returns:
        None when the source shows none of them.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    there = {i: one for i, one in source.items() if (one[:, 3] >= max(cfg.min_score, 1e-6)).any()}
    wanted = [i for i in there if asked is None or i in asked]
    if not wanted:
        return None
    likeness = np.array([[oks(a, b, cfg.min_score) for b in render] for a in there.values()])
    likeness = likeness.reshape(len(there), len(render))
    numbers = list(there)
    pairs = [
        (numbers[row], column, likeness[row, column])
        for row, column in zip(*linear_sum_assignment(likeness, maximize=True), strict=True)
        if likeness[row, column] >= SAME
    ]
    good = [(number, column, value) for number, column, value in pairs if number in wanted]
    values = {
        "oks": float(sum(value for _, _, value in good)) / len(wanted),
        "pck": sum(pck(there[number], render[column], cfg) for number, column, _ in good) / len(wanted),
        "found": len(good) / len(wanted),
        "added": (len(render) - len(pairs)) / len(wanted),
    }
    return Compared(values, frozenset(wanted) - {number for number, _, _ in good})


def oks(source: np.ndarray, render: np.ndarray, min_score: float = 0.3) -> float:
    """Object key point similarity (0..1) over the points that are seen in the source.

    exp(-d^2 / (2 s^2 k^2)), averaged: d the distance, k twice COCO's sigma of the point, s^2 the person's area, taken
    as 0.53 of the box around the seen points. A point that is absent from the render counts 0.
    """
    import numpy as np

    seen = _seen(source, min_score) & np.array(_OF_COCO)
    if not seen.any():
        return 0.0
    width, height = _box(source, _seen(source, min_score))
    area = max(_BOX_SHARE * width * height, 1.0)
    squares = ((source[:, :2] - render[:, :2]) ** 2).sum(1)
    near = np.where(render[:, 3] > 0, np.exp(-squares / (2 * area * np.array(_SPREAD) ** 2)), 0.0)
    return float(near[seen].mean())


def pck(source: np.ndarray, render: np.ndarray, cfg: Pose) -> float:
    """Share (0..1) of the points seen in the source that lie in the render within `threshold` x the longer side."""
    import numpy as np

    seen = _seen(source, cfg.min_score)
    reach = cfg.threshold * max(*_box(source, seen), 1.0)
    near = (np.linalg.norm(source[:, :2] - render[:, :2], axis=1) <= reach) & (render[:, 3] > 0)
    return float(near[seen].mean())


def _seen(person: np.ndarray, min_score: float) -> np.ndarray:
    return (person[:, 3] > 0) & (person[:, 3] >= min_score)


def _box(person: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """Width and height (px) of the box around the points."""
    import numpy as np

    width, height = np.ptp(person[seen, :2], axis=0)
    return float(width), float(height)
