"""Where the pictures of a render are: its result, its source and its maps, in the store or in the exported film."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from reel.clip import Clip
from reel.compute import Compute
from reel.errors import MissingObject, UserError
from reel.history.record import RenderRecord, locate
from reel.keys import recall
from reel.op import Context, get
from reel.store import Store

log = logging.getLogger(__name__)
FILM_INSTEAD = "its film is shown instead"
LADDER = (64, 96, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512, 640, 768)
"""Short sides of previews, px. Steps, so that one more render rarely changes the size of all the others' previews."""

Kind = Literal["clip", "film"]


@dataclass(frozen=True)
class Reel:
    """Pictures to show.

    Attributes:
        kind: a clip in the store, or a film file that has to be extracted first.
        digest: of the clip, or of the file's bytes.
        size: width and height, px.
    """

    kind: Kind
    digest: str
    size: tuple[int, int]
    count: int
    fps: float
    path: Path | None = None


@dataclass(frozen=True)
class Footage:
    """What can be shown of a render; ``result`` is None where nothing is left, with the reason in ``missing``."""

    result: Reel | None = None
    source: Reel | None = None
    maps: Mapping[str, Reel] = field(default_factory=dict)
    missing: str = ""


def find(store: Store, record: RenderRecord) -> Footage:
    """Look for a render's pictures: clips in the store first, then the film wherever it still is."""
    inputs = record.pictures or _older(store, record)
    found = {name: reel for name, digest in inputs.items() if (reel := _clip(store, digest))}
    maps = {name.removeprefix("map_"): reel for name, reel in found.items() if name.startswith("map_")}
    result, missing = found.get("frames"), ""
    if result is None:
        result, missing = _film(store, record)
        if result is not None:
            log.warning("%s: the store no longer has its frames whole; %s, compressed", record.run, FILM_INSTEAD)
    return Footage(result, found.get("original"), maps, missing)


def _older(store: Store, record: RenderRecord) -> dict[str, str]:
    """The pictures of a record that was written before records named them: what its film was assembled from."""
    for stage in reversed(record.stages):
        if stage.op == "assemble":
            return dict((recall(store, stage.key) or {}).get("fields", {}).get("inputs", {}))
    return {}


def _clip(store: Store, digest: str) -> Reel | None:
    try:
        clip = Clip.open(store, digest)
    except UserError:  # gone, damaged, or not a clip (a source file's digest)
        return None
    return Reel("clip", digest, (clip.width, clip.height), clip.count, float(clip.fps))


def _film(store: Store, record: RenderRecord) -> tuple[Reel | None, str]:
    from tasks.extract import Extract, prepare

    film = next((output for output in record.outputs if output.role == "movie"), None)
    if film is None:
        return None, "this render has no film"
    path = locate(store, record, film)
    if path is None:
        return None, f"{film.name} is missing or changed, and the store no longer has the frames"
    try:
        facts, job = prepare(Extract(multiple_of=2), path)
    except UserError as error:
        return None, error.message
    return Reel("film", film.sha256, (job.plan.width, job.plan.height), len(facts.pts), float(facts.fps or 1), path), ""


def clip(reel: Reel, short_side: int, ctx: Context) -> str:
    """The digest of a reel's clip; a film is extracted first, no larger than it will be shown."""
    from tasks.cached import call
    from tasks.extract import Extract

    if reel.kind == "clip":
        return reel.digest
    assert reel.path is not None
    settings = Extract(short_side=min(short_side, min(reel.size)), multiple_of=2, damaged="keep")
    there = replace(ctx, files={"source": reel.path}, compute=Compute())
    return call(get("extract", "extract"), settings, {"source": reel.digest}, there).digest


__all__ = ["FILM_INSTEAD", "LADDER", "Footage", "MissingObject", "Reel", "clip", "find"]
