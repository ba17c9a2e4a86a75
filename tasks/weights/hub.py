"""Weights from the Hugging Face hub: one commit, the wanted files only, checked against models.lock.json.

The hub's own cache is used ($HF_HOME), so that models fetched by other programs are not fetched twice. The lock file
is part of the checkout and belongs in git: it is what makes `revision: null` mean the same model everywhere.
"""

from __future__ import annotations

import contextlib
import fnmatch
import importlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from reel.models.source import ModelSource
from tasks.weights.files import (
    ROOT,
    ModelAbsent,
    ModelChanged,
    NetworkTrouble,
    locked,
    sha256_of,
    with_retries,
    write_json,
)

T = TypeVar("T")
TIMEOUT = 3.0
"""Seconds that the hub has for its first answer; the client itself would try for a minute."""
_KNOWN_FOR = 30.0
"""Seconds for which a hub that did not answer is not asked again: a render may want ten models of it."""
COMMIT = re.compile(r"[0-9a-f]{40}")


def lock_file() -> Path:
    """$ROTOSCOPE_MODELS_LOCK, else models.lock.json in the checkout."""
    return Path(os.environ.get("ROTOSCOPE_MODELS_LOCK") or ROOT / "models.lock.json")


def commit_of(source: ModelSource) -> str:
    """The 40 hex digits of the source's commit: from its pin, else from the lock, else asked of the hub and locked.

    Raises:
        ModelAbsent: neither pinned nor locked, and the hub cannot be asked.
    """
    if source.revision and COMMIT.fullmatch(source.revision):
        return source.revision
    name = f"{source.id}@{source.revision or 'default'}"
    if known := _read_lock()["commits"].get(name):
        return str(known)
    commit = _asking(source, lambda api: str(api.model_info(source.id, revision=source.revision).sha))
    with locked("models.lock"):
        lock = _read_lock()
        known = lock["commits"].setdefault(name, commit)
        write_json(lock_file(), lock)
    return str(known)


def fetch(source: ModelSource) -> Path:
    """Path of the source's file or folder in the hub's cache, fetched if needed and checked.

    Raises:
        ModelAbsent: not in the cache and the hub cannot be reached, or has no such model, or asks for a licence.
        ModelChanged: a file of this commit is not the one recorded at the first download.
    """
    commit = commit_of(source)
    folder = _in_cache(source, commit) or _download(source, commit)
    names = wanted(source, (str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()))
    if not names:
        raise _nothing_wanted(source, commit)
    _check(source, commit, {name: sha256_of(folder / name) for name in names})
    inner = folder / (source.subfolder or "")
    return inner / source.file if source.file else inner


def present(source: ModelSource) -> bool:
    """Whether `fetch` would need no network."""
    try:
        commit = source.revision if source.revision and COMMIT.fullmatch(source.revision) else None
        commit = commit or _read_lock()["commits"].get(f"{source.id}@{source.revision or 'default'}")
        return commit is not None and _in_cache(source, str(commit)) is not None
    except ModelChanged:
        return True


def address() -> str:
    """Of the hub: $HF_ENDPOINT, else the public one."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def offline() -> bool:
    """Whether the hub's client was told to ask nobody."""
    return os.environ.get("HF_HUB_OFFLINE", "0").lower() not in ("", "0", "false", "no")


def silent() -> str:
    """Why the hub gives no answer of any kind, found within seconds; empty where it gives one."""
    import urllib.error
    import urllib.request

    if not address().startswith(("http://", "https://")):
        return f"HF_ENDPOINT: {address()!r} is not an address"
    since, why = _asked
    if why is None or (why and time.monotonic() - since > _KNOWN_FOR):
        why = ""
        try:
            urllib.request.urlopen(urllib.request.Request(address(), method="HEAD"), timeout=TIMEOUT).close()
        except urllib.error.HTTPError:  # it answered, whatever it said
            pass
        except (urllib.error.URLError, OSError, ValueError) as error:
            why = str(getattr(error, "reason", error))
        _asked[:] = [time.monotonic(), why]
    return why


_asked: list[Any] = [0.0, None]
"""When the hub was asked last, and why it did not answer; None: it was not asked yet."""


_NOT_READ = (".bin", ".ckpt", ".h5", ".msgpack", ".onnx", ".onnx_data", ".pb", ".pt", ".pth", ".xml")
"""Weights for other programs, which lie beside the safetensors and are several times as large: SDXL's, say."""


def _chosen(name: str, pattern: str) -> bool:
    """Whether a pattern chooses a name: a whole folder (``unet/*``) means what is read of it."""
    return fnmatch.fnmatchcase(name, pattern) and not (pattern.endswith("/*") and name.endswith(_NOT_READ))


def wanted(source: ModelSource, names: Iterable[str]) -> list[str]:
    """The names that the source's patterns choose, sorted. With variant fp16 the full-size twins are left out."""
    chosen = {n for n in names if any(_chosen(n, pattern) for pattern in source.patterns())}
    if source.subfolder is None and source.files is None and source.file is None:
        chosen = {n for n in chosen if "/" not in n}  # a plain repository means its top folder, not every variant
    weights = {n for n in chosen if n.endswith(".safetensors")}
    half = {n for n in weights if ".fp16." in n}
    if source.file is None:
        full_of = {n.replace(".fp16.", ".") for n in half}
        chosen -= full_of & weights if source.variant == "fp16" else half
    return sorted(chosen)


