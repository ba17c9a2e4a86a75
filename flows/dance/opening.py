"""What a `dance` says first: the clip, what is drawn of it, and what the family will make of the prompt.

It reads the clip's head and the settings alone, before any model, server or library of theirs, so that it stands on the
screen within a second or two.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from flows.render.words import of_the_words
from reel.models.animatediff import AnimateDiff

if TYPE_CHECKING:
    from flows.dance.settings import Dance
    from tasks.media.frames import Job
    from tasks.media.probe import Probe


def opening(cfg: Dance) -> Iterator[tuple[str, str]]:
    """Lines as (what it is about, text).

    Raises:
        UserError: the clip cannot be read, or not as the settings want it.
    """
    from tasks.extract import prepare

    facts, job = prepare(cfg.extract, cfg.clip)
    yield "clip", _clip(cfg.clip.name, facts, job)
    yield "drawn", _drawn(cfg, facts, job)
    yield "model", f"{cfg.model.name}: {cfg.model.title}" if cfg.model.title else cfg.model.name
    if isinstance(cfg.model, AnimateDiff):
        yield from (("note", told) for told in of_the_words(cfg, cfg.prompt, cfg.model))


def _clip(name: str, facts: Probe, job: Job) -> str:
    """``walk.mp4: 1920x1080, 24 fps, 10.2 s, 245 frames, with sound (aac)``; of a part of it, how long that is."""
    from tasks.media.geometry import display_size

    wide, high = display_size(facts.width, facts.height, facts.sample_aspect, facts.rotation)
    told = [f"{round(wide)}x{round(high)}"]
    count, taken = _seconds(facts), float(job.selection.duration)
    if facts.fps:
        told.append(f"{rate(facts.fps)} fps" + (" (varying)" if facts.variable_rate else ""))
        told.append(f"{taken:.3g} s" + (f" of {count:.3g} s" if count - taken > 1 / facts.fps else ""))
    told.append(f"{len(facts.pts)} frame{'s' * (len(facts.pts) != 1)}")
    told.append(f"with sound ({facts.sound.codec})" if facts.sound else "no sound")
    return f"{name}: {', '.join(told)}"


def _seconds(facts: Probe) -> float:
    """Length of the whole clip; its last frame is shown as long as the container says, or as the others are."""
    last = facts.last_duration * facts.time_base or (1 / facts.fps if facts.fps else 0)
    return float((facts.pts[-1] - facts.pts[0]) * facts.time_base + last)


def _drawn(cfg: Dance, facts: Probe, job: Job) -> str:
    """``82 frames at 8 fps of the clip's 24, 128x224``, and how to have all of them."""
    count = len(job.expected)
    size = f"{job.plan.width}x{job.plan.height}, {cfg.stylize.num_inference_steps} steps"
    frames = f"{count} frame{'s' * (count != 1)}"
    if job.fps is None or job.fps == facts.fps:
        return f"{frames}, every one of the clip's, {size}"
    start, stop = job.selection.start, job.selection.start + job.selection.duration
    every = sum(start <= (pts - facts.zero) * facts.time_base < stop for pts in facts.pts)
    if count >= every or cfg.extract.max_frames is not None:
        return f"{frames} at {rate(job.fps)} fps, {size}"
    kept = f"{rate(job.fps)} fps of the clip's {rate(facts.fps)}"
    return f"{frames} at {kept}, {size}; extract.fps=source draws all {every}"


def rate(fps: Fraction) -> str:
    """A frame rate for people: ``24``, ``29.97``."""
    return f"{float(fps):.4g}"
