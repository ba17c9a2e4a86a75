"""The op `film.mix`: the sound of all shots and the music become one, exactly as long as the film.

Everything is decoded to 48 kHz float samples, added up on the disk in blocks, brought to its loudness and stored once;
it is encoded once, when the film is written. Sound that is longer than its shot is cut with it, shorter sound is
followed by silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.clip import Clip
from reel.config import Config
from reel.errors import UserError
from reel.op import Context, op
from reel.store import Draft, Store
from reel.work import Extent, Work, choices
from tasks.film import loudness
from tasks.film.plan import Length, Placed, Plan, plan
from tasks.film.settings import CHANNELS, RATE, Film, MusicHow, Shot
from tasks.media import sounds
from tasks.media.sounds import Bed, SoundFile
from tasks.media.timeline import frame_step

if TYPE_CHECKING:
    import numpy as np

EDGE = RATE // 200
"""Samples (5 ms) in which a sound begins and ends where nothing else fades it, so that no cut clicks."""
HOP = RATE // 100
"""Samples (10 ms) for which the music gives way as one."""
HEARD = 10 ** (-45 / 20)
"""Level above which a shot's own sound is taken to be heard."""
AHEAD, HOLD, RELEASE = 15, 30, 40
"""Hops before sound begins at which the music starts to give way, that it waits behind it, and takes to come back."""
SEAM = RATE // 20
"""Samples (50 ms) in which looped music crosses over into its beginning."""


class Mix(Config):
    """What of a film its sound depends on."""

    shots: list[Shot]
    film: Film


def _work(cfg: Mix, given: Mapping[str, Extent], ctx: Context) -> Work:
    return Work({"frames": float(sum(one.frames for one in given.values()))}, choices(cfg))


@op("film", "mix", version=1, config=Mix, inputs=("shot_*", "sound_*", "music"), gives="sound", work=_work,
    distributions=("imageio-ffmpeg", "ffmpeg-python", "av", "numpy"))  # fmt: skip
def mix(cfg: Mix, inputs: Mapping[str, str], ctx: Context) -> str:
    """Mix the film's sound.

    Args:
        inputs: ``shot_<n>`` the clips, from 0, whose lengths say where each stands; ``sound_<n>`` the sound that goes
            with one, and ``music``: a stored sound, or the content of a file at ``ctx.files`` under the same name.

    Returns:
        digest of an object of kind ``sound`` with ``sound.wav``: 48 kHz, stereo, 32-bit float, and ``music.wav``, the
        music alone as it lies in the mix, before the film's loudness; its meta has ``rate``, ``seconds`` (exact),
        ``samples`` and ``loudness``, the figures of `tasks.film.loudness.bring`.

    Raises:
        UserError: transitions that do not fit, or sound that cannot be decoded.
    """
    planned = plan(cfg.shots, lengths(ctx.store, inputs, len(cfg.shots)), cfg.film)
    with ctx.store.draft("sound") as draft:
        with sounds.temporary(draft.dir) as folder:
            figures = _mixed(cfg, planned, inputs, ctx, draft, Path(folder))
        ctx.note(loudness=figures)
        return draft.commit(rate=RATE, seconds=str(Fraction(planned.samples, RATE)), samples=planned.samples,
                            loudness=figures)  # fmt: skip


def _mixed(
    cfg: Mix, planned: Plan, inputs: Mapping[str, str], ctx: Context, draft: Draft, folder: Path
) -> dict[str, Any]:
    """Write the mix, and the music alone, into a draft; the figures of its loudness.

    Args:
        folder: for raw sound on the way.
    """
    bed = Bed(folder / "film.f32", planned.samples)
    heard = [_add_shot(bed, one, cfg.shots, inputs, ctx) for one in planned.placed]
    if "music" in inputs:
        music = _music(bed, cfg.film.music, sound_of(inputs, ctx, "music"), any(heard))
        bed.add(music.path, 0, _as_it_is)
        _keep(music.path, draft, "music.wav")
    out = round(Fraction(str(cfg.film.fade_out)) * RATE)
    if out:
        bed.scale(_fading_out(planned.samples, out))
    figures = loudness.bring(bed.path, cfg.film.loudness)
    _keep(bed.path, draft, "sound.wav")
    return figures


def _keep(raw: Path, draft: Draft, name: str) -> None:
    sounds.write_wav(raw, raw.with_name(name), rate=RATE, channels=CHANNELS)
    draft.add(name, raw.with_name(name))


def lengths(store: Store, inputs: Mapping[str, str], count: int) -> list[Length]:
    """Lengths of the shots, by what their clips say."""
    return [length_of(Clip.open(store, inputs[f"shot_{index}"])) for index in range(count)]


def length_of(clip: Clip) -> Length:
    """A clip's length; a single frame is a second of a still."""
    if clip.count == 1:
        return Length(Fraction(1), Fraction(0))
    ticks = clip.pts[-1] - clip.pts[0] + frame_step(clip.pts)
    return Length(Fraction(ticks) * clip.time_base, clip.fps)


