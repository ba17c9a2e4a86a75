"""Background: does what nobody asked to move stand still, and is the figure where the source has people?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reel.clip import Clip
from reel.config import Config, Field
from reel.errors import UserError
from reel.measure import Measure, Result, Value, declare, save
from reel.op import Context, op
from reel.pose import Poses
from tasks.measure.flow import ONE_FRAME
from tasks.measure.people import followed
from tasks.preprocess.figure_depth import drawn_outline

if TYPE_CHECKING:
    import numpy as np

MEASURE = declare(
    Measure(
        name="background",
        about="Whether the area around the source's people keeps its colours, and whether what stands out lies in it.",
        aspect="steadiness",
        values=(
            Value("steady", "background kept over time", "higher", 0, 1),
            Value("place", "figure where the source has people", "higher", 0, 1),
        ),
        reference="own: distance in CIELAB from the background's median over time; Dice coefficient of what differs "
        "from it and of the people's outlines",
    )
)

SPAN = 50.0
"""Distance in CIELAB at which a pixel of the background counts as wholly another: black from middle grey."""
_AROUND = 0.06  # of a person's size: hair and clothes that stand out beyond the outline
_SIDE = 256  # px: larger frames are reduced, since single pixels are no background


class Background(Config):
    """Settings of the background metric."""

    detector: str = "blazepose"
    """The registered pose detector that reads the source, with its settings under `preprocess`."""
    stands_out: float = Field(20.0, gt=0, le=100)
    """Distance in CIELAB from the background at which a pixel belongs to a figure."""


@op(
    "measure",
    "background",
    version=1,
    config=Background,
    inputs=("frames", "poses"),
    distributions=("numpy", "opencv-python-headless", "scipy"),
    gives="measure",
)
def background(cfg: Background, inputs: Mapping[str, str], ctx: Context) -> str:
    """Of a clip whose camera stands still; a moving one lowers both, in every render of it alike.

    Args:
        inputs: ``frames`` the render, ``poses`` of the source: whoever is in it is no background.

    Raises:
        UserError: the source was read by another detector, or differs in size or number of frames.
    """
    import numpy as np

    clip, poses = Clip.open(ctx.store, inputs["frames"]), Poses.open(ctx.store, inputs["poses"])
    if poses.detector != cfg.detector:
        raise UserError(f"measure.background: the source was read by {poses.detector}, not by {cfg.detector}")
    if (clip.width, clip.height, clip.count) != (poses.width, poses.height, poses.count):
        raise UserError("measure.background: the poses are not those of this render's source")
    if clip.count < 2:
        return save(ctx.store, Result("background", missing=ONE_FRAME))
    frames = np.stack([lab(frame) for frame in clip.frames()])
    tracks = followed(poses)
    people = np.stack([reduced(drawn_outline(tracks, poses, index), frames.shape[1:3]) for index in range(clip.count)])
    outside = ~np.stack([grown(inside) for inside in people])
    if not outside.any(axis=(1, 2)).all():
        return save(ctx.store, Result("background", missing="the source's people fill the picture"))
    apart = np.linalg.norm(frames - empty(frames, outside), axis=-1)  # (F, h, w)
    steady = [1 - float(np.minimum(far[free] / SPAN, 1).mean()) for far, free in zip(apart, outside, strict=True)]
    series: dict[str, list[float | None]] = {"steady": [*steady]}
    if people.any():
        pairs = zip(apart > cfg.stands_out, people, strict=True)
        series["place"] = [dice(figure, inside) if inside.any() else None for figure, inside in pairs]
    values = {name: float(np.mean([one for one in found if one is not None])) for name, found in series.items()}
    return save(ctx.store, Result("background", values, series, notes={"detector": poses.detector}))


def lab(frame: np.ndarray) -> np.ndarray:
    """A frame `(H, W, 3)` uint8 in CIELAB as float32, its longer side at most `_SIDE` px."""
    import cv2

    scale = _SIDE / max(frame.shape[:2])
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else frame
    return cv2.cvtColor(small.astype("float32") / 255, cv2.COLOR_RGB2LAB)


def reduced(mask: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """An outline `(H, W)` uint8 as bool at the size `(h, w)`."""
    import cv2

    return cv2.resize(mask, (shape[1], shape[0]), interpolation=cv2.INTER_AREA) > 127


def grown(inside: np.ndarray) -> np.ndarray:
    """An outline `(h, w)` bool with the room that hair and clothes take."""
    import cv2

    rows, columns = inside.any(axis=1).sum(), inside.any(axis=0).sum()
    reach = max(1, round(_AROUND * max(rows, columns)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return cv2.dilate(inside.astype("uint8"), kernel) > 0


def empty(frames: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """The background without people `(h, w, 3)`: each pixel's median over the frames in which nobody is there; where
    somebody always is, the nearest such pixel's.

    Args:
        frames: `(F, h, w, 3)`; outside: `(F, h, w)` bool.
    """
    import numpy as np
    from scipy.ndimage import distance_transform_edt

    free = np.where(outside[..., None], frames, np.nan)
    ever = outside.any(axis=0)
    picture = np.zeros(frames.shape[1:], np.float32)
    picture[ever] = np.nanmedian(free[:, ever], axis=0)
    rows, columns = distance_transform_edt(~ever, return_distances=False, return_indices=True)
    return picture[rows, columns]


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Twice the common area over the sum of both (0..1)."""
    total = int(a.sum() + b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0
