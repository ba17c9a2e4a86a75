"""Loudness by EBU R128: measured, brought to a target by one gain, held under a true peak, and measured again.

Two passes: the first measures, the second applies what it found, as a gain that is the same from start to end; the
sound's dynamics stay. Only where the gain would lift true peaks above the ceiling, a look-ahead limiter, run at four
times the rate, holds them down; what it takes off the loudness is made up for and limited again.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.film.settings import RATE, Loudness
from tasks.media import sounds

log = logging.getLogger(__name__)

SHORTEST = RATE * 2 // 5
"""Samples of one gating block, 400 ms: shorter sound has no loudness."""
NEAR = 0.1
"""LU from the target that are good enough."""
OFF = 0.5
"""LU from the target that are told of."""
PASSES = 4
SILENCE = -70.0
"""LUFS: the absolute gate of BS.1770; FFmpeg gives it for sound of which nothing passes."""


@dataclass(frozen=True)
class Measured:
    """``integrated`` loudness, LUFS, and ``peak``, dBTP; None: there is none (too short, or silent)."""

    integrated: float | None
    peak: float | None

    def __str__(self) -> str:
        return "silence" if self.integrated is None else f"{self.integrated:.1f} LUFS, {self.peak or 0:.1f} dBTP"


def measure(raw: Path) -> Measured:
    """Measure a file of raw 32-bit float stereo at `RATE` with FFmpeg's EBU R128 meter; memory stays flat."""
    name = f"{raw.stem}.r128.txt"
    stream = _raw(raw).filter("ebur128", peak="true", metadata=1).filter("ametadata", mode="print", file=name)
    sounds.written_by(stream.output("-", format="null"), raw.parent, "measure the loudness")
    found: dict[str, float] = {}
    with (raw.parent / name).open() as lines:
        for line in lines:
            key, _, value = line.partition("=")
            if key in ("lavfi.r128.I", "lavfi.r128.true_peak"):
                found[key] = float(value)
    integrated, peak = found.get("lavfi.r128.I", SILENCE), found.get("lavfi.r128.true_peak", 0.0)
    if integrated <= SILENCE or not peak:
        return Measured(None, None)
    return Measured(round(integrated, 2), round(20 * math.log10(peak), 2))


def bring(raw: Path, wanted: Loudness) -> dict[str, Any]:
    """Bring a raw file to the target, in place.

    Returns:
        figures for the record: ``before``, ``after``, ``gain`` in dB, ``limited``, and ``why`` where nothing was done.
    """
    samples = raw.stat().st_size // 8
    if wanted.target is None:
        return {"why": "no target is set"}
    if samples < SHORTEST:
        why = f"the film lasts {samples * 1000 / RATE:.0f} ms, and under 400 ms there is no loudness"
        log.warning("loudness: %s; the mix stays as it is", why)
        return {"why": why}
    before = measure(raw)
    if before.integrated is None:
        return {"why": "the film is silent"}
    gain, limited = 0.0, False
    after, source = before, raw.with_suffix(".mixed.f32")
    raw.rename(source)
    for _ in range(PASSES):
        assert after.integrated is not None
        gain += wanted.target - after.integrated
        limited = (before.peak or 0.0) + gain > wanted.peak
        _apply(source, raw, gain, wanted.peak if limited else None)
        after = measure(raw)
        if after.integrated is None or abs(after.integrated - wanted.target) <= NEAR:
            break
    if after.integrated is None or abs(after.integrated - wanted.target) > OFF:
        log.warning(
            "loudness: %s is as near to %.1f LUFS as a peak of %.1f dBTP allows", after, wanted.target, wanted.peak
        )
    return {"target": wanted.target, "before": vars(before), "after": vars(after), "gain": round(gain, 2),
            "limited": limited}  # fmt: skip


def _apply(source: Path, target: Path, gain: float, ceiling: float | None) -> None:
    stream = _raw(source).filter("volume", f"{gain:.3f}dB", precision="float")
    if ceiling is not None:
        stream = stream.filter("aresample", RATE * 4)  # true peaks lie between the samples
        limit = 10 ** ((ceiling - 0.2) / 20)
        stream = stream.filter("alimiter", limit=f"{limit:.6f}", attack=5, release=80, level="disabled", latency=1)
        stream = stream.filter("aresample", RATE)
        samples = source.stat().st_size // 8
        stream = stream.filter("apad", whole_len=samples).filter("atrim", end_sample=samples)
    output = stream.output(target.name, format="f32le", acodec="pcm_f32le", ac=2, ar=RATE)
    sounds.written_by(output, target.parent, "bring the sound to its loudness")


def _raw(path: Path) -> Any:
    import ffmpeg as graphs

    return graphs.input(path.name, format="f32le", ar=RATE, ac=2, protocol_whitelist="file")
