"""search: find the ControlNet weights that balance the person's pose against the character, on a short proxy.

    rotoscope search clip=my.mp4 prompt="a long-haired warrior in a red coat, dancing"
    rotoscope search clip=my.mp4 prompt="..." search.budget=20        (goes on with the same search)
    rotoscope search clip=my.mp4 prompt="..." promote=17              (renders trial 17 in full)

A point is tried on the few frames that differ most in pose and in fewer steps; the best third is rendered again on half
of the clip, the best third of these in full. What remains is the trade-off (the Pareto front) and its knee. Everything
before the renderer is shared by all trials; a search that was killed goes on where it was. See docs/search.md.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from flows.dance import flow as dance
from flows.dance.flow import Dance
from flows.edge import entry
from flows.prefect_server.run import as_flow
from flows.render.published import guard
from reel.config import Config, Field, Finite, Text, parse
from reel.errors import UserError
from reel.history.record import RenderRecord
from reel.history.recorder import new_run_id
from reel.search.search_axes import placed
from reel.store import Store
from tasks.search.optuna_study import Sampler

if TYPE_CHECKING:
    from flows.search.plan import Job

EXAMPLES = (
    "rotoscope search",
    "rotoscope search control=[pose,lineart,depth] search.budget=25",
    "rotoscope search search.space={controls.pose.weight:[0.2,1.2],stylize.strength:[0.5,1,0.1]}",
    "rotoscope search promote=7",
)


class Proxy(Config):
    """The cheapest level of a search."""

    frames: int = Field(8, ge=1)
    """Frames of the clip that are rendered: those that differ most in pose."""
    passages: int = Field(2, ge=1)
    """Runs of consecutive frames that they come in; each is rendered as a clip of its own."""
    steps: int | None = Field(None, ge=1)
    """stylize.num_inference_steps; empty: half of the render's, rounded up."""


class Searched(Config):
    """What is searched for, where, and for how long."""

    space: dict[str, Any] | None = None
    """Range by settings key, [from, to] or [from, to, step]; empty: the weight of every control in use, 0..1.2."""
    objectives: list[str] | None = None
    """Numbers of metrics (docs/measure.md); empty: pose and character fidelity, as the model allows."""
    constraints: dict[str, float | str] | None = None
    """Bounds by number: 4, or 1.5x for a factor of what the given settings come to; empty: flicker.mean 1.5x."""
    trials: int | None = Field(None, ge=1)
    """Points tried on the proxy; empty: as many as the budget pays for."""
    budget: Finite | None = Field(10, gt=0)
    """What the whole search may cost, in renders of the whole clip; empty: no end but `trials`."""
    reduction: Finite = Field(3, gt=1, le=20)
    """One in so many points goes on to the next level."""
    proxy: Proxy = Proxy.model_validate({})
    sampler: Sampler = "tpe"
    """Who proposes points: tpe, nsga2, random; gp is thriftiest with trials and takes seconds to think."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of the search, not of the noise."""
    name: Text = ""
    """The search's name; empty: worked out from its settings, so that the same command goes on with the same one."""

    @model_validator(mode="after")
    def _ends(self) -> Searched:
        if self.trials is None and self.budget is None:
            raise ValueError("trials and budget are both empty: say when to end")
        if self.objectives is not None and len(set(self.objectives)) < 2:
            raise ValueError("objectives: name two or more; for a single number a sweep (dance -m) shows the curve")
        return self


class Search(Dance):
    """Settings of `search`: those of `dance`, and what to search for."""

    search: Searched
    promote: int | None = Field(None, ge=0)
    """Number of a trial: render it in full, and nothing else."""


def run(cfg: Search) -> RenderRecord:
    """Search, or render a trial in full; tracked from start to end.

    Raises:
        UserError: something to put right; found before any model loads wherever that is possible.
    """
    from flows.search import plan

    store = Store(cfg.paths.store)
    if cfg.promote is not None:
        return promote(cfg, store)
    return search(cfg, store, plan.prepare(cfg, store))


def search(cfg: Search, store: Store, job: Job) -> RenderRecord:
    """The whole search, as far as it is not done yet."""
    from flows.search import report, run
    from tasks.media.export import check_writable
    from tasks.tracking.render import tracked

    known = job.begin()
    name = new_run_id()
    output = cfg.paths.output or cfg.paths.renders / name
    guard(output, cfg.paths.root)
    check_writable(output)
    with store.lock(f"search-{known.id}", wait=False) as free:
        if not free:
            raise UserError(
                f"another process works on search {known.id}",
                fix="wait for it, or give this one another search.name or search.seed",
            )
        settings = cfg.model_dump(mode="json")
        with tracked(store, cfg.tracking, "search", settings, output=output, run=name, title=known.id) as recorder:
            print(job.announcement(known), flush=True)
            found = as_flow(lambda: run.search(job, known, cfg, recorder), "search", f"{known.id} {name}")
            report.publish(found, output, recorder)
        report.say(found, recorder.record)
    return recorder.record


def promote(cfg: Search, store: Store) -> RenderRecord:
    """Render a trial in full, with the metrics and files of `dance`.

    Raises:
        UserError: no such search, or no such trial in it; the known ones are listed.
    """
    from flows.search import definition, plan

    if cfg.search.name:
        known = definition.find(store, cfg.search.name)
    else:
        known = definition.find(store, definition.new("", plan.prepare(cfg, store).about(), {}).id)
    assert cfg.promote is not None
    point = definition.point(known, store, cfg.promote)
    own = cfg.model_dump(mode="json", include={"paths", "tracking", "compute", "assemble", "measure", "embed_facts"})
    print(f"trial {cfg.promote} of {known.id}: " + "  ".join(f"{key}={value:g}" for key, value in point.items()))
    return dance.run(parse(Dance, placed({**known.settings, **own}, point)))


def main(argv: list[str] | None = None) -> int:
    """``rotoscope search`` and ``python -m flows.search.flow``."""
    return entry.run_flow("search", Search, run, argv)


if __name__ == "__main__":
    sys.exit(main())
