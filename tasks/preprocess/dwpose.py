"""Body key points by DWPose through rtmlib: the most exact detector for people facing away or far from the camera."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reel.config import Config, Field
from reel.models.source import ModelSource
from reel.op import Context, op
from reel.pose import MOST
from tasks.preprocess.annotators import report_provider
from tasks.preprocess.detect import Find, Found, detect_poses
from tasks.preprocess.figure_depth import limb_outline

if TYPE_CHECKING:
    import numpy as np

_INSTEAD = "preprocess blazepose (embedded)"
PEOPLE = ModelSource(kind="hub", id="yzd-v/DWPose", file="yolox_l.onnx", license="Apache-2.0", instead=_INSTEAD)
POINTS = ModelSource(kind="hub", id="yzd-v/DWPose", file="dw-ll_ucoco_384.onnx", license="Apache-2.0", instead=_INSTEAD)
PERSON = 0  # among COCO's classes
_PROVIDERS = {"cuda": "CUDAExecutionProvider", "mps": "CoreMLExecutionProvider", "cpu": "CPUExecutionProvider"}


class DwPose(Config):
    """Settings of DWPose."""

    max_people: int = Field(default=6, ge=1, le=MOST)
    """People per frame at most; the largest are kept."""
    min_detection_confidence: float = Field(default=0.5, gt=0, lt=1)
    """Confidence (0..1) above which a detected person counts."""


@op(
    "preprocess",
    "dwpose",
    version=2,
    config=DwPose,
    inputs=("frames",),
    distributions=("rtmlib", "onnxruntime", "opencv-python-headless", "numpy"),
    models=lambda cfg: [PEOPLE, POINTS],
    gives="poses",
)
def dwpose(cfg: DwPose, inputs: Mapping[str, str], ctx: Context) -> str:
    """DWPose (Yang et al., arXiv 2307.15880): YOLOX finds people, a distilled RTMPose reads their points.

    The points have no depth; the mask is the limbs' own outline.

    Raises:
        ModelAbsent: the weights are not on this machine and cannot be fetched.
    """
    return detect_poses("dwpose", cfg, inputs["frames"], ctx, lambda: finder(cfg, ctx), workers=1)


def provider(ctx: Context) -> str:
    """The rtmlib device for `compute.device`; where onnxruntime lacks its provider, the CPU, noted and logged."""
    import onnxruntime

    there = onnxruntime.get_available_providers()
    if ctx.compute.device == "auto":
        return next((name for name, known in _PROVIDERS.items() if known in there), "cpu")
    return ctx.compute.device if _PROVIDERS[ctx.compute.device] in there else "cpu"


def finder(cfg: DwPose, ctx: Context) -> Find:
    """Loads both networks; returns the function that looks at one frame."""
    from tasks.weights import fetch as weights

    paths = [str(path) for path in weights.fetch([PEOPLE, POINTS])]
    from rtmlib import YOLOX, RTMPose

    device = provider(ctx)
    with contextlib.redirect_stdout(io.StringIO()):  # rtmlib prints what it loads
        # This YOLOX knows 80 classes; rtmlib's other mode, "human", would hand over boxes of all of them.
        people: Any = YOLOX(
            paths[0], (640, 640), det_mode="multiclass", score_thr=cfg.min_detection_confidence, device=device
        )
        points: Any = RTMPose(paths[1], model_input_size=(288, 384), to_openpose=True, device=device)
    # onnxruntime drops a provider that fails to start and goes on with the CPU: ask the session what it runs on.
    used = points.session.get_providers()[0]
    wanted = _PROVIDERS.get(ctx.compute.device, used)
    report_provider(ctx, f"onnxruntime ({used})", None if used == wanted else wanted)

    def find(frame: np.ndarray) -> Found:
        import numpy as np

        from reel import pose

        height, width = frame.shape[:2]
        bgr = frame[:, :, ::-1].copy()
        boxes, classes = people(bgr)
        boxes = boxes[classes == PERSON]
        found: list[np.ndarray] = []
        if len(boxes):  # without boxes rtmlib would take the whole frame for a person
            places, scores = points(bgr, bboxes=boxes)  # (n, 134, 2), (n, 134): OpenPose's 18 come first
            for place, score in zip(places[:, :18], scores[:, :18], strict=True):
                person = np.zeros((18, 4), np.float32)
                person[:, :2], person[:, 3] = place, score.clip(0, 1)
                found.append(person)
        found = pose.largest_first(found)[: cfg.max_people]
        outlines = [limb_outline([person], width, height) > 0 for person in found]
        return Found.certain(found, outlines, (height, width))

    return find
