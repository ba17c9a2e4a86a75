"""What commands take after their flags: paths and whole numbers, told by what is allowed where they are none."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from reel.config import local_path, shortened


def path(text: str) -> Path:
    """A file or folder, for argparse.

    Raises:
        argparse.ArgumentTypeError: no file system takes that name.
    """
    try:
        return local_path(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """A whole number from ``least`` to ``most``, for argparse."""
    allowed = f"{least} or more" if most is None else f"{least} to {most}"

    def parsed(text: str) -> int:
        number = text.removeprefix("-")
        if number.isdecimal() and len(number) < 19 and least <= int(text) <= (int(text) if most is None else most):
            return int(text)
        raise argparse.ArgumentTypeError(f"must be a whole number, {allowed}, got {shortened(repr(text))}")

    return parsed
