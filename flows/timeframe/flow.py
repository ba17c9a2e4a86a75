"""timeframe: pictures on ranges of frames become one clip: eyes closed 0-6, open 6-12, ... a wink 40-46.

    rotoscope timeframe track=@wink.yaml model=sd15
    rotoscope timeframe track="0-8: --pic a.png; 8-16: --pic b.png --by sparsectrl" model=sd15
    rotoscope timeframe track="0-8: red top; 8-16: blue top" prompt="a girl, green background" drawn=true
    rotoscope timeframe track=@wink.yaml renderer=animate animator=ltx_distilled

What it does in which order stands in `flows.timeframe.stages`.
"""

from __future__ import annotations

from flows.edge.job import current
from flows.flow import Flow
from flows.render import approval
from flows.render.render import render
from flows.timeframe.opening import opening
from flows.timeframe.plan import plan
from flows.timeframe.settings import Timeframe
from flows.timeframe.stages import TimeframePlan
from reel.history.record import RenderRecord
from reel.store import Store

NAME = "timeframe"


def run(cfg: Timeframe) -> RenderRecord:
    """Drawn pictures shown and approved, then the clip.

    Raises:
        UserError: something to put right; or nobody was there to approve the pictures.
    """
    if cfg.drawn and cfg.approve == "ask" and current().sweep is None:
        store = Store(cfg.paths.store)
        todo = plan(cfg, store)
        assert isinstance(todo, TimeframePlan)
        question = f"make a clip of these {len(todo.pictures)} pictures?"
        approval.ask(NAME, cfg, store, todo, todo.stills, question, "change the track, prompt or seed, and run again")
    return render(NAME, plan, opening, cfg)


FLOW = Flow(NAME, Timeframe, run, about=__doc__, plan=plan)
