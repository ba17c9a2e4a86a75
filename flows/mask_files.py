"""Files of masks that a render's controls and regional prompts name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from reel.errors import UserError
from tasks.stylize.region import live_regions

if TYPE_CHECKING:
    from flows.dance import Dance


def mask_files(cfg: Dance, controls: Iterable[str], width: int, height: int, count: int) -> dict[str, Path]:
    """The mask files in use, by the renderer's input: ``mask_<control>``, ``region_<region>``.

    Args:
        controls: names of the controls that do something.
        width, height: px of the clip's frames after extraction; ``count``: how many they are.

    Raises:
        UserError: a file that is neither a picture nor a clip of that shape and length.
    """
    from tasks.extract import prepare

    named = {f"mask_{name}": (f"controls.{name}", cfg.controls[name].mask_file) for name in controls}
    named |= {f"region_{name}": (f"regions.{name}", each.mask_file) for name, each in live_regions(cfg.regions).items()}
    files = {}
    for key, (setting, path) in named.items():
        if path is None:
            continue
        _, mask = prepare(cfg.extract, path)
        found = (mask.plan.width, mask.plan.height, len(mask.expected))
        if found not in ((width, height, count), (width, height, 1)):
            raise UserError(
                f"{setting}.mask_file: {found[2]} frames of {found[0]}x{found[1]} after extraction, the clip has "
                f"{count} of {width}x{height}",
                fix="a picture, or a clip of the same shape, rate and length as the source",
            )
        files[key] = path
    return files
