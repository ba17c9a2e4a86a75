"""The process that reads the facts of a source, as `tasks.media.known_facts` starts it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from tasks.media import inside, pictures, probe
from tasks.media.source import Source


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Plain data of `probe.Probe`, or the size of pictures."""
    source = Source(Path(request["path"]), tuple(map(Path, request["pictures"])))
    if source.pictures:
        width, height = pictures.check(source)
        return {"width": width, "height": height}
    if pictures.is_animation(source.path):
        return dataclasses.asdict(probe.of_animation(pictures.size_of_animation(source.path)))
    found = probe.of_movie(source.path, keep_damaged=request["keep_damaged"], stream=request["stream"])
    return dataclasses.asdict(found)


if __name__ == "__main__":
    inside.serve(answer)
