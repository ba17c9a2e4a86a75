"""Reading the embedded family's figures with its probe: what the metrics built on it share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reel.clip import Clip
from reel.models.source import ModelSource
from tasks.sprite import spec
from tasks.sprite.spec import Spec

if TYPE_CHECKING:
    import numpy as np

    from tasks.sprite.probe import Reading

PROBE = ModelSource(kind="embedded", id="sprite", files=["probe.safetensors", spec.FILE], license="Apache-2.0")
AT_A_TIME = 64
"""Frames in memory at a time; fixed, because a sum of floats depends on how many are summed together."""


@dataclass(frozen=True)
class Square:
    """How a frame becomes the probe's square: padded by its border pixels on both sides, then scaled.

    At the family's own size nothing changes. The probe's accuracy is measured there only.
    """

    width: int
    height: int
    side: int
    """Of the pictures that the probe was trained on, px."""

    @property
    def scale(self) -> float:
        return self.side / max(self.width, self.height)

    def picture(self, frame: np.ndarray) -> np.ndarray:
        """Frame `(height, width, 3)` uint8 -> `(side, side, 3)` uint8."""
        import cv2

        if (self.width, self.height) == (self.side, self.side):
            return frame
        x, y = self._pad()
        square = cv2.copyMakeBorder(frame, y, self._rest(y, self.height), x, self._rest(x, self.width),
                                    cv2.BORDER_REPLICATE)  # fmt: skip
        how = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_LINEAR
        return cv2.resize(square, (self.side, self.side), interpolation=how)

    def person(self, person: np.ndarray) -> np.ndarray:
        """A person `(18, 4)` in the frame's px -> in the square's."""
        import numpy as np

        moved = np.array(person, np.float64)
        moved[:, :2] = (moved[:, :2] + self._pad()) * self.scale
        moved[:, 2] *= self.scale
        return moved

    def _pad(self) -> tuple[int, int]:
        side = max(self.width, self.height)
        return (side - self.width) // 2, (side - self.height) // 2

    def _rest(self, pad: int, length: int) -> int:
        return max(self.width, self.height) - length - pad


def known() -> Spec:
    """What the embedded family draws.

    Raises:
        ModelAbsent: the embedded family is not in this checkout.
    """
    from tasks.weights import fetch as weights

    return spec.load(weights.path(PROBE))


def read_frames(clip: Clip) -> Reading:
    """What the probe sees in each frame.

    Raises:
        ModelAbsent: the embedded family is not in this checkout.
    """
    import numpy as np

    from tasks.sprite import probe
    from tasks.weights import fetch as weights
    from tasks.weights.memory import LOADED

    path = weights.path(PROBE) / "probe.safetensors"
    network = LOADED.get(f"probe {weights.content_id(PROBE)}", path.stat().st_size, lambda: probe.load(path))
    square = Square(clip.width, clip.height, network.spec.frame)
    parts = [
        probe.read(network, np.stack([square.picture(frame) for frame in clip.frames(start, start + AT_A_TIME)]))
        for start in range(0, clip.count, AT_A_TIME)
    ]
    return probe.Reading(
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.joints for part in parts]),
        [np.concatenate(chances) for chances in zip(*(part.chances for part in parts), strict=True)],
        network.spec,
    )
