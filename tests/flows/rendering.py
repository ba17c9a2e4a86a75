"""Small renders of the sample clip for tests of `dance`: one store is rendered once, tests work on copies of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from flows import cli
from reel.history.record import RenderRecord, list_records
from reel.store import Store

SMALL = [
    *("extract.max_frames=3", "extract.short_side=64", "stylize.num_inference_steps=2", "tracking=none"),
    *("assemble.side_by_side=false", "compute.dtype=float32"),  # auto is bfloat16 on CPUs that multiply it
]
Render = Callable[..., RenderRecord]
"""Renders with further overrides; gives the record."""


def rendered(folder: Path, settings: Sequence[str]) -> Store:
    """A fresh store in which a render with these settings stands."""
    store = Store(folder / "store")
    assert cli.main(["dance", *settings, f"paths.store={store.root}", f"paths.output={folder / 'out'}"]) == 0
    return store


def on_a_copy(warm: Store, folder: Path, settings: Sequence[str]) -> Render:
    """Renders on a copy of a store."""
    shutil.copytree(warm.root, folder / "store")

    def run(*overrides: str) -> RenderRecord:
        return list_records(rendered(folder, [*settings, *overrides]))[0][-1]

    return run


def computed(record: RenderRecord) -> list[str]:
    """Ops that a render did not find in its store."""
    return [stage.op for stage in record.stages if not stage.reused]
