"""storyboard: a story becomes a storyboard, its key pictures, their clips, and a cut film.

    rotoscope storyboard story="A girl finds a lantern. She waves to a ship." approve=yes
    rotoscope storyboard shots=story.yaml film.music.file=song.mp3
    rotoscope storyboard shots=story.yaml shots.3.prompt="Mira lifts the lantern, blue background"
    rotoscope storyboard -m shots=story.yaml shots.3.seed=1,2,3

What it does in which order stands in `flows.storyboard.stages`.
"""

from __future__ import annotations

from flows.edge.job import current
from flows.flow import Flow
from flows.render import approval
from flows.render.render import render
from flows.storyboard.dropped import DROP
from flows.storyboard.plan import plan
from flows.storyboard.settings import Story
from flows.storyboard.stills import StillsPlan
from flows.storyboard.written import told
from reel.history.record import RenderRecord
from reel.store import Store

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
        question = f"animate these {len(todo.shots)} shots?"
        change = "change a shot (shots.3.prompt=..., shots.3.seed=...), and run again"
        approval.ask(NAME, cfg, store, todo, StillsPlan(todo), question, change)
    return render(NAME, lambda *_: todo, None, cfg)


FLOW = Flow(NAME, Story, run, about=__doc__, plan=plan, drop=DROP)
