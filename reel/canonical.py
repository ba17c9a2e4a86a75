"""One spelling for one meaning: what is hashed, compared and kept of settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel


def canonical(value: Any) -> Any:
    """Plain JSON data with one spelling for one meaning: floats to nine digits, no negative zero.

    Hydra's ``range(0.2,1.0,0.4)`` gives 0.6000000000000001, which must be the same point as 0.6.

    Raises:
        ValueError: a float that is NaN or infinite, or a type that has no canonical form.
    """
    if isinstance(value, BaseModel):
        return canonical(value.model_dump(mode="json"))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no place in a cache key")
        return float(f"{value:.9g}") + 0.0
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    raise ValueError(f"{type(value).__name__} has no canonical form for a cache key")
