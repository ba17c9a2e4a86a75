"""Schedules of a render: found in its settings, looked over before anything runs, compiled for the clip.

The renderer gets arrays with an entry for each frame, so a comment or another spelling renders nothing anew.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reel.config import SCHEDULE, Config
from reel.errors import UserError
from reel.schedule.codes import ERROR, NOTE
from reel.schedule.findings import Finding, ScheduleError
from reel.schedule.setting import listed, parse_setting

if TYPE_CHECKING:
    from flows.config.setting_places import Origin, Origins
    from reel.schedule.compile import PromptTrack
    from reel.schedule.lint import LintResult
    from reel.schedule.model import Schedule, What

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Slot:
    """One setting that holds a schedule.

    Attributes:
        limits: smallest and largest value; None for prompts.
        embeddings: names of the textual inversions that its prompts may use.
    """

    key: str
    text: str
    what: What
    limits: tuple[float, float] | None = None
    embeddings: tuple[str, ...] = ()


class BadSchedule(ScheduleError):
    """A schedule among the settings that cannot be used; ``slot`` says which."""

    def __init__(self, findings: list[Finding], name: str, slot: Slot) -> None:
        super().__init__(findings, name)
        self.slot = slot

    def __reduce__(self) -> tuple[object, ...]:
        return (BadSchedule, (self.findings, self.name, self.slot))

    def placed(self, origins: Origins) -> UserError:
        """The same mistakes where the schedule was written."""
        origin = origins.find(self.slot.key) if self.name == self.slot.key else None
        if origin is None:
            return self
        found = look(self.slot, origin=origin).findings
        return (
            BadSchedule(found, origin.name_for(self.slot), self.slot)
            if any(f.severity == ERROR for f in found)
            else self
        )


class BadSchedules(UserError):
    """Several schedules that cannot be used, ``errors`` one by one."""

    def __init__(self, errors: Sequence[UserError]) -> None:
        super().__init__("\n".join(error.message for error in errors))
        self.errors = errors

    def __reduce__(self) -> tuple[object, ...]:
        return (BadSchedules, (self.errors,))

    def placed(self, origins: Origins) -> UserError:
        """The same mistakes where the schedules were written."""
        return BadSchedules([error.placed(origins) for error in self.errors if isinstance(error, BadSchedule)])


@dataclass
class Compiled:
    """Schedules on the frames of one clip: F entries each, None where there is no schedule."""

    prompts: PromptTrack | None = None
    values: dict[str, list[float]] = field(default_factory=dict)
    """By key: ``strength_schedule``, ``controls.pose.weight_schedule``, ..."""
    tracks: dict[str, Schedule] = field(default_factory=dict)
    """Timeframe tracks, by key."""


def slots(cfg: Config, embeddings: Iterable[str] = ()) -> list[Slot]:
    """All schedules of a render's settings: the fields of type `reel.schedule.setting.ScheduleText` that hold one.

    Args:
        embeddings: names of the textual inversions that prompts may use.
    """
    return list(_slots(cfg, "", tuple(embeddings)))


def _slots(value: Any, key: str, embeddings: tuple[str, ...]) -> Iterator[Slot]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _slots(item, f"{key}.{name}", embeddings)
    if not isinstance(value, Config):
        return
    for name, known in type(value).model_fields.items():
        inner, at = getattr(value, name), f"{key}.{name}".lstrip(".")
        if SCHEDULE not in known.metadata:
            yield from _slots(inner, at, embeddings)
        elif inner is not None:
            yield _slot(name, inner, at, embeddings)


def _slot(name: str, text: str, key: str, embeddings: tuple[str, ...]) -> Slot:
    from reel.schedule.lint import PARAMETERS  # with all that reads schedules: most renders have none

    if name in PARAMETERS:
        return Slot(key, text, "value", PARAMETERS[name])
    if name == "track":
        return Slot(key, text, "track")
    return Slot(key, text, "prompt", embeddings=embeddings)


def check(schedules: Iterable[Slot]) -> None:
    """Refuse mistakes that need no clip to be seen.

    Raises:
        BadSchedule, BadSchedules: all mistakes of all schedules.
    """
    bad: list[UserError] = []
    for slot in schedules:
        try:
            if listed(slot.text, slot.key) is None:
                _refuse(look(slot), slot, slot.key)
        except BadSchedule as error:
            bad.append(error)
    if bad:
        raise bad[0] if len(bad) == 1 else BadSchedules(bad)


def look(
    slot: Slot, frames: int | None = None, fps: float | None = None, seed: int = 0, origin: Origin | None = None
) -> LintResult:
    """Findings of a schedule, at their places in its own text or where it was written (``origin``)."""
    from reel.schedule.lint import judge

    parsed = parse_setting(slot.text, slot.what, slot.key) if origin is None else origin.parsed(slot)
    schedule = parsed.schedule
    if schedule is not None and not schedule.serves(slot.what):
        start = schedule.keys[0].place.start
        parsed.report.add("RS115", f"{slot.key} needs a '{slot.what}' schedule, this is a '{schedule.what}'", start)
    elif schedule is not None and slot.what == "prompt" and schedule.has_pictures:
        first = next(key for key in schedule.keys if key.picture is not None)
        parsed.report.add("RS506", "only the prompts are used here: pictures are left out", first.body.start)
    found = judge(
        parsed, frames=frames, fps=fps, seed=seed, value_range=slot.limits, rendered=True, embeddings=slot.embeddings
    )
    return found if origin is None else origin.moved(slot, found)


def compiled(
    schedules: Iterable[Slot],
    frames: int,
    fps: float,
    seed: int = 0,
    negative: str = "",
    origins: Origins | None = None,
) -> Compiled:
    """All schedules of a render on its clip; warnings are logged.

    Args:
        frames: number of frames.
        fps: frames per second, for places in seconds.
        seed: of formulas that draw numbers.
        negative: a negative prompt that holds at every frame.
        origins: where settings were written, for the places in messages.

    Raises:
        BadSchedule: a mistake, with its place.
        UserError: a list of another length than the clip.
    """
    result = Compiled()
    for slot in schedules:
        values = listed(slot.text, slot.key)
        if values is not None:
            result.values[slot.key] = _fitting(values, slot, frames)
            continue
        from reel.schedule.compile import compile_prompts, compile_values  # numpy, where there is something to compile

        found = look(slot, frames, fps, seed)
        if any(one.severity != NOTE for one in found.findings):
            origin = origins.find(slot.key) if origins is not None else None
            placed = look(slot, frames, fps, seed, origin) if origin is not None else found
            name = origin.name_for(slot) if origin is not None else slot.key
            _refuse(placed, slot, name)
            _warn(placed.findings, slot, name)
        assert found.schedule is not None
        if slot.what == "prompt":
            result.prompts = compile_prompts(found.schedule, frames, fps, seed)
        elif slot.what == "track":
            result.tracks[slot.key] = found.schedule
        else:
            result.values[slot.key] = compile_values(found.schedule, frames, fps, seed).tolist()
    if result.prompts is not None and negative:
        result.prompts = with_negative(result.prompts, negative)
    return result


def _fitting(values: Sequence[float], slot: Slot, frames: int) -> list[float]:
    low, high = slot.limits or (float("-inf"), float("inf"))
    if len(values) != frames:
        raise UserError(
            f"{slot.key}: {len(values)} values for {frames} frames",
            fix="one value for each frame, or keys: '0: 1.0; 50%: 0.4'",
        )
    wrong = next((i for i, value in enumerate(values) if not low <= value <= high), None)
    if wrong is not None:
        raise UserError(f"{slot.key}: value {values[wrong]:g} of frame {wrong} lies outside {low:g} to {high:g}")
    return list(values)


def with_negative(track: PromptTrack, common: str) -> PromptTrack:
    """`negative_prompt` holds at every frame; a schedule's own negatives come after it."""
    from dataclasses import replace

    texts = tuple((positive, ", ".join(filter(None, [common, negative]))) for positive, negative in track.texts)
    return replace(track, texts=texts)


def _refuse(found: LintResult, slot: Slot, name: str) -> None:
    errors = [one for one in found.findings if one.severity == ERROR]
    if errors or found.schedule is None:
        raise BadSchedule(errors or found.findings, name, slot)


def _warn(findings: Sequence[Finding], slot: Slot, name: str) -> None:
    for one in findings:
        if one.severity != NOTE:
            log.warning("%s: %s", slot.key, one.render(name))


def refuse_both(overrides: Sequence[str]) -> None:
    """A prompt typed beside a prompt schedule would be ignored, so that is refused.

    Raises:
        UserError: both are among the overrides.
    """
    given = {text.partition("=")[0].lstrip("+") for text in overrides}
    if {"prompt", "prompt_schedule"} <= given:
        raise UserError(
            "prompt and prompt_schedule are both given: a prompt schedule takes the prompt's place",
            fix="leave prompt out, or put words that should stay into the schedule: head: masterpiece; 0: ...",
        )
