"""Files of masks that a render's controls and regional prompts name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reel.errors import UserError
from tasks.stylize.settings.regions import live_regions

if TYPE_CHECKING:
    from flows.dance.flow import Dance
    from tasks.extract import Extract

STILL: dict[str, str | None] = {"start": None, "end": None, "max_frames": None, "fps": "source"}
"""What `extract` sets about time, as a single frame has none: the clip's range and rate are not the picture's."""


@dataclass(frozen=True)
class MaskFile:
    """A file of masks, and the settings by which its frames are taken."""

    path: Path
    extract: Extract


def mask_files(cfg: Dance, controls: Iterable[str], width: int, height: int, count: int) -> dict[str, MaskFile]:
    """The mask files in use, by the renderer's input: ``mask_<control>``, ``region_<region>``.

    Args:
        controls: names of the controls that do something.
        width, height: px of the clip's frames after extraction; ``count``: how many they are.

    Raises:
        UserError: a file that is neither a picture nor a clip of that shape and length.
    """
    named = {f"mask_{name}": (f"controls.{name}", cfg.controls[name].mask_file) for name in controls}
    named |= {f"region_{name}": (f"regions.{name}", each.mask_file) for name, each in live_regions(cfg.regions).items()}
    files = {}
    for key, (setting, path) in named.items():
        if path is None:
            continue
        extract, found = _shape(cfg.extract, path, f"{setting}.mask_file")
        if found not in ((width, height, count), (width, height, 1)):
            raise UserError(
                f"{setting}.mask_file: {found[2]} frames of {found[0]}x{found[1]} after extraction, the clip has "
                f"{count} of {width}x{height}",
                fix="a picture, or a clip of the same shape, rate and length as the source",
            )
        files[key] = MaskFile(path, extract)
    return files


def _shape(cfg: Extract, path: Path, key: str) -> tuple[Extract, tuple[int, int, int]]:
    """Settings by which a file's masks are taken, and width and height (px) and number of what they take.

    Args:
        cfg: the clip's settings.
        key: the setting that names the file, for messages.
    """
    from tasks.extract import prepare

    try:
        own = cfg.model_copy(update=STILL) if _is_still(path) else cfg
        _, mask = prepare(own, path)
    except UserError as error:
        raise UserError(f"{key}: {error.message.removeprefix('clip: ')}", fix=error.fix) from None
    return own, (mask.plan.width, mask.plan.height, len(mask.expected))


def _is_still(path: Path) -> bool:
    """Whether a file holds one frame, which counts for the whole clip: a picture, or a GIF or movie of one frame."""
    from tasks.media.known_facts import facts
    from tasks.media.source import open_source

    source = open_source(path)
    if source.pictures:
        return len(source.pictures) == 1
    return len(facts(source, keep_damaged=True).pts) == 1
