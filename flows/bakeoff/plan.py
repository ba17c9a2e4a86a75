"""Who takes part in a bakeoff and with which settings: composed, brought within each animator's limits, and checked."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flows.animate.flow import FLOW as ANIMATE
from flows.animate.keys import unit
from flows.animate.settings import Animate
from flows.bakeoff.entrant import Entrant, moved
from flows.bakeoff.settings import OWN, Bakeoff
from flows.commands.models import family, names
from flows.config.compose import Composed, single
from flows.config.engine import Engine, hydra_ready
from flows.config.past import written
from flows.config.quoting import literal_overrides
from flows.config.root import Root
from flows.edge.job import Job, as_job, current
from flows.sweep import axes as sweeps
from reel.config import counts, parse
from reel.errors import UserError, suggest
from reel.history.sweep import Manifest
from reel.history.sweep_files import Axis, Planned
from reel.models.animatediff import AnimateDiff
from reel.nested import at, placed
from reel.store import Store
from tasks.animate import nearest


@dataclass(frozen=True)
class Contest:
    """A bakeoff that was composed and checked; ``entrants`` by name, ``seeds`` as the manifest's points have them."""

    manifest: Manifest
    entrants: Mapping[str, Entrant]
    seeds: Sequence[int]

    def points(self, name: str) -> list[int]:
        """Numbers of the manifest's points that are films of an animator, and asked for."""
        wanted = {str(seed) for seed in self.seeds}
        return [
            point.index
            for point in self.manifest.planned
            if point.values["model"] == name and point.values["seed"] in wanted
        ]


def prepare(cfg: Bakeoff, store: Store) -> Contest:
    """Everything checked that can be checked without computing.

    Raises:
        UserError: settings that are wrong whoever takes part. What speaks against one of several is its result.
    """
    if not cfg.animators:
        raise UserError("animators: there is none", fix="animators=[ltx_distilled,ltx2] (rotoscope models)")
    job = current()
    _check_keys(job.overrides)
    _check_names(cfg.animators)
    checked = {name: _checked(one, cfg, store) for name, one in _entrants(cfg, job).items()}
    against = [one.refused for one in checked.values() if one.refused is not None]
    if len(against) == len(checked):
        raise against[0]
    seeds = range(cfg.seed, cfg.seed + cfg.seeds)
    return Contest(_manifest(cfg, checked, seeds, job, store), checked, seeds)


def _check_keys(overrides: Sequence[str]) -> None:
    """Raises: UserError: a model of all, which `animators` says."""
    for text in overrides:
        if text.partition("=")[0].lstrip("+~") == "model":
            raise UserError(f"{text}: several take part", fix="animators=[...], and each={name: {key: value}}")


def _check_names(animators: Sequence[str]) -> None:
    known = names()
    for name in animators:
        if name not in known:
            raise UserError(f"animators: there is no model {name!r}{suggest(name, known)}", fix="rotoscope models")


def _entrants(cfg: Bakeoff, job: Job) -> dict[str, Entrant]:
    """Who takes part, in the order in which they are named."""
    root: Root[Bakeoff] = Root("bakeoff", Bakeoff)
    drawn = [name for name in cfg.animators if isinstance(family(name), AnimateDiff)]
    with hydra_ready(root) as engine:
        found = {name: _animator(name, cfg, engine, job) for name in cfg.animators if name not in drawn}
        if not drawn:
            return found
        from flows.bakeoff import by_animatediff  # with the whole of `timeframe`

        asked = by_animatediff.asked(engine, job)
    found |= by_animatediff.entrants(drawn, cfg, asked)  # another root: composed when this one is closed
    return {name: found[name] for name in cfg.animators}


def _animator(name: str, cfg: Bakeoff, engine: Engine, asked: Job) -> Entrant:
    """An animator's settings as its file and `each` have them, brought within its limits."""
    own = [written(engine, key, value) for key, value in cfg.each.get(name, {}).items()]
    given = [*asked.overrides, *literal_overrides([f"model={name}", *own], engine.shape.texts, multirun=False)]
    try:
        found: Composed[Bakeoff] = single(engine, given)
    except UserError as error:
        raise UserError(f"animators: {name}: {error.message}", fix=error.fix) from None
    data = {key: value for key, value in found.data.items() if key not in OWN}
    changes, told = _within(parse(Animate, data), found.config.seconds)
    job = Job(ANIMATE.name, found.overrides, dict(found.choices))
    return Entrant(name, ANIMATE, placed(data, changes), job, found.job_logging, told)


def _within(cfg: Animate, seconds: float | None) -> tuple[dict[str, Any], list[str]]:
    """Settings that bring films within the limits of their model, by the rules of `tasks.animate.nearest`.

    Args:
        seconds: length of all films; None: as many frames as the settings say.

    Returns:
        the settings by key, and in words what differs from what was asked.
    """
    model, found = cfg.model, dict[str, Any]()
    fps = nearest.rate(float(cfg.fps), model)
    asked = cfg.frames if seconds is None else max(1, round(seconds * fps))
    extra = cfg.animate.extra_frames
    found["fps"] = fps
    found["frames"], found["animate.extra_frames"] = nearest.length(asked, extra, model)
    if cfg.width is not None and cfg.height is not None:
        found["width"], found["height"] = nearest.size(cfg.width, cfg.height, model, unit(cfg))
    if model.limits.prompt == "none":
        found["prompt"] = ""
    before = {key: at(cfg.model_dump(), key) for key in found} | {"frames": asked}
    return {**found, "snap": "nearest"}, moved(before, found)


def _checked(one: Entrant, cfg: Bakeoff, store: Store) -> Entrant:
    """The same, with what speaks against its films where something does."""
    if one.refused is not None:
        return one
    assert one.flow.plan is not None
    try:
        film = one.film(cfg.seed)
        if not nearest.licensed(cfg.territory, film.model):
            where = nearest.not_licensed(film.model)
            raise UserError(f"model {one.name}: {film.model.license}; it is not licensed in {where}")
        with as_job(one.job):
            one.flow.plan(film, store)
    except UserError as error:
        return replace(one, refused=error)
    return one


def _manifest(cfg: Bakeoff, entrants: Mapping[str, Entrant], seeds: Sequence[int], job: Job, store: Store) -> Manifest:
    """The bakeoff as a sweep over models and seeds: one of the same question goes on, whoever takes part."""
    asked = [text for text in job.overrides if _is_the_question(text)]
    points = [
        Planned(
            index=index,
            overrides=(f"model={name}", f"seed={seed}"),
            values={"model": name, "seed": str(seed)},
            digest=sweeps.digest(entrants[name].film(seed)),
        )
        for index, (name, seed) in enumerate(itertools.product(entrants, seeds))
    ]
    axes = [
        Axis(keys=("model",), values=tuple((name,) for name in entrants)),
        Axis(keys=("seed",), values=tuple((str(seed),) for seed in seeds)),
    ]
    return Manifest.start(store, "bakeoff", asked, axes, points, grows=True)


def _is_the_question(override: str) -> bool:
    """Whether an override says what films are made of, and not who makes how many of them."""
    key = override.partition("=")[0].lstrip("+~")
    who = key == "seed" or key.partition(".")[0] in OWN - {"seconds"}
    return not who and counts(Bakeoff, key)
