"""Prefect's pointers: what it keeps of a task's result, here the digest that a cache key gave, in ``<store>/results``.

Prefect decodes a pointer as the pointer itself says: a serializer (pickle where none is named), the modules that it
imports for that. So a pointer that came from elsewhere could have any code run. Here is what keeps that out: pointers
are written from key and digest alone, and one of any other form is taken away before Prefect sees it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reel.digest import is_digest
from reel.files import read_regular, write_atomic
from reel.store import Store

_SERIALIZER: Mapping[str, tuple[Any, ...]] = {
    "type": ("json",),
    "jsonlib": ("json",),
    "object_encoder": ("prefect.serializers.prefect_json_object_encoder",),
    "object_decoder": ("prefect.serializers.prefect_json_object_decoder",),
    "dumps_kwargs": ({},),
    "loads_kwargs": ({},),
}
"""What a pointer of ours says of its serializer: Prefect's defaults for JSON, and nothing beside them."""


def pointer_path(store: Store, key: str) -> Path:
    return store.root / "results" / key


def write_pointer(store: Store, key: str, digest: str) -> None:
    """Point a key at its output, as Prefect would have done after computing it."""
    path = pointer_path(store, key)
    metadata = {"storage_key": str(path), "serializer": {"type": "json"}}
    write_atomic(path, json.dumps({"metadata": metadata, "result": json.dumps(digest)}).encode())


def read_pointer(store: Store, key: str) -> str | None:
    """The digest that a key points at; None: no pointer, a damaged one, or one of another form than ours."""
    try:
        known = json.loads(read_regular(pointer_path(store, key)))
        metadata, digest = known["metadata"], json.loads(known["result"])
        serializer = metadata["serializer"]
        ours = serializer["type"] == "json" and metadata.get("expiration") is None and len(known) == 2
        ours = ours and all(value in _SERIALIZER.get(name, ()) for name, value in serializer.items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return digest if ours and is_digest(digest) else None


def drop_odd_pointer(store: Store, key: str, expected: str | None) -> str | None:
    """Take away a pointer that is not ours, or that points elsewhere than the key's own entry says.

    Args:
        expected: the output that the entry names; None: there is no entry.

    Returns:
        what was wrong with it; None: all is well, or there is none.
    """
    path = pointer_path(store, key)
    if not path.exists() and not path.is_symlink():
        return None
    digest = read_pointer(store, key)
    if digest is not None and expected in (None, digest):
        return None
    with contextlib.suppress(OSError):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return "it is damaged, or of another form" if digest is None else "it is not what the key's entry says"
