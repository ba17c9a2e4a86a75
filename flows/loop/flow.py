"""loop: one picture breathes, or several turn into one another, endlessly and without a seam, by SparseCtrl.

    rotoscope loop pictures=[a.png,b.png] prompt="a cat by the window" model=sd15
    rotoscope loop experiment=loop/breathing pictures=[portrait.png] model=dreamshaper8
    rotoscope loop stills=["eyes open","eyes closed"] prompt="portrait of a girl" model=sd15 keyframe=sd15
    rotoscope loop -m pictures=[a.png,b.png] strength=0.6,0.8,1.0 model=sd15

What it does in which order stands in `flows.loop.stages`.
"""

from __future__ import annotations

from flows.edge.job import current
from flows.flow import Flow
from flows.loop.opening import opening
from flows.loop.plan import plan
from flows.loop.settings import Loop
from flows.render import approval
from flows.render.render import render
from reel.history.record import RenderRecord
from reel.store import Store

NAME = "loop"


def run(cfg: Loop) -> RenderRecord:
    """Drawn pictures shown and approved, then the loop.

    Raises:
        UserError: something to put right; or nobody was there to approve the pictures.
    """
    if cfg.stills and cfg.approve == "ask" and current().sweep is None:
        store = Store(cfg.paths.store)
        todo = plan(cfg, store)
        question = f"make a loop of these {len(todo.pictures)} pictures?"
        approval.ask(NAME, cfg, store, todo, todo.stills, question, "change stills, prompt or seed, and run again")
    return render(NAME, plan, opening, cfg)


FLOW = Flow(NAME, Loop, run, about=__doc__, plan=plan)
