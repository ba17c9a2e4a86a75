"""AnimateDiff families in a bakeoff: each makes a `timeframe` whose track is the one picture, held over the whole film.

What is asked of all stands in the words of `animate`. Settings that `timeframe` has as well are handed over where they
were asked for; where nothing was, its own files decide, since what suits an image-to-video model suits no other. What
it has no counterpart of is the reason why such a family is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flows.animate.settings import Animate
from flows.bakeoff.entrant import Entrant, moved
from flows.bakeoff.settings import OWN, Bakeoff
from flows.config.compose import Composed, single
from flows.config.engine import Engine, hydra_ready
from flows.config.past import written
from flows.config.quoting import literal_overrides
from flows.config.root import Root
from flows.edge.job import Job
from flows.render.key_pictures import size_for
from flows.timeframe.flow import FLOW
from flows.timeframe.settings import Timeframe
from reel.errors import UserError
from reel.nested import flat, placed
from reel.schedule.setting import as_text
from reel.units import MOST_FRAMES
from tasks.animate import nearest, pictures

FRAMES = 16
"""Length of a film where none is asked for: what AnimateDiff's motion modules were trained on."""
GROUPS = ("measure", "finish")
"""Files that are chosen for all, asked for or not: their figures stand in one table."""
SHARED = frozenset(Timeframe.model_fields) & frozenset(Animate.model_fields) - {"model", "track", "width", "height"}
"""Settings that mean the same in both flows, sides aside: `timeframe` takes both or neither."""
SILENT = OWN | {"picture", "strength", "width", "height", "last_strength", "extend_frames", "snap"}
"""Settings that are translated here, or have no effect beside others."""
WHY = {
    "loop": "a film that ends as it begins is made by `rotoscope loop`",
    "last": "it is given the one picture; several are a track of `rotoscope timeframe`",
    "pictures": "it is given the one picture; several are a track of `rotoscope timeframe`",
    "track": "it is given the one picture; `rotoscope timeframe` takes a track",
    "extend": "it begins with a picture, and goes on from no clip",
}


@dataclass(frozen=True)
class Asked:
    """What is asked of all that take part.

    Attributes:
        said: settings that were typed or come of an experiment, by dotted key.
        differs: those of them that are not what the files say anyway.
        groups: names of the files chosen, by group.
    """

    said: Mapping[str, Any]
    differs: Sequence[str]
    groups: Mapping[str, Sequence[str]]


def asked(engine: Engine, job: Job) -> Asked:
    """What a bakeoff's command asks of all, inside `hydra_ready` of its root."""
    model = f"model={engine.defaults['model']}"  # the same with and without: what it advises was not asked for
    now = single(engine, [*job.overrides, model]).data
    before = dict(flat(single(engine, [model]).data))
    typed = {text.partition("=")[0].lstrip("+~") for text in job.overrides}
    differs = [key for key, value in flat(now) if key not in before or before[key] != value]
    said = {key: value for key, value in flat(now) if key in differs or key in typed}
    return Asked(said, differs, {group: list(now.get(group, ())) for group in GROUPS})


def entrants(names: Sequence[str], cfg: Bakeoff, wanted: Asked) -> dict[str, Entrant]:
    """AnimateDiff families by name, brought within their limits, refused where they make no such film.

    Raises:
        UserError: what `each` says of one is no setting of `timeframe`, or wrong.
    """
    with hydra_ready(Root(FLOW.name, Timeframe)) as engine:
        given = _given(engine, cfg, wanted)
        return {name: _entrant(name, cfg, engine, given, wanted) for name in names}


def _given(engine: Engine, cfg: Bakeoff, wanted: Asked) -> list[str]:
    """What is asked of all as overrides of `timeframe`, behind what holds where nothing is."""
    said = {key: value for key, value in wanted.said.items() if key.partition(".")[0] in SHARED and value != {}}
    own = {"track": _track(cfg), "by": "sparsectrl", "frames": FRAMES, **_sides(cfg)}
    groups = [f"{group}=[{','.join(names)}]" for group, names in wanted.groups.items()]
    return [*groups, *(written(engine, key, value) for key, value in {**own, **said}.items())]


def _track(cfg: Bakeoff) -> str | None:
    """The picture from the first frame on, to whatever end; the words alone where there is none."""
    key = {"prompt": cfg.prompt or "-"} if cfg.picture is None else {"picture": str(cfg.picture)}
    firmly = {"strength": float(cfg.strength)} if cfg.strength != 1 else {}
    return as_text({"kind": "track", "keys": {"0": {**key, **firmly}}})


