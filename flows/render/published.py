"""data/published belongs to DVC: only a stage of `dvc repro` may write there."""

from __future__ import annotations

import os
from pathlib import Path

from reel.errors import UserError


def is_published(output: Path, root: Path) -> bool:
    """Whether a folder is data/published or in it."""
    published = (root / "data" / "published").resolve()
    return output.resolve() == published or output.resolve().is_relative_to(published)


def guard(output: Path, root: Path) -> None:
    """Refuse to write into data/published by hand: DVC would not know of it, and its next run would delete it.

    Args:
        output: the folder to be written.
        root: the checkout.

    Raises:
        UserError: it is data/published or inside, and no DVC stage is running.
    """
    if is_published(output, root) and not os.environ.get("DVC_STAGE"):
        raise UserError(
            f"paths.output: {output} is in data/published, which only `dvc repro` writes",
            fix="leave paths.output empty (data/renders/<run>), or make the settings a file in "
            "conf/experiment/<flow>/, name it in dvc.yaml and run dvc repro",
        )