def sound_of(inputs: Mapping[str, str], ctx: Context, name: str) -> SoundFile:
    """The sound that an input names: a file outside the store, or a stored one.

    Raises:
        UserError: it is no sound.
    """
    if name in ctx.files:
        return sounds.look(Path(ctx.files[name]), name)
    stored = ctx.store.get(inputs[name])
    if stored.kind != "sound":
        raise UserError(f"film: {name} is of kind {stored.kind!r}, not a sound")
    stored.check("sound.wav")
    return SoundFile(stored.path("sound.wav"), "wav", 0, Fraction(stored.meta["seconds"]))


def _add_shot(bed: Bed, placed: Placed, shots: Sequence[Shot], inputs: Mapping[str, str], ctx: Context) -> bool:
    """Whether it is a shot that has sound."""
    name = f"sound_{placed.shot}"
    if placed.shot is None or name not in inputs or not shots[placed.shot].sound:
        return False
    raw = bed.path.with_name("shot.f32")
    count = placed.stop - placed.start
    sounds.decoded(sound_of(inputs, ctx, name), raw, rate=RATE, speed=float(placed.speed), samples=count)
    bed.add(raw, placed.start, _shape(placed, count, shots[placed.shot].gain))
    raw.unlink()
    return True


def _shape(placed: Placed, count: int, gain: float) -> Any:
    """Factors over a shot's samples: equal power where it crosses over, linear where it fades."""
    import numpy as np

    frames = max(placed.frames, 1)
    ramps = [(placed.overlap_in, placed.fade_in), (placed.overlap_out, placed.fade_out)]
    spans = [max(round(count * (overlap or fade) / frames), EDGE) for overlap, fade in ramps]
    level = 10 ** (gain / 20)

    def factors(number: np.ndarray) -> np.ndarray:
        found = np.full(len(number), level)
        for place, (overlap, _), span in zip((number, count - 1 - number), ramps, spans, strict=True):
            share = np.clip((place + 0.5) / span, 0, 1)
            found *= np.sin(share * np.pi / 2) if overlap else share
        return found

    return factors


def _music(bed: Bed, how: MusicHow, music: SoundFile, heard: bool) -> Bed:
    """The music as it lies under the shots: looped or padded, faded, and lower where they are heard.

    Raises:
        UserError: nothing is left of it behind its ``start``.
    """
    raw = bed.path.with_name("music.f32")
    count = sounds.decoded(music, raw, rate=RATE, start=how.start)
    if not count:
        raise UserError(f"music.start: {music.path.name} has ended by {how.start:g} s", fix="music.start=0")
    under = Bed(bed.path.with_name("under.f32"), bed.samples)
    seam = min(SEAM, count // 4) if how.short == "loop" else 0
    for begins in range(0, bed.samples if how.short == "loop" else 1, max(count - seam, 1)):
        under.add(raw, begins, _crossing(count, seam, first=begins == 0))
    level, fade_in, fade_out = 10 ** (how.gain / 20), round(how.fade_in * RATE), round(how.fade_out * RATE)
    ducked = _giving_way(bed, how.duck) if heard and how.duck else None

    def factors(number: np.ndarray) -> np.ndarray:
        import numpy as np

        found = np.full(len(number), level)
        if fade_in:
            found *= np.clip((number + 0.5) / fade_in, 0, 1)
        if fade_out:
            found *= np.clip((bed.samples - number - 0.5) / fade_out, 0, 1)
        return found if ducked is None else found * np.interp(number / HOP, np.arange(len(ducked)), ducked)

    under.scale(factors)
    raw.unlink()
    return under


def _crossing(count: int, seam: int, *, first: bool) -> Any:
    """Factors over one pass of looped music, which crosses over into the next."""
    import numpy as np

    def factors(number: np.ndarray) -> np.ndarray:
        found = np.ones(len(number))
        if seam:
            found *= np.sin(np.clip((count - number - 0.5) / seam, 0, 1) * np.pi / 2)
            found *= 1.0 if first else np.sin(np.clip((number + 0.5) / seam, 0, 1) * np.pi / 2)
        return found

    return factors


def _giving_way(bed: Bed, duck: float) -> np.ndarray:
    """Factors of the music, one a hop, by where the bed is heard."""
    import numpy as np

    levels: list[float] = []
    for block in sounds.blocks(bed.path):
        hops = [block[at : at + HOP] for at in range(0, len(block), HOP)]
        levels += [float(np.sqrt(np.mean(np.square(hop)))) for hop in hops]
    away = np.zeros(len(levels) + 1)
    for hop in np.flatnonzero(np.array(levels) > HEARD):
        away[max(0, hop - AHEAD) : hop + HOLD] = 1
    return 10 ** (-duck * _smoothed(away) / 20)


def _smoothed(away: np.ndarray) -> np.ndarray:
    """Steps from 0 to 1 as ramps: down within `AHEAD` hops, back within `RELEASE`."""
    import numpy as np

    found, now = np.zeros(len(away)), 0.0
    for index, wanted in enumerate(away):
        now = min(wanted, now + 1 / AHEAD) if wanted > now else max(wanted, now - 1 / RELEASE)
        found[index] = now
    return found


def _as_it_is(number: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.ones(len(number))


def _fading_out(samples: int, length: int) -> Any:
    import numpy as np

    return lambda number: np.clip((samples - number - 0.5) / length, 0, 1)
