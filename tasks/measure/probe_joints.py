"""Probe joints: does the embedded family's figure stand as the person in the source does?"""

from __future__ import annotations

from collections.abc import Mapping

from reel.clip import Clip
from reel.config import Config, Field
from reel.errors import UserError
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from reel.pose import Poses
from tasks.measure.figure import PROBE, Square, read_frames
from tasks.preprocess.tracks import Steady, Track, steady

MEASURE = declare(
    Measure(
        name="probe_joints",
        about="Distance of the joints that the family's probe reads in the render from those detected in the source.",
        aspect="pose",
        values=(
            Value("error", "joint error", "lower", 0, None, "% of the frame"),
            Value("within", "frames in pose", "higher", 0, 1),
        ),
        reference="own: data/models/sprite/README.md. Two different readers, so the error never falls to 0: the probe "
        "alone errs by 3.4 % on drawn figures. Not OKS, and not to be compared with it",
        families=("sprite",),
        torch=True,
    )
)


class ProbeJoints(Config):
    """Settings of the probe's joints."""

    detector: str = "blazepose"
    """The registered pose detector that reads the source, with its settings under `preprocess`."""
    threshold: float = Field(10.0, gt=0, le=100)
    """A frame is in pose when the mean error of its joints is at most this part of the frame's side (%)."""


@op(
    "measure",
    "probe_joints",
    version=1,
    config=ProbeJoints,
    inputs=("frames", "poses"),
    distributions=("numpy", "opencv-python-headless", "scipy", "torch"),
    models=lambda cfg: [PROBE],
    gives="measure",
)
def probe_joints(cfg: ProbeJoints, inputs: Mapping[str, str], ctx: Context) -> str:
    """The largest person of the source, steadied as for a pose map at its defaults, against the probe's 14 joints.

    Frames in which the source shows nobody, or no joint inside the frame, are not counted.

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
    tracks = steady(
        poses, Steady(detector=cfg.detector, max_people=1, missing="empty", smoothing=0.2), ctx, "measure.probe_joints"
    )
    errors = joint_errors(clip, tracks[0]) if tracks else []
    seen = [error for error in errors if error is not None]
    if not seen:
        missing = f"{poses.detector} found nobody in the source"
        return save(ctx.store, Result("probe_joints", missing=missing, notes=notes))
    values = {"error": float(np.mean(seen)), "within": float(np.mean([error <= cfg.threshold for error in seen]))}
    return save(ctx.store, Result("probe_joints", values, {"error": errors}, notes=notes))


def joint_errors(clip: Clip, track: Track) -> list[float | None]:
    """Mean distance (% of the frame's side) of the joints in every frame; None where there is nothing to compare.

    Args:
        track: the person, by frame.
    """
    from tasks.sprite import probe

    reading = read_frames(clip)
    side = reading.spec.frame
    square = Square(clip.width, clip.height, side)
    people = {index: square.person(person) for index, person in track.people.items()}
    errors: list[float | None] = []
    for index in range(clip.count):
        counted = index in people and probe.inside(people[index], side).any()
        found = reading.joints[index : index + 1]
        error = probe.joint_error(found, people[index][None], side) if counted else None
        errors.append(None if error is None else 100 * error / side)
    return errors
