"""storyboard: a story becomes a storyboard, its key pictures, their clips, and a cut film.

    rotoscope storyboard story="A girl finds a lantern. She waves to a ship." approve=yes
    rotoscope storyboard shots=story.yaml film.music.file=song.mp3
    rotoscope storyboard shots=story.yaml shots.3.prompt="Mira lifts the lantern, blue background"
    rotoscope storyboard -m shots=story.yaml shots.3.seed=1,2,3

What it does in which order stands in `flows.storyboard.stages`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from flows.edge.job import current
from flows.flow import Flow
from flows.render.render import render
from flows.storyboard.dropped import DROP
from flows.storyboard.plan import plan
from flows.storyboard.settings import Story
from flows.storyboard.stages import StoryPlan
from flows.storyboard.stills import StillsPlan, approved, remember
from flows.storyboard.written import told
from reel.errors import UserError
from reel.history.record import RenderRecord
from reel.op import Context
from reel.store import Store
from tasks.cached import dry_run

NAME = "storyboard"


def run(cfg: Story) -> RenderRecord:
    """The storyboard shown, its key pictures shown and approved, then the film.

    Raises:
        UserError: something to put right; or nobody was there to approve the key pictures.
    """
    store = Store(cfg.paths.store)
    todo = plan(cfg, store)
    print(told(todo.written.file, cfg.file), flush=True)
    if cfg.approve == "ask" and current().sweep is None:
        _approve(todo, cfg, store)
    return render(NAME, lambda *_: todo, None, cfg)


def _approve(todo: StoryPlan, cfg: Story, store: Store) -> None:
    """Show the key pictures and ask, unless all clips are there, or these very pictures were approved before."""
    with dry_run() as found:
        todo.draw(Context(store, cfg.compute))
    if all(one.stage.reused for one in found):
        return
    stills = StillsPlan(todo)
    record = render(NAME, lambda *_: stills, None, cfg)
    if approved(store, record):
        return
    sheet = Path(record.output or "") / stills.name
    if not sys.stdin.isatty():
        raise UserError(
            f"approve: nobody is at the terminal to say whether the key pictures will do: {sheet}",
            fix="look at them, then run the same command with approve=yes; they are kept",
        )
    print(f"\nkey pictures: {sheet}\nanimate these {len(todo.shots)} shots? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError(
            "approve: stopped before anything was animated; the key pictures are kept",
            fix="change a shot (shots.3.prompt=..., shots.3.seed=...), and run again",
        )
    remember(store, record)


FLOW = Flow(NAME, Story, run, about=__doc__, plan=plan, drop=DROP)
