"""Measuring a render: which metrics can say something about it, their ops in order, their numbers in its record.

A metric that has nothing to say about a render (the embedded family's own on another model, one frame, nobody in the
source) is passed over and said so: a sweep over models or clips must not stop for it. Wrong settings, a reference that
is missing and weights that cannot be had are errors, before anything is rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel import measure
from reel.config import Config, parse
from reel.emphasis import parse_emphasis
from reel.errors import UserError
from reel.history.record import RenderRecord
from reel.history.recorder import Recorder
from reel.measure import Result
from reel.op import Context, Op, get
from reel.store import Store
from tasks.cached import Stage, call

if TYPE_CHECKING:
    from flows.dance.flow import Dance


@dataclass(frozen=True)
class Measures:
    """The metrics of a render, checked.

    Attributes:
        ops: op and settings by metric.
        detectors: registered pose detectors that the metrics need.
        passed_over: why the other chosen metrics are not measured, by name.
        reference: a picture of the character and its digest, where a metric compares with one.
    """

    ops: Mapping[str, tuple[Op, Config]] = field(default_factory=dict)
    detectors: frozenset[str] = frozenset()
    passed_over: Mapping[str, str] = field(default_factory=dict)
    reference: tuple[Path, str] | None = None


def plan(cfg: Dance) -> Measures:
    """Check the chosen metrics and their settings.

    Raises:
        UserError: an unknown metric or setting, a detector that finds no poses, a reference that is missing.
    """
    chosen = {name: _settings(name, own or {}, cfg) for name, own in cfg.measure.items()}
    passed_over = {name: why for name, (_, own) in chosen.items() if (why := _nothing_to_say(name, own, cfg))}
    ops = {name: pair for name, pair in sorted(chosen.items()) if name not in passed_over}
    detectors = {own.detector for op, own in ops.values() if op.takes("poses") and hasattr(own, "detector")}
    for name in detectors:
        if get("preprocess", name).gives != "poses":
            raise UserError(f"measure: detector {name!r} finds no poses", fix="blazepose, dwpose and openpose do")
    needed = [name for name, (op, _) in ops.items() if op.takes("reference")]
    return Measures(ops, frozenset(detectors), passed_over, _reference(cfg, needed) if needed else None)


def _settings(name: str, own: Mapping[str, Any], cfg: Dance) -> tuple[Op, Config]:
    op = get("measure", name)
    asked = {}
    if "prompt" in op.config.model_fields:  # the text alone: emphasis is the renderer's
        asked["prompt"] = "".join(phrase.text for phrase in parse_emphasis(cfg.prompt))
    return op, parse(op.config, {**own, **asked}, f"measure.{name}")


def _nothing_to_say(name: str, own: Config, cfg: Dance) -> str:
    """Why a metric is passed over for this render; empty where it is not."""
    if "prompt" in type(own).model_fields and cfg.prompt_schedule is not None:
        return "it compares with one prompt, and prompt_schedule changes it over the frames"
    base = cfg.model.base
    embedded = base.id if base.kind == "embedded" else ""
    families = measure.get(name).families
    if families and embedded not in families:
        return f"it reads renders of {', '.join(families)} only, and the model is {cfg.model.name}"
    if cfg.prompt_schedule is not None and "prompt" in type(own).model_fields:
        return "it compares with one prompt, and prompt_schedule changes it over the clip"
    if embedded and not getattr(own, "embedded", True):
        return f"its detector is made for people, not for cartoons of {embedded}; measure.{name}.embedded=true insists"
    return ""


def _reference(cfg: Dance, needed: list[str]) -> tuple[Path, str]:
    from reel.store import sha256_file

    path = cfg.reference or (cfg.stylize.ip_adapter.picture if cfg.stylize.ip_adapter else None)
    if path is None:
        raise UserError(
            f"measure.{needed[0]} compares with a picture of the character, and there is none",
            fix=f"reference=picture.png, or leave {needed[0]} out of measure=[...]",
        )
    if not path.is_file():
        raise UserError(f"reference: there is no file {path}", fix="name a PNG or JPEG")
    return path, sha256_file(path)


def run(
    todo: Measures,
    ctx: Context,
    note: Callable[[Stage], Stage],
    made: Mapping[str, str],
    detect: Callable[[str, str], str],
) -> None:
    """Measure a finished render, metric by metric, or take the figures from the cache.

    Args:
        note: told of every finished stage; hands it back.
        made: digests by the names under which ops ask for them: ``frames`` the render, ``original`` the source.
        detect: from a detector's name and a clip's digest to that of its poses.
    """
    for op, settings in todo.ops.values():
        inputs, own = dict(made), ctx
        if op.takes("poses"):
            detector = getattr(settings, "detector", "")
            inputs["poses"] = detect(detector, made["original"])
            if op.takes("poses_render"):
                inputs["poses_render"] = detect(detector, made["frames"])
        if op.takes("reference") and todo.reference is not None:
            path, inputs["reference"] = todo.reference
            own = replace(ctx, files={"reference": path})
        note(call(op, settings, {name: digest for name, digest in inputs.items() if op.takes(name)}, own))


def results(store: Store, record: RenderRecord) -> Iterator[Result]:
    """What the metrics of a render found, in the order in which they ran."""
    for stage in record.stages:
        if stage.op.startswith("measure."):
            yield measure.load(store.get(stage.digest))


def record(store: Store, recorder: Recorder) -> None:
    """Put every number into the render's record."""
    numbers: dict[str, float] = {}
    for result in results(store, recorder.record):
        numbers |= result.flat
    if numbers:
        recorder.metric(**numbers)


def lines(todo: Measures, found: list[Result]) -> Iterator[str]:
    """The main number of every metric, and the metrics without one, for a person to read."""
    for result in found:
        value = measure.get(result.measure).values[0]
        if value.name in result.values:
            better = f" ({value.better} is better)" if value.better else ""
            number = f"{result.values[value.name]:.4g}"
            unit = "" if not value.unit else value.unit if value.unit.startswith("/") else f" {value.unit}"
            yield f"{result.measure}.{value.name} {number}{unit}{better}"
    for name, why in [*todo.passed_over.items(), *((r.measure, r.missing) for r in found if r.missing)]:
        yield f"{name} not measured: {why}"
