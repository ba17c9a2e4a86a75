"""Key pictures are looked at before the dear part of a render: shown, asked about, and not asked about twice."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Protocol

from flows.flow import RenderPlan
from flows.render.render import render
from flows.render.settings import Rendering
from reel.errors import UserError
from reel.files import write_atomic
from reel.history.record import RenderRecord
from reel.op import Context
from reel.store import Store
from tasks.cached import dry_run


class StillsPlan(RenderPlan, Protocol):
    """The key pictures of a render as a render of their own; ``name``: of the file that shows them all."""

    @property
    def name(self) -> str: ...


def ask(
    flow: str, cfg: Rendering, store: Store, todo: RenderPlan, stills: StillsPlan, question: str, change: str
) -> None:
    """Show the key pictures and ask, unless the whole render is there, or these very pictures were approved before.

    Args:
        question: for the person at the terminal: ``animate these 3 shots?``
        change: what to change where the answer is no.

    Raises:
        UserError: the answer is no, or nobody is there to give one.
    """
    with dry_run() as found:
        todo.draw(Context(store, cfg.compute))
    if all(one.stage.reused for one in found):
        return
    record = render(flow, lambda *_: stills, None, cfg)
    if _note(store, record).exists():
        return
    sheet = Path(record.output or "") / stills.name
    if not sys.stdin.isatty():
        raise UserError(
            f"approve: nobody is at the terminal to say whether the key pictures will do: {sheet}",
            fix="look at them, then run the same command with approve=yes; they are kept",
        )
    print(f"\nkey pictures: {sheet}\n{question} [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("approve: stopped before anything was animated; the key pictures are kept", fix=change)
    write_atomic(_note(store, record), b"")  # a film that is broken off goes on without asking again


def _note(store: Store, record: RenderRecord) -> Path:
    """Stands where these very pictures were approved."""
    return store.root / "told" / f"approved-{record.pictures['frames']}"
