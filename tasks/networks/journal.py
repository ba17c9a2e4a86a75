"""Unfinished work on the disk: checkpoints of a denoising, finished pieces of encoding and decoding.

A checkpoint is one file, written aside, synced and renamed, with its digest in front. It is written as often as that
costs at most a fiftieth of the time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.errors import UserError
from reel.files import canonical_json, open_regular, read_file, sha256_bytes, write_atomic
from reel.store import Store

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
SHARE = 0.02
"""Part of the time that checkpoints may take."""


class _Keeping:
    """What only helps a render that is broken off: where it cannot be written, that is said once and work goes on."""

    _refused = False

    def _keep(self, write: Callable[[], None]) -> bool:
        """Whether it could be written."""
        try:
            write()
        except (OSError, UserError) as error:
            if not self._refused:
                log.warning("%s\nthe render goes on; if it is interrupted now, it starts from the beginning", error)
            self._refused = True
            return False
        return True


class JournalFile(_Keeping):
    """The checkpoint file of one render. What is in a checkpoint is its user's to say.

    Args:
        folder: its own folder, named after the render's identity.
        facts: what must be equal for a checkpoint to be used (settings, inputs, library versions).
        run: id of the render that writes it, for people.
        clock: seconds; replaced in tests.
    """

    def __init__(
        self, folder: Path, facts: dict[str, Any], run: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder = folder
        self.run = run
        self.identity = sha256_bytes(canonical_json(facts))
        self._clock = clock
        self._cost = 0.0
        self._last = clock()
        self.written = 0

    @property
    def path(self) -> Path:
        return self.folder / "state.safetensors"

    def when_due(self, write: Callable[[], None]) -> None:
        """Write a checkpoint if one is due: the first at once, later ones when the last has paid for itself.

        One that the disk refuses is none: the render goes on.
        """
        started = self._clock()
        if started - self._last < self._cost / SHARE:
            return
        self.written += self._keep(write)
        self._last = self._clock()
        self._cost = self._last - started

    def put(self, step: int, tensors: Mapping[str, torch.Tensor], **meta: str) -> None:
        """Write a checkpoint of what was done after ``step`` steps now."""
        from safetensors.torch import save

        kept = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        data = save(kept, metadata={"step": str(step), "identity": self.identity, "run": self.run, **meta})
        write_atomic(self.path, hashlib.sha256(data).digest() + data)

    def take(self) -> tuple[dict[str, torch.Tensor], dict[str, str]] | None:
        """Tensors and meta of the last checkpoint; None when there is none, it is damaged or of other settings."""
        from safetensors.torch import load

        data = read_file(self.path)
        if data is None and not self.path.exists():
            return None
        if data is None or hashlib.sha256(data[32:]).digest() != data[:32]:
            log.warning("%s is damaged; the render starts from the beginning", self.path)
            return None
        meta = _metadata(data[32:])
        return (load(data[32:]), meta) if meta["identity"] == self.identity else None

    def clear(self) -> None:
        """The render is stored: its checkpoints go."""
        shutil.rmtree(self.folder, ignore_errors=True)


class ChunkCache(_Keeping):
    """Finished chunks of encoding or decoding, each checked when it is read; what is damaged is simply made again."""

    def __init__(self, store: Store, identity: str) -> None:
        self._store = store
        self._name = f"work-{identity}"
        self._cache = store.per_frame(self._name)

    def get(self, index: int) -> bytes | None:
        """Frame ``index`` if an earlier run finished it."""
        return self._cache.get(f"{index:08d}")

    def put(self, index: int, data: bytes) -> None:
        self._keep(lambda: self._cache.put(f"{index:08d}", data))

    def clear(self) -> None:
        """The whole is stored: the pieces go."""
        shutil.rmtree(self._store.root / "frames" / self._name, ignore_errors=True)


def unfinished(store: Store) -> dict[str, tuple[int, float]]:
    """Renders that were broken off while denoising: finished steps and time of the last checkpoint, by run id."""
    found: dict[str, tuple[int, float]] = {}
    for path in sorted((store.root / "journals").glob("*/state.safetensors")):
        try:
            with open_regular(path) as file:
                file.seek(32)
                length = int.from_bytes(file.read(8), "little")
                meta = json.loads(file.read(length))["__metadata__"]
        except (OSError, ValueError, KeyError, OverflowError, MemoryError):
            continue  # damaged: the render begins anew and says so
        found[meta["run"]] = (int(meta["step"]), path.stat().st_mtime)
    return found


def _metadata(data: bytes) -> dict[str, str]:
    """The header's metadata of safetensors bytes."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length])["__metadata__"]