def _sides(cfg: Bakeoff) -> dict[str, int]:
    """Width and height, px: as asked for, one that was not by the picture's shape; none asked for: none.

    Raises:
        UserError: that picture does not work.
    """
    if cfg.picture is None or (cfg.width is None and cfg.height is None):
        return {}
    if cfg.width is not None and cfg.height is not None:
        return {"width": cfg.width, "height": cfg.height}
    shape = pictures.look(cfg.picture, "picture", background=cfg.background is not None).shape
    if cfg.width is not None:
        return {"width": cfg.width, "height": max(8, round(cfg.width / shape))}
    assert cfg.height is not None
    return {"width": max(8, round(cfg.height * shape)), "height": cfg.height}


def _entrant(name: str, cfg: Bakeoff, engine: Engine, given: Sequence[str], wanted: Asked) -> Entrant:
    own = [written(engine, key, value) for key, value in cfg.each.get(name, {}).items()]
    texts = literal_overrides([*given, f"model={name}", *own], engine.shape.texts, multirun=False)
    try:
        found: Composed[Timeframe] = single(engine, texts)
    except UserError as error:
        raise UserError(f"animators: {name}: {error.message}", fix=error.fix) from None
    changes = _within(found.config, cfg.seconds)
    film, fps = found.config, float(found.config.fps)
    before = {"frames": film.frames if cfg.seconds is None else round(cfg.seconds * fps)}
    told = moved({**before, "width": film.width, "height": film.height}, changes)
    # read anyway, and its content is in the digest of a film, where a track has a path alone
    data = placed(found.data, {**changes, "reference": found.data["reference"] or (cfg.picture and str(cfg.picture))})
    one = Entrant(name, FLOW, data, Job(FLOW.name, found.overrides, dict(found.choices)), found.job_logging, told)
    try:
        _check(one, cfg, wanted)
    except UserError as error:
        return replace(one, refused=error)
    return one


def _within(cfg: Timeframe, seconds: float | None) -> dict[str, Any]:
    """Length and size within what the family draws, by key; its rate is as asked."""
    asked = cfg.frames or FRAMES
    found = {"frames": asked if seconds is None else min(MOST_FRAMES, max(1, round(seconds * float(cfg.fps))))}
    if cfg.width is not None and cfg.height is not None:
        unit = cfg.model.multiple_of
        found |= {"width": nearest.multiple(cfg.width, unit), "height": nearest.multiple(cfg.height, unit)}
    return found


def _check(one: Entrant, cfg: Bakeoff, wanted: Asked) -> None:
    """Raises: UserError: what speaks against a family's films that its flow would tell in words of its own."""
    for key in wanted.differs:
        top = key.partition(".")[0]
        if top not in SHARED | SILENT:
            why = WHY.get(top, "it has no such setting")
            raise UserError(
                f"{key}: model {one.name} is AnimateDiff: {why}",
                fix=f"say it of those that have it alone: each={{NAME: {{{key}: ...}}}}",
            )
    if cfg.picture is None:
        raise UserError("picture: there is none", fix="picture=key.png")
    film: Timeframe = one.film(cfg.seed)
    still = pictures.look(cfg.picture, "picture", background=film.background is not None)
    _check_held(film)
    width, height = size_for(film.width, film.height, [still], film.model)
    pictures.check_fit(still, width, height, film.fit, "picture")


def _check_held(film: Timeframe) -> None:
    """Raises: UserError: the family has nothing of the kind that is to hold its film to the picture."""
    model = film.model
    ways = {
        "sparsectrl": (f"SparseCtrl {film.sparsectrl.kind!r}", film.sparsectrl.kind in model.sparsectrls),
        "tile": ("ControlNet 'tile'", "tile" in model.controlnets),
        "ip_adapter": ("IP-Adapter", model.ip_adapter is not None and model.ip_image_encoder is not None),
    }
    what, has = ways[film.by]
    if has:
        return
    would = [f"each={{{model.name}: {{by: {way}}}}}" for way, (_, there) in ways.items() if there]
    others = f"what it has would do: {' or '.join(would)}" if would else "nor anything else that would"
    raise UserError(
        f"by: model {model.name} has no {what} to hold its film to the picture; {others}",
        fix=None if would else "sd15 has a SparseCtrl, an IP-Adapter and a ControlNet 'tile' (rotoscope models NAME)",
    )
