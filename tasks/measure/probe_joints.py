"""Probe joints: does the embedded family's figure stand as the person in the source does?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reel.clip import Clip
from reel.config import Config, Field
from reel.errors import UserError
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from reel.pose import Poses
from tasks.measure.figure import PROBE, Square, read_frames
from tasks.measure.people import People, chosen, followed, here, told
from tasks.preprocess.smoothing import smooth

if TYPE_CHECKING:
    import numpy as np

MEASURE = declare(
    Measure(
        name="probe_joints",
        about="Distance of the joints that the family's probe reads in the render from those detected in the source.",
        aspect="pose",
        values=(
            Value("error", "joint error", "lower", 0, None, "% of the frame", tells=0.5),  # a pixel of the family's 192
            Value("within", "frames in pose", "higher", 0, 1),
            Value("found", "people of the source who are shown", "higher", 0, 1),
        ),
        reference="own: data/models/sprite/README.md. Two different readers, so the error never falls to 0: the probe "
        "alone errs by 3.4 % on drawn figures. Not OKS, and not to be compared with it",
        families=("sprite",),
        torch=True,
    )
)


ABSENT = 17.0
"""% of the frame that a person of the source counts who is not shown: what another figure's pose comes to."""
_SMOOTHING = 0.2  # seconds


class ProbeJoints(Config):
    """Settings of the probe's joints."""

    detector: str = "blazepose"
    """The registered pose detector that reads the source, with its settings under `preprocess`."""
    people: People = None
    """Who of the source is asked for: all, the largest, the nearest, or so many of the largest. Empty: those whom the
    pose map draws (`preprocess.pose_map.people`)."""
    threshold: float = Field(10.0, gt=0, le=100)
    """A person is in pose when the mean error of their joints is at most this part of the frame's side (%)."""


@op(
    "measure",
    "probe_joints",
    version=3,
    config=ProbeJoints,
    inputs=("frames", "poses"),
    distributions=("numpy", "opencv-python-headless", "scipy", "torch"),
    models=lambda cfg: [PROBE],
    gives="measure",
)
def probe_joints(cfg: ProbeJoints, inputs: Mapping[str, str], ctx: Context) -> str:
    """The people of the source, followed over the clip as for the maps, against the probe's 14 joints.

    The family draws one figure and the probe reads one: it is held against the nearest of the source's people, and the
    others are missing, at `ABSENT` each. Frames without anybody, or without a joint inside the frame, are not counted.

    Args:
        inputs: ``frames`` the render, ``poses`` of the source.

    Raises:
        UserError: the source was read by another detector, or differs in size or number of frames.
        ModelAbsent: the embedded family is not in this checkout.
    """
    import numpy as np

    clip, poses = Clip.open(ctx.store, inputs["frames"]), Poses.open(ctx.store, inputs["poses"])
    if poses.detector != cfg.detector:
        raise UserError(f"measure.probe_joints: the source was read by {poses.detector}, not by {cfg.detector}")
    if (clip.width, clip.height, clip.count) != (poses.width, poses.height, poses.count):
        raise UserError("measure.probe_joints: the poses are not those of this render's source")
    notes = {"detector": poses.detector, "reader": "probe"}
    tracks = followed(poses)
    asked = set(chosen(tracks, cfg.people))
    for track in tracks:
        smooth(track, round(_SMOOTHING * poses.fps))
    people = [{i: one for i, one in here(tracks, index).items() if i in asked} for index in range(poses.count)]
    errors = joint_errors(clip, people)
    present = {number: sum(number in frame for frame in errors) for number in asked}
    if not any(errors):
        missing = f"{poses.detector} found nobody in the source"
        return save(ctx.store, Result("probe_joints", missing=missing, notes=notes))
    missed = {number: sum(frame.get(number, 0.0) is None for frame in errors) for number in asked}
    notes["people"] = told(len(asked), missed, present)
    series = [None if not frame else [ABSENT if e is None else e for e in frame.values()] for frame in errors]
    every = [error for frame in errors for error in frame.values()]
    values = {
        "error": float(np.mean([ABSENT if error is None else error for error in every])),
        "within": float(np.mean([error is not None and error <= cfg.threshold for error in every])),
        "found": float(np.mean([error is not None for error in every])),
    }
    means = [None if frame is None else float(np.mean(frame)) for frame in series]
    return save(ctx.store, Result("probe_joints", values, {"error": means}, notes=notes))


def joint_errors(clip: Clip, people: Sequence[Mapping[int, np.ndarray]]) -> list[dict[int, float | None]]:
    """Mean distance (% of the frame's side) of the joints of each person in every frame; None: they are not shown.

    Args:
        people: `(18, 4)` px by number, for every frame; who has no joint inside the frame is left out of the result.
    """
    from tasks.sprite import probe

    reading = read_frames(clip)
    side = reading.spec.frame
    square = Square(clip.width, clip.height, side)
    errors: list[dict[int, float | None]] = []
    for index, there in enumerate(people):
        placed = {number: square.person(person) for number, person in there.items()}
        found = reading.joints[index : index + 1]
        apart = {
            number: 100 * probe.joint_error(found, person[None], side) / side
            for number, person in placed.items()
            if probe.inside(person, side).any()
        }
        nearest = min(apart, key=apart.__getitem__, default=None)
        errors.append({number: error if number == nearest else None for number, error in apart.items()})
    return errors
