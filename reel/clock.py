"""The wall's clock. Records ask for the time here, and here alone, so that one place says which clock they go by.

It is `time.time`, looked up with each call: benchmarks/chaos sets that one off in a process of its own.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


__all__ = ["now"]
