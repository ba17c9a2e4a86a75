"""Cache keys. A false hit is the worst bug this project can have; unsure means a miss.

``key = sha256(op, version, library versions, canonical settings, input digests, model contents, namespace)``
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from reel.canonical import canonical
from reel.code_hash import namespace
from reel.config import Config
from reel.digest import is_digest
from reel.files import canonical_json, read_file, sha256_bytes, write_atomic
from reel.op import Op
from reel.pointer import read_pointer
from reel.store import Store

SCHEMA = 1


@dataclass(frozen=True)
class Key:
    """A cache key and the fields that it is the hash of."""

    digest: str
    fields: Mapping[str, Any]


C = TypeVar("C", bound=Config)


def executed(cfg: C) -> C:
    """The settings as the key has them: ops run what the key says, to the last digit."""
    return type(cfg).model_validate(canonical(cfg))


@functools.cache
def library_version(distribution: str) -> str:
    """Version of an installed distribution: its metadata's own field, without reading all the rest of them."""
    try:
        found = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
    head = (found.read_text("METADATA") or "").partition("\n\n")[0]
    version = re.search(r"^Version:[ \t]*(.+?)[ \t]*$", head, re.MULTILINE)
    return version[1] if version else found.version


def make_key(op: Op, cfg: Config, inputs: Mapping[str, str], models: Mapping[str, str]) -> Key:
    """The key of one call.

    Args:
        cfg: the op's whole settings; every field counts.
        inputs: digests by input name.
        models: content ids of the models that these settings use, by source label.

    Raises:
        ValueError: an input that the op does not take (a wiring mistake, not the user's).
    """
    unknown = [name for name in inputs if not op.takes(name)]
    if unknown:
        raise ValueError(f"op {op.id} takes {', '.join(op.inputs)}; got {', '.join(unknown)}")
    fields = {
        "schema": SCHEMA,
        "op": op.id,
        "version": op.version,
        "namespace": namespace(op.id, op.version, op.module),
        "libraries": {name: library_version(name) for name in op.distributions},
        "config": canonical(cfg),
        "inputs": dict(inputs),
        "models": dict(models),
    }
    return Key(sha256_bytes(canonical_json(fields)), fields)


def remember(
    store: Store,
    key: Key,
    output: str,
    facts: Mapping[str, Any],
    seconds: float,
    work: Mapping[str, Any] | None = None,
) -> None:
    """Keep what a key was made of and what it gave, for `why` and for finding an object's ancestors.

    Args:
        work: what there was to do in those seconds, as `reel.forecast` reads it.
    """
    entry = {
        "fields": key.fields,
        "output": output,
        "facts": dict(facts),
        "seconds": round(seconds, 3),
        "made": time.time(),
        "work": dict(work or {}),
    }
    body = json.dumps(entry, ensure_ascii=False).encode()
    write_atomic(entry_path(store, key.digest), body[:-1] + _SEAL % sha256_bytes(body).encode())


_SEAL = b', "sha256": "%s"}'
"""How an entry ends: with the checksum of what it is without this."""


def entry_path(store: Store, digest: str) -> Path:
    return store.root / "keys" / f"{digest}.json"


def recall(store: Store, digest: str) -> dict[str, Any] | None:
    """The remembered entry of a key; None: there is none, or it is damaged, and then its output is made again."""
    if not is_digest(digest) or (data := read_file(entry_path(store, digest))) is None:
        return None
    try:
        return parse_entry(data)
    except ValueError:
        return None


def parse_entry(data: bytes) -> dict[str, Any]:
    """An entry as `remember` writes it.

    Raises:
        ValueError: it is none: its checksum does not fit, a part is missing or of another type, or its output is no
            digest.
    """
    try:
        entry = json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(entry, dict) or not is_digest(entry.get("output")):
        raise ValueError("no entry of a key")
    seal = entry.pop("sha256", None)  # 0.2.0 and before wrote none
    if seal is not None and seal != sha256_bytes(data[: -len(_SEAL % bytes(64))] + b"}"):
        raise ValueError("its checksum does not fit")
    fields = entry.get("fields")
    groups = [fields.get(name) for name in ("inputs", "libraries", "models")] if isinstance(fields, dict) else [None]
    if not all(isinstance(group, dict) for group in [*groups, entry.get("facts"), entry.get("work", {})]):
        raise ValueError("a part of the entry is of another type")
    if not all(isinstance(entry.get(name), int | float) for name in ("seconds", "made")):
        raise ValueError("seconds and made must be numbers")
    return entry


def kept(store: Store, digest: str) -> dict[str, Any] | None:
    """The entry of a key whose output is known; None: unknown, or what is kept about it does not agree."""
    entry = recall(store, digest)
    if entry is None or sha256_bytes(canonical_json(entry["fields"])) != digest:
        return None
    return entry if read_pointer(store, digest) == entry["output"] else None


def entries(store: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    """All remembered keys with their entries."""
    for path in sorted((store.root / "keys").glob("*.json")):
        entry = recall(store, path.stem)
        if entry is not None:
            yield path.stem, entry


def differences(now: Mapping[str, Any], then: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted field paths in which two sets of key fields differ, as ``path: then -> now``."""
    found: list[str] = []
    for name in sorted(now.keys() | then.keys()):
        a, b = then.get(name, "-"), now.get(name, "-")
        if a == b:
            continue
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found.extend(differences(b, a, f"{prefix}{name}."))
        elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b) > 0:
            found.append(_listed(a, b, f"{prefix}{name}"))
        else:
            found.append(f"{prefix}{name}: {_short(a)} -> {_short(b)}")
    return found


def _listed(a: list[Any], b: list[Any], path: str) -> str:
    """Two lists of one length, such as a value for each frame: the first entry that differs, and how many do."""
    at = [i for i, (one, other) in enumerate(zip(a, b, strict=True)) if one != other]
    more = f" ({len(at)} of {len(a)} differ, {at[0]} to {at[-1]})" if len(at) > 1 else ""
    one, other = a[at[0]], b[at[0]]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return _listed(one, other, f"{path}[{at[0]}]") + more
    return f"{path}[{at[0]}]: {_short(one)} -> {_short(other)}{more}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", text)  # a sha256
    return f"{text[:57]}..." if len(text) > 60 else text
