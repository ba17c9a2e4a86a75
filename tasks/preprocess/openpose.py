"""Body key points by the original OpenPose network. Its licence (CMU) allows non-commercial use only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from reel.config import Field
from reel.op import Context, op
from reel.pose import MOST
from tasks.preprocess.annotators import Annotator, annotator, device, quiet
from tasks.preprocess.detect import Find, Found, detect_poses
from tasks.preprocess.figure_depth import limb_outline

if TYPE_CHECKING:
    import numpy as np

SOURCE = annotator("body_pose_model.pth", instead="preprocess blazepose (embedded)")


class OpenPose(Annotator):
    """Settings of OpenPose."""

    max_people: int = Field(default=6, ge=1, le=MOST)
    """People per frame at most; the largest are kept."""


@op(
    "preprocess",
    "openpose",
    version=2,
    config=OpenPose,
    inputs=("frames",),
    distributions=("controlnet-aux", "torch", "scipy", "opencv-python-headless", "numpy"),
    models=lambda cfg: [SOURCE],
    gives="poses",
)
def openpose(cfg: OpenPose, inputs: Mapping[str, str], ctx: Context) -> str:
    """OpenPose (Cao et al., arXiv 1812.08008): 18 points without depth; the mask is the limbs' own outline.

    Raises:
        ModelAbsent: the weights are not on this machine and cannot be fetched.
    """
    return detect_poses("openpose", cfg, inputs["frames"], ctx, lambda: finder(cfg, ctx), workers=1)


def finder(cfg: OpenPose, ctx: Context) -> Find:
    """Loads the network; returns the function that looks at one frame."""
    from tasks.weights import fetch as weights

    path = weights.path(SOURCE)
    with quiet():
        from controlnet_aux.open_pose.body import Body
        from controlnet_aux.util import resize_image

    body = Body(str(path)).to(device(ctx))  # torch.load with its default, weights_only

    def find(frame: np.ndarray) -> Found:
        import numpy as np

        from reel import pose

        height, width = frame.shape[:2]
        seen = resize_image(frame, cfg.detect_resolution)
        scale = np.array([width / seen.shape[1], height / seen.shape[0]])
        candidates, people = body(seen[:, :, ::-1].copy())
        found = []
        for result in body.format_body_result(candidates, people):
            person = np.zeros((18, 4), np.float32)
            for index, point in enumerate(result.keypoints):
                if point is not None:
                    person[index, :2] = (np.array([point.x, point.y]) + 0.5) * scale
                    person[index, 3] = min(1.0, max(0.01, point.score))
            found.append(person)
        found = pose.largest_first(found)[: cfg.max_people]
        outlines = [limb_outline([person], width, height) > 0 for person in found]
        return Found.certain(found, outlines, (height, width))

    return find
