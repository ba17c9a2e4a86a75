"""What a `storyboard` will do, checked whole before anything is computed: file, shots, film, models."""

from __future__ import annotations

import logging
from dataclasses import replace
from fractions import Fraction

from flows.animate.plan import refuse_steps_of_a_list, tell_licence
from flows.edge.job import current
from flows.render import finishing, measures
from flows.storyboard.settings import Story
from flows.storyboard.shots import ShotPlan, worked_out
from flows.storyboard.stages import StoryPlan
from flows.storyboard.written import number_of, written
from reel.errors import UserError
from reel.op import Context
from reel.store import Store
from reel.story.file import StoryFile
from reel.story.model import Transition
from reel.work import Extent
from tasks.animate.preflight import check_models
from tasks.film import build
from tasks.film import settings as film
from tasks.stylize.settings.compute import check_compute
from tasks.weights.fetch import fetch

log = logging.getLogger(__name__)


def plan(cfg: Story, store: Store) -> StoryPlan:
    """Check everything that can be checked without computing; a story that was never written is written here.

    Raises:
        UserError: the first thing that would make the film fail.
    """
    check_compute(cfg.compute)
    refuse_steps_of_a_list(cfg.animate, cfg.model)
    tell_licence("keyframe", cfg.keyframe, store)
    story = written(cfg, store)
    shots = worked_out(cfg, story.file)
    film_shots = [_film_shot(shot) for shot in shots]
    finish = finishing.plan(cfg.finish)
    planned = _planned(cfg, story.file, shots, film_shots, finish, store)
    todo = StoryPlan(
        written=story,
        shots=shots,
        measures=measures.Measures(parts=[measures.plan(cfg.measure, _subject(cfg, shot)) for shot in shots]),
        film=cfg.film,
        film_shots=film_shots,
        planned=planned,
        tracking=cfg.tracking,
        take=_take(cfg, story.file),
        finishing=finish,
    )
    for model in {shot.model.name: shot.model for shot in shots}.values():
        tell_licence("model", model, store)
    fetch([source for op, chosen in [*todo.ops, *todo.measures.ops] for source in op.models(chosen)])
    for shot in {shot.model.name: shot for shot in shots}.values():
        check_models(shot.passes.denoise, shot.model)
    todo = replace(todo, shots=[shot.fitted() for shot in shots])
    if any(shot.shot.speech for shot in shots):
        log.warning("speech is kept in the storyboard, and nobody speaks it here: record it, and name it as sound")
    return todo


def _film_shot(shot: ShotPlan) -> film.Shot:
    own = shot.shot
    return film.Shot(
        name=own.name or "",
        transition=_transition(own.transition),
        caption=own.caption or "",
        speed=own.speed,
        seconds=own.film_seconds,
        gain=own.gain,
    )


def _transition(own: Transition) -> film.Transition:
    given = own.model_dump(exclude_none=True)
    return film.Transition(**given)


def _planned(
    cfg: Story,
    file: StoryFile,
    shots: list[ShotPlan],
    film_shots: list[film.Shot],
    finish: finishing.Finishing,
    store: Store,
) -> build.Planned:
    """The film checked, before its shots are made.

    Raises:
        UserError: of a shot at its place in the file.
    """
    drawn = [Extent(shot.length, shot.passes.denoise.width, shot.passes.denoise.height) for shot in shots]
    done = [finish.extent(one, Context(store)) for one in drawn]
    rates = [Fraction(str(shot.fps)) * one.frames / shot.length for shot, one in zip(shots, done, strict=True)]
    lengths = [build.Length(shot.seconds, rate) for shot, rate in zip(shots, rates, strict=True)]
    sizes = [(one.width, one.height) for one in done]
    try:
        return build.check(film_shots, lengths, sizes, cfg.film)
    except UserError as error:
        head, _, words = error.message.partition(": ")
        number = head.removeprefix("shot ")
        if number.isdecimal() and words:
            raise file.error(int(number), "", words, error.fix) from None
        raise


def _take(cfg: Story, file: StoryFile) -> int | None:
    """The shot that this film is a take of: the only one that the sweep's axes change, or, in no sweep, the command."""
    axes = [key.split(".") for key in current().axes]
    names = {key[1] for key in axes if key[0] == "shots"} if axes else cfg.shots
    numbers = {number_of(name, file) for name in names}
    return numbers.pop() if len(numbers) == 1 else None


def _subject(cfg: Story, shot: ShotPlan) -> measures.Subject:
    """What metrics must know of a shot."""
    return measures.Subject(
        prompt=shot.prompt,
        model=shot.model.name,
        embedded=shot.model.base.embedded,
        reference=cfg.reference or shot.shot.picture,
        original=False,
        pictures=True,
    )
