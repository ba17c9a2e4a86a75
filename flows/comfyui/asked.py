"""What a graph came to when its server was last asked: with that, a result in the store needs no server that answers.

The cache key of ``comfyui.run`` holds what the server states: types of inputs, packs, versions. So
``<store>/comfyui/<request>`` keeps the key that followed, by all that was asked for: graph, files, output and address.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from reel.digest import is_digest
from reel.files import read_file, sha256_bytes, write_atomic
from reel.keys import kept, make_key
from reel.op import get
from reel.store import Store
from tasks.comfyui.settings import Run

Request = Mapping[str, object]
"""All that is asked for, as JSON values."""


def note(store: Store, request: Request, run: Run, inputs: Mapping[str, str]) -> None:
    """Keep what a request came to, where the store takes anything.

    Args:
        inputs: digests of the run's uploads.
    """
    key = make_key(get("comfyui", "run"), run, inputs, {}).digest.encode()
    path = _path(store, request)
    if store.writable and read_file(path) != key:
        write_atomic(path, key)


def recalled(store: Store, request: Request, files: Mapping[str, str]) -> Run | None:
    """What a request came to when it was last made; None: it never was, or the store does not have its result.

    Args:
        files: digests of all files that are given, by the input that holds them.
    """
    key = (read_file(_path(store, request)) or b"").decode("ascii", "replace")
    entry = kept(store, key) if is_digest(key) else None
    if entry is None:
        return None
    try:
        run = Run.model_validate(entry["fields"].get("config"))
        inputs = {name: files[name] for name in run.uploads}
        now = make_key(get("comfyui", "run"), run, inputs, {}).digest
    except (ValidationError, KeyError):  # of another version of this program
        return None
    return run if now == key else None


def _path(store: Store, request: Request) -> Path:
    text = json.dumps(request, sort_keys=True)  # in ASCII: a stranger's file may hold half a surrogate pair
    return store.root / "comfyui" / sha256_bytes(text.encode())
