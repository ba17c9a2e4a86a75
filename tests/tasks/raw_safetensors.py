"""Safetensors files made byte by byte, without torch: real headers over zeros, and broken ones."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.weights.header import BITS


def header_of(shapes: Mapping[str, Sequence[int]], dtype: str = "F16", **metadata: str) -> tuple[dict[str, Any], int]:
    """The header of tensors with these shapes, and the bytes that they take."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + math.prod(shape) * BITS[dtype] // 8
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    return header, end


def packed(header: Any, data: bytes | int = b"") -> bytes:
    """A file's bytes.

    Args:
        header: text or plain data.
        data: the tensors' bytes, or how many zeros.
    """
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + (bytes(data) if isinstance(data, int) else data)


def write_names(path: Path, names: Sequence[str], shape: Sequence[int] = (2, 2)) -> Path:
    """A file whose tensors have these names."""
    path.write_bytes(packed(*header_of(dict.fromkeys(names, shape))))
    return path
