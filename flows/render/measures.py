"""Measuring a render: which metrics can say something about it, their ops in order, their numbers in its record.

A metric that has nothing to say about a render (the embedded family's own on another model, one frame, nobody in the
source) is passed over and said so: a sweep over models or clips must not stop for it. Wrong settings, a reference that
is missing and weights that cannot be had are errors, before anything is rendered.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flows.flow import Made, Source
from reel import measure
from reel.config import Config, parse
from reel.emphasis import parse_emphasis
from reel.errors import UserError
from reel.history.record import RenderRecord
from reel.history.recorder import Recorder
from reel.measure import Result
from reel.op import Context, Op, get
from reel.pictures import opened
from reel.store import Store
from tasks.cached import call


@dataclass(frozen=True)
class Subject:
    """What metrics must know of a render before it is made.

    Attributes:
        prompt: what it shows, in one text for all frames; None: there is none.
        varies: whether a schedule changes the prompt over the frames.
        model: name of the model family.
        embedded: id of the embedded family; empty: another one.
        reference: a picture of the character; None: there is none.
        original: whether it is drawn from a clip, which it can be held against.
        pictures: whether it is held to given pictures, which it can be held against.
        preprocess: settings of detectors by name.
    """

    prompt: str | None
    model: str
    varies: bool = False
    embedded: str = ""
    reference: Path | None = None
    original: bool = True
    pictures: bool = False
    preprocess: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Measures:
    """The metrics of a render, checked.

    Attributes:
        metrics: op and settings by metric.
        detectors: op and settings of the pose detectors that the metrics need, by name.
        passed_over: why the other chosen metrics are not measured, by name.
        reference: a picture of the character and its digest, where a metric compares with one.
        parts: those of each part of what is made, where it is measured part by part (`flows.flow.Made.parts`).
    """

    metrics: Mapping[str, tuple[Op, Config]] = field(default_factory=dict)
    detectors: Mapping[str, tuple[Op, Config]] = field(default_factory=dict)
    passed_over: Mapping[str, str] = field(default_factory=dict)
    reference: Source | None = None
    parts: Sequence[Measures] = ()

    @property
    def ops(self) -> list[tuple[Op, Config]]:
        """Every op that runs, with its settings."""
        own = [*self.detectors.values(), *self.metrics.values()]
        return [*own, *(pair for part in self.parts for pair in part.ops)]


def plan(chosen: Mapping[str, Mapping[str, Any] | None], subject: Subject) -> Measures:
    """Check the chosen metrics and their settings.

    Args:
        chosen: settings by metric; a prompt comes from ``subject``.

    Raises:
        UserError: an unknown metric or setting, a detector that finds no poses, a reference that is missing.
    """
    every = {name: _settings(name, own or {}, subject) for name, own in chosen.items()}
    passed_over = {name: why for name, (op, own) in every.items() if (why := _nothing_to_say(name, op, own, subject))}
    metrics = {name: pair for name, pair in sorted(every.items()) if name not in passed_over}
    wanted = {own.detector for op, own in metrics.values() if op.takes("poses") and hasattr(own, "detector")}
    detectors = {name: pose_detector(name, subject.preprocess, "measure") for name in sorted(wanted)}
    if subject.reference is not None:
        _check_picture(subject.reference)
    needed = [name for name, (op, _) in metrics.items() if op.takes("reference")]
    return Measures(metrics, detectors, passed_over, _reference(subject, needed) if needed else None)


POSES = "blazepose, dwpose and openpose find poses"


def pose_detector(name: str, settings: Mapping[str, Mapping[str, Any]], where: str) -> tuple[Op, Config]:
    """The op of a pose detector with its settings.

    Args:
        settings: of all preprocessors, by name.
        where: the setting that names it, for messages.

    Raises:
        UserError: no such detector, one that finds no poses, or wrong settings of it.
    """
    try:
        op = get("preprocess", name)
    except UserError as error:  # it says neither which setting names it, nor which of them all find poses
        raise UserError(f"{where}: {error.message}", fix=POSES) from None
    if op.gives != "poses":
        raise UserError(f"{where}: detector {name!r} finds no poses", fix=POSES)
    return op, parse(op.config, settings.get(name, {}), f"preprocess.{name}")


def _settings(name: str, own: Mapping[str, Any], subject: Subject) -> tuple[Op, Config]:
    op = get("measure", name)
    asked: dict[str, Any] = {}
    if "people" in op.config.model_fields and own.get("people") is None:  # nobody is missed who was not to be drawn
        asked["people"] = subject.preprocess.get("pose_map", {}).get("people")
    if "prompt" in op.config.model_fields:  # the text alone: emphasis is the renderer's
        asked["prompt"] = "".join(phrase.text for phrase in parse_emphasis(subject.prompt or ""))
    return op, parse(op.config, {**own, **asked}, f"measure.{name}")


def _nothing_to_say(name: str, op: Op, own: Config, subject: Subject) -> str:
    """Why a metric is passed over for this render; empty where it is not."""
    if "prompt" in type(own).model_fields and subject.varies:
        return "it compares with one prompt, and prompt_schedule changes it over the frames"
    if "prompt" in type(own).model_fields and not subject.prompt:
        return "it compares with the prompt, and there is none"
    if not subject.original and any(op.takes(name) for name in ("original", "poses")):
        return "it compares with the source's frames, and this render is drawn from none"
    if not subject.pictures and op.takes("map_pictures"):
        return "it compares with given pictures, and this render has none"
    families = measure.get(name).families
    if families and subject.embedded not in families:
        return f"it reads renders of {', '.join(families)} only, and the model is {subject.model}"
    if subject.embedded and not getattr(own, "embedded", True):
        return (
            f"its detector is made for people, not for cartoons of {subject.embedded}; "
            f"measure.{name}.embedded=true insists"
        )
    return ""


def _reference(subject: Subject, needed: list[str]) -> Source:
    from reel.files import sha256_file

    path = subject.reference
    if path is None:
        raise UserError(
            f"measure.{needed[0]} compares with a picture of the character, and there is none",
            fix=f"reference=picture.png, or leave {needed[0]} out of measure=[...]",
        )
    return Source(path, sha256_file(path))


def _check_picture(path: Path) -> None:
    """Whether a reference is a picture, by its head: it may be measured at the very end of a long render."""
    if not path.exists():
        raise UserError(f"reference: there is no file {path}", fix="name a PNG or JPEG")
    try:
        with opened(path):
            pass
    except UserError as error:
        raise UserError(f"reference: {error.message}", fix=error.fix) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"reference: {path} cannot be read as a picture ({error})", fix="name a PNG or JPEG") from None


def run(todo: Measures, made: Made, ctx: Context) -> None:
    """Measure a finished render, metric by metric and part by part, or take the figures from the cache."""
    for part, one in zip(todo.parts, made.parts, strict=True):
        run(part, one, ctx)
    found = {(detector, made.original): digest for detector, digest in made.poses.items()}

    def poses(detector: str, frames: str) -> str:
        if (detector, frames) not in found:
            op, settings = todo.detectors[detector]
            found[detector, frames] = call(op, settings, {"frames": frames}, ctx).digest
        return found[detector, frames]

    for op, settings in todo.metrics.values():
        inputs, own = {**made.maps, "frames": made.frames, "original": made.original}, ctx
        if op.takes("poses"):
            detector = getattr(settings, "detector", "")
            inputs["poses"] = poses(detector, made.original)
            if op.takes("poses_render"):
                inputs["poses_render"] = poses(detector, made.frames)
        if op.takes("reference") and todo.reference is not None:
            inputs["reference"] = todo.reference.digest
            own = replace(ctx, files={"reference": todo.reference.path})
        call(op, settings, {name: digest for name, digest in inputs.items() if op.takes(name)}, own)


def results(store: Store, record: RenderRecord) -> Iterator[Result]:
    """What the metrics of a render found, in the order in which they ran."""
    for stage in record.stages:
        if stage.measures:
            yield measure.load(store.get(stage.digest))


def record(store: Store, recorder: Recorder) -> None:
    """Put every number into the render's record; the mean of the parts' numbers, where it is measured by parts."""
    numbers: dict[str, list[float]] = {}
    for result in results(store, recorder.record):
        for name, number in result.flat.items():
            numbers.setdefault(name, []).append(number)
    if numbers:
        recorder.metric(**{name: statistics.fmean(several) for name, several in numbers.items()})


def lines(todo: Measures, found: list[Result]) -> Iterator[str]:
    """The main number of every metric, of parts their mean, and the metrics without one, for a person to read."""
    for name, several in _by_metric(found).items():
        value = measure.get(name).values[0]
        numbers = [result.values[value.name] for result in several if value.name in result.values]
        if numbers:
            better = f" ({value.better} is better)" if value.better else ""
            number = f"{statistics.fmean(numbers):.4g}"
            unit = "" if not value.unit else value.unit if value.unit.startswith("/") else f" {value.unit}"
            yield f"{name}.{value.name} {number}{unit}{better}"
        for result in several:
            if people := result.notes.get("people"):
                yield f"{name}.people {people}"
    passed = [pair for each in (todo, *todo.parts) for pair in each.passed_over.items()]
    for name, why in dict.fromkeys([*passed, *((r.measure, r.missing) for r in found if r.missing)]):
        yield f"{name} not measured: {why}"


def _by_metric(found: list[Result]) -> dict[str, list[Result]]:
    several: dict[str, list[Result]] = {}
    for result in found:
        several.setdefault(result.measure, []).append(result)
    return several
