"""Where every shot of a film stands, in frames and in samples: rational arithmetic, nothing rendered.

Shot `i` is shown from frame ``first`` to ``first + frames``. A crossfade of d frames lets the next shot begin d frames
before the end, so that the film is shorter by d; a fade takes its length from the shots on both sides and changes no
length. The sample at which frame k begins is ``k * 48000 / fps``, rounded for itself, so that nothing adds up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from reel.errors import UserError
from tasks.film.settings import RATE, Film, Shot, Title, Transition


@dataclass(frozen=True)
class Length:
    """A shot before it is cut: ``seconds`` long at its own pace, with ``fps`` frames a second; 0: a card or a still."""

    seconds: Fraction
    fps: Fraction


@dataclass(frozen=True)
class Placed:
    """A shot in the film.

    Attributes:
        shot: its number among the shots; None: a title.
        title: ``opening`` or ``closing``; empty: a shot.
        first, frames: where it begins, and how long it is, in frames of the film.
        speed: at which it is shown.
        overlap_in, overlap_out: frames that it shares with the one before and the one behind.
        fade_in, fade_out: frames in which it comes from black and goes to black.
        start, stop: the same stretch in samples.
    """

    shot: int | None
    title: str
    first: int
    frames: int
    speed: Fraction
    overlap_in: int
    overlap_out: int
    fade_in: int
    fade_out: int
    start: int
    stop: int

    @property
    def last(self) -> int:
        """The frame behind its last one."""
        return self.first + self.frames


@dataclass(frozen=True)
class Plan:
    """A film worked out. ``frames`` and ``samples`` are its length."""

    fps: Fraction
    placed: tuple[Placed, ...]
    frames: int
    samples: int


def samples_at(frame: int, fps: Fraction) -> int:
    """The sample at which a frame begins; of two that are equally near the later one."""
    return int(frame * RATE / fps + Fraction(1, 2))


def rate_of(lengths: Sequence[Length]) -> Fraction:
    """The rate that most of the seconds have; of two with as many the higher one. Stills have none: 25, all alone."""
    seconds: dict[Fraction, Fraction] = {}
    for one in lengths:
        if one.fps:
            seconds[one.fps] = seconds.get(one.fps, Fraction(0)) + one.seconds
    return max(seconds, key=lambda fps: (seconds[fps], fps), default=Fraction(25))


@dataclass(frozen=True)
class _Part:
    """A shot or a card before it has its place."""

    shot: int | None
    title: str
    name: str
    frames: int
    speed: Fraction
    transition: Transition


def plan(shots: Sequence[Shot], lengths: Sequence[Length], film: Film) -> Plan:
    """Work a film out.

    Args:
        lengths: of the shots, in their order.

    Raises:
        UserError: no shots, or a transition that is longer than the shots beside it.
    """
    if not shots:
        raise UserError("shots: there are none", fix="a film needs at least one shot")
    fps = rate_of(lengths) if film.frame.fps == "shots" else Fraction(film.frame.fps)
    parts = _parts(shots, lengths, film, fps)
    overlaps = [0] * (len(parts) + 1)  # between part i - 1 and part i
    fades_in, fades_out = [0] * len(parts), [0] * len(parts)
    for index, part in enumerate(parts):
        length = part.transition.length(fps)
        if part.transition.kind == "crossfade":
            if index == 0:
                raise UserError(f"{part.name}: there is nothing before it to crossfade from", fix="fade, or cut")
            overlaps[index] = length
        elif part.transition.kind == "fade":
            fades_in[index] = length - length // 2 if index else length
            if index:
                fades_out[index - 1] = length // 2
    fades_out[-1] = round(Fraction(str(film.fade_out)) * fps)
    for index, part in enumerate(parts):
        _check(part, overlaps[index], overlaps[index + 1], fades_in[index], fades_out[index], fps)
    return _placed(parts, overlaps, fades_in, fades_out, fps)


def _parts(shots: Sequence[Shot], lengths: Sequence[Length], film: Film, fps: Fraction) -> list[_Part]:
    parts = []
    for index, (shot, length) in enumerate(zip(shots, lengths, strict=True)):
        speed = length.seconds / Fraction(str(shot.seconds)) if shot.seconds else Fraction(str(shot.speed))
        frames = max(1, round(length.seconds / speed * fps))
        parts.append(_Part(index, "", f"shot {index + 1}", frames, speed, shot.transition))
    if film.opening is not None:
        parts.insert(0, _card("opening", film.opening, fps))
    if film.closing is not None:
        parts.append(_card("closing", film.closing, fps))
    return parts


def _card(name: str, card: Title, fps: Fraction) -> _Part:
    frames = max(1, round(Fraction(str(card.seconds)) * fps))
    return _Part(None, name, name, frames, Fraction(1), card.transition)


def _check(part: _Part, before: int, behind: int, fade_in: int, fade_out: int, fps: Fraction) -> None:
    """Raises: UserError where transitions need more frames than there are."""
    taken = before + behind + fade_in + fade_out
    if taken <= part.frames:
        return
    names = {"crossfade from the one before": before, "crossfade to the next": behind, "fade in": fade_in}
    names |= {"fade out": fade_out}
    listed = " and ".join(f"{name} of {count}" for name, count in names.items() if count)
    raise UserError(
        f"{part.name}: it has {part.frames} frames ({float(part.frames / fps):.2f} s), and its transitions take "
        f"{taken}: {listed}",
        fix="shorten the transitions, or lengthen the shot",
    )


def _placed(
    parts: Sequence[_Part], overlaps: Sequence[int], fades_in: Sequence[int], fades_out: Sequence[int], fps: Fraction
) -> Plan:
    found, first = [], 0
    for index, part in enumerate(parts):
        first -= overlaps[index]
        last = first + part.frames
        found.append(
            Placed(
                shot=part.shot, title=part.title, first=first, frames=part.frames, speed=part.speed,
                overlap_in=overlaps[index], overlap_out=overlaps[index + 1],
                fade_in=fades_in[index], fade_out=fades_out[index],
                start=samples_at(first, fps), stop=samples_at(last, fps),
            )
        )  # fmt: skip
        first = last
    return Plan(fps, tuple(found), first, samples_at(first, fps))
