"""search: find the ControlNet weights that balance the person's pose against the character, on a short proxy.

    rotoscope search clip=my.mp4 prompt="a girl with short blonde hair and light skin in a red top, green background"
    rotoscope search clip=my.mp4 prompt="..." search.budget=20        (goes on with the same search)
    rotoscope search clip=my.mp4 prompt="..." promote=17              (renders trial 17 in full)

A point is tried on the few frames that differ most in pose and in fewer steps; the best third is rendered again on half
of the clip, the best third of these in full. What remains is the trade-off (the Pareto front) and its knee. Everything
before the renderer is shared by all trials; a search that was killed goes on where it was. See docs/search.md.
"""

from __future__ import annotations

from typing import Any

from flows import flow
from flows.config.root import Root, roots
from flows.edge.exits import keeping
from flows.prefect_server.run import as_flow
from flows.render.published import guard
from flows.search import definition, plan, report, run
from flows.search.settings import Search, settings_for
from reel.config import FIGURES, FILES, OPERATIONAL, Config, parse, places
from reel.errors import UserError
from reel.history.record import RenderRecord
from reel.history.recorder import new_run_id
from reel.nested import at, keys, placed
from reel.store import Store

BASE: flow.Flow[Any] = flow.get(roots(Root("search", Config))[-2])
"""The flow that trials are rendered with: the one whose root config conf/search.yaml takes in whole."""


def run_search(cfg: Search) -> RenderRecord:
    """Search, or render a trial in full; tracked from start to end.

    Raises:
        UserError: something to put right; found before any model loads wherever that is possible.
    """
    store = Store(cfg.paths.store)
    if cfg.promote is not None:
        return promote(cfg, store)
    return search(cfg, store, plan.prepare(BASE, cfg, store))


def search(cfg: Search, store: Store, job: plan.Job) -> RenderRecord:
    """The whole search, as far as it is not done yet."""
    from tasks.media.export import check_writable
    from tasks.tracking.render import tracked

    known = job.begin()
    name = new_run_id()
    output = cfg.paths.output or cfg.paths.renders / name
    guard(output, cfg.paths.root)
    check_writable(output)
    with definition.lock(store, known.id) as free:
        if not free:
            raise UserError(
                f"another process works on search {known.id}",
                fix="wait for it, or give this one another search.name or search.seed",
            )
        settings, result = cfg.model_dump(mode="json"), cfg.result_part({FIGURES})
        with tracked(
            store, cfg.tracking, "search", settings, output=output, run=name, title=known.id, result=result
        ) as recorder:
            print(job.announcement(known), flush=True)
            with keeping(lambda: run.tried(job, known)):
                found = as_flow(lambda: run.search(job, known, cfg, recorder), "search", f"{known.id} {name}", store)
            report.publish(found, output, recorder)
        report.say(found, recorder.record)
    return recorder.record


def promote(cfg: Search, store: Store) -> RenderRecord:
    """Render a trial in full, with the metrics and files of its flow.

    Raises:
        UserError: no such search, or no such trial in it; the known ones are listed.
    """
    if cfg.search.name:
        known = definition.find(store, cfg.search.name)
    else:
        known = definition.find(store, definition.new("", plan.prepare(BASE, cfg, store).about(), {}).id)
    assert cfg.promote is not None
    point = definition.point(known, store, cfg.promote)
    today = cfg.model_dump(mode="json")
    there = set(keys(today))  # without those of other architectures
    own = {key: at(today, key) for key in beside(BASE.settings) if key in there}
    print(f"trial {cfg.promote} of {known.id}: " + "  ".join(f"{key}={value:g}" for key, value in point.items()))
    done: RenderRecord = BASE.run(parse(BASE.settings, placed(known.settings, {**own, **point})))
    return done


def beside(settings: type[Config]) -> list[str]:
    """The settings that change no picture, those of a whole group as one: a trial is rendered with those of today."""
    found: list[str] = []
    for place in places(settings):
        if place.markers & {OPERATIONAL, FILES, FIGURES} and not any(place.key.startswith(f"{key}.") for key in found):
            found.append(place.key)
    return found


FLOW = flow.Flow(
    "search",
    settings_for(BASE),
    run_search,
    about=__doc__,
    drop=BASE.drop,
    examples=(
        "rotoscope search",
        "rotoscope search control=[pose,lineart,depth] search.budget=25",
        "rotoscope search search.space={controls.pose.weight:[0.2,1.2],stylize.strength:[0.5,1,0.1]}",
        "rotoscope search promote=7",
    ),
)