def _in_cache(source: ModelSource, commit: str) -> Path | None:
    """The snapshot folder if every file recorded for this source is in it."""
    import huggingface_hub as hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    recorded = wanted(source, _read_lock()["files"].get(f"{source.id}@{commit}", {}))
    if not recorded:
        return None
    try:
        found = hub.snapshot_download(source.id, revision=commit, local_files_only=True, allow_patterns=recorded)
        folder = Path(str(found))
    except LocalEntryNotFoundError:
        return None
    return folder if all((folder / name).is_file() for name in recorded) else None


def _download(source: ModelSource, commit: str) -> Path:
    import huggingface_hub as hub

    def listing(api: Any) -> list[str]:
        return [item.rfilename for item in api.model_info(source.id, revision=commit).siblings]

    def snapshot(_: Any) -> Path:
        return Path(str(hub.snapshot_download(source.id, revision=commit, allow_patterns=names)))

    names = wanted(source, _asking(source, listing))
    if not names:
        raise _nothing_wanted(source, commit)
    folder = _asking(source, snapshot)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ModelAbsent(f"{source.label}: the download ended without {', '.join(missing)}", fix="run again")
    return folder


def _check(source: ModelSource, commit: str, digests: dict[str, str]) -> None:
    """Compare with the lock; record what is new. A commit's files can only change by damage or by a forged hub."""
    key = f"{source.id}@{commit}"
    known = _read_lock()["files"].get(key, {})
    for name, digest in digests.items():
        if name in known and known[name] != digest:
            raise ModelChanged(
                f"{source.label}: {name} has sha256 {digest}, models.lock.json says {known[name]}",
                fix="remove it from the hub's cache (`hf cache`) and run again; "
                "if the change is wanted, delete the entry from models.lock.json",
            )
    if digests.keys() - known.keys():
        with locked("models.lock"):
            lock = _read_lock()
            lock["files"].setdefault(key, {}).update(digests)
            write_json(lock_file(), lock)


def _read_lock() -> dict[str, Any]:
    try:
        lock = json.loads(lock_file().read_text())
    except FileNotFoundError:
        return {"commits": {}, "files": {}}
    except ValueError as error:
        raise ModelChanged(f"{lock_file()} is not JSON ({error})", fix="restore it from git") from None
    return {"commits": lock.get("commits", {}), "files": lock.get("files", {})}


def _asking(source: ModelSource, ask: Callable[[Any], T]) -> T:
    """Ask the hub, with retries; its errors become messages that say what to do."""
    if not offline() and (why := silent()):
        raise _unreachable(source, why)

    import huggingface_hub as hub
    from huggingface_hub import errors

    def once() -> T:
        try:
            return ask(hub.HfApi())
        except errors.GatedRepoError:
            raise ModelAbsent(
                f"{source.label}: its authors ask you to accept a licence first",
                fix=f"accept it on the page of {source.id}, make an access token there, then: hf auth login",
            ) from None
        except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
            if isinstance(error, errors.LocalEntryNotFoundError):
                raise NetworkTrouble(str(error)) from None
            what = f"revision {source.revision}" if isinstance(error, errors.RevisionNotFoundError) else source.label
            raise ModelAbsent(f"{source.label}: the hub has no {what}", fix="check id and revision") from None
        except errors.OfflineModeIsEnabled:
            raise _unreachable(source, "HF_HUB_OFFLINE is set") from None
        except errors.HfHubHTTPError as error:
            status = getattr(error.response, "status_code", 0)
            if status and status < 500 and status not in (408, 429):
                raise ModelAbsent(f"{source.label}: the hub answers {status}", fix="check access and token") from None
            raise NetworkTrouble(str(error)) from None
        except _transport_errors() as error:
            raise NetworkTrouble(f"{type(error).__name__}: {error}") from None

    try:
        return with_retries(once)
    except NetworkTrouble as trouble:
        raise _unreachable(source, str(trouble)) from None


def _transport_errors() -> tuple[type[Exception], ...]:
    """What a connection raises when it cannot be made or breaks; the hub's client has changed libraries for it."""
    found: list[type[Exception]] = [ConnectionError, TimeoutError]
    for library in ("httpx2", "httpx"):
        with contextlib.suppress(ImportError):
            found.append(importlib.import_module(library).TransportError)
    return tuple(found)


def _nothing_wanted(source: ModelSource, commit: str) -> ModelAbsent:
    return ModelAbsent(
        f"{source.label}: commit {commit[:12]} has no file like {', '.join(source.patterns())}",
        fix="name other files: or subfolder: in its YAML file (a repository may hold only .bin or .ckpt, not read)",
    )


def _unreachable(source: ModelSource, why: str) -> ModelAbsent:
    first = next(iter(why.strip().splitlines()), "no answer")
    return ModelAbsent(
        f"{source.label}: not on this machine, and the model hub cannot be reached ({first})",
        fix="connect and run again, point HF_ENDPOINT at a mirror, copy another machine's hub cache to $HF_HOME, "
        f"or use {source.instead or 'a family that is here, as `rotoscope models` lists them'}",
    )
