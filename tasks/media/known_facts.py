"""The facts of a movie, read once for its content: PyAV and the file's index cost most of a cached render.

They lie in the cache of the user, by the digest of the file's bytes, of the code that read them and PyAV's version.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

from reel.code_hash import closure_hash
from reel.errors import UserError
from reel.files import canonical_json, read_checked, sha256_bytes, write_checked
from reel.keys import library_version
from tasks.media import probe
from tasks.media.colour import Tags
from tasks.media.source import Source, source_digest
from tasks.weights.files import cache_dir


def facts(source: Source, *, picture_fps: Fraction | None = None, keep_damaged: bool = False) -> probe.Probe:
    """As `tasks.media.probe.probe`, and what that raises."""
    if source.pictures:
        return probe.probe(source, picture_fps=picture_fps)
    path = _path(source, keep_damaged)
    if known := read_checked(path):
        with contextlib.suppress(ValueError, KeyError):
            return _of_plain(json.loads(known))
    found = probe.probe(source, keep_damaged=keep_damaged)
    with contextlib.suppress(OSError, UserError):
        write_checked(path, json.dumps(dataclasses.asdict(found), default=str).encode())
    return found


def _path(source: Source, keep_damaged: bool) -> Path:
    made_of = {
        "source": source_digest(source.path),
        "keep_damaged": keep_damaged,
        "code": closure_hash(probe.__name__),
        "av": library_version("av"),
    }
    return cache_dir() / "probes" / f"{sha256_bytes(canonical_json(made_of))}.json"


def _of_plain(data: dict[str, Any]) -> probe.Probe:
    exact = {name: Fraction(data[name]) for name in ("sample_aspect", "time_base", "stated_fps", "zero")}
    return probe.Probe(**{**data, **exact, "tags": Tags(**data["tags"]), "sound": _sound(data["sound"])})


def _sound(data: dict[str, Any] | None) -> probe.Sound | None:
    if data is None:
        return None
    duration = None if data["duration"] is None else Fraction(data["duration"])
    return probe.Sound(**{**data, "start": Fraction(data["start"]), "duration": duration})
