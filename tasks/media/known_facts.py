"""The facts of a movie or of pictures, read once for their content: that costs most of a cached render.

They are read in a process of their own (`tasks.media.contained`) and lie in the cache of the user, by the digest of the
file's bytes, of the code that read them and PyAV's version.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from reel.code_hash import closure_hash
from reel.errors import UserError
from reel.files import canonical_json, read_checked, sha256_bytes, write_checked
from reel.keys import library_version
from tasks.media import contained, cropping, facts_process, ffmpeg, probe, times
from tasks.media.colour import Tags
from tasks.media.source import Source, source_digest
from tasks.weights.files import cache_dir

Facts = TypeVar("Facts")
LIBRARIES = ("av", "pillow", "pi-heif", "imageio-ffmpeg")
"""Whose versions can change what is read."""


def facts(
    source: Source, *, picture_fps: Fraction | None = None, keep_damaged: bool = False, stream: int | None = None
) -> probe.Probe:
    """The facts of a source.

    Args:
        picture_fps, keep_damaged, stream: as `probe.of_pictures` and `probe.of_movie` have them.

    Raises:
        UserError: as these; or the file is so damaged that what reads it broke down.
    """
    made_of = {"source": source_digest(source.path)}
    if source.pictures:
        size = _known(made_of, lambda: _asked(source), lambda data: (int(data["width"]), int(data["height"])))
        return probe.of_pictures(source, size, picture_fps)
    how = {"keep_damaged": keep_damaged, "stream": stream}
    return _known({**made_of, **how}, lambda: _movie(source, keep_damaged, stream), _of_plain)


def _known(made_of: Mapping[str, Any], read: Callable[[], Any], of_plain: Callable[[Any], Facts]) -> Facts:
    """What is kept of an earlier reading, else what ``read`` finds, as plain data."""
    path = _path(made_of)
    if known := read_checked(path):
        with contextlib.suppress(ValueError, KeyError):
            return of_plain(json.loads(known))
    found = read()
    with contextlib.suppress(OSError, UserError):
        write_checked(path, json.dumps(found, default=str).encode())
    return of_plain(found)


def _movie(source: Source, keep_damaged: bool, stream: int | None) -> dict[str, Any]:
    data = _asked(source, keep_damaged=keep_damaged, stream=stream)
    if cropping.possible(source.path, data["container"]):
        data["width"], data["height"] = cropping.shown_size(source.path, _of_plain(data))
    if data["decoded"]:
        shown = times.decoded(source.path, _of_plain(data), keep_damaged)
        data |= {"pts": shown.pts, "last_duration": shown.last_duration}
    return data


def _asked(source: Source, **settings: Any) -> dict[str, Any]:
    files = source.pictures or (source.path,)
    size = sum(path.stat().st_size for path in files)
    request = {"path": str(source.path), "pictures": list(map(str, source.pictures)), **settings}
    answer = contained.ask(
        facts_process.__name__, request, name=source.name, seconds=contained.limit(size), meanwhile=ffmpeg.ready
    )  # what comes next needs it, and it takes as long as reading a short file
    assert isinstance(answer, dict)
    return answer


def _path(made_of: Mapping[str, Any]) -> Path:
    made_of = {**made_of, "code": closure_hash(__name__), "libraries": [*map(library_version, LIBRARIES)]}
    return cache_dir() / "probes" / f"{sha256_bytes(canonical_json(made_of))}.json"


def _of_plain(data: dict[str, Any]) -> probe.Probe:
    exact = {name: Fraction(data[name]) for name in ("sample_aspect", "time_base", "stated_fps", "zero")}
    return probe.Probe(**{**data, **exact, "tags": Tags(**data["tags"]), "sound": _sound(data["sound"])})


def _sound(data: dict[str, Any] | None) -> probe.Sound | None:
    if data is None:
        return None
    duration = None if data["duration"] is None else Fraction(data["duration"])
    return probe.Sound(**{**data, "start": Fraction(data["start"]), "duration": duration})
