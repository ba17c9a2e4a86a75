"""The sound of finished movies: in step to the end, cut to the range, of the very source; and the facts beside it."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from reel.errors import UserError
from reel.store import Store
from tests.tasks.media_samples import PLAIN, assembled, clicks, extracted, heard, numbered, run


def sounding(tmp_path: Path, suffix: str, *, late: float = 0.0, seconds: float = 9.0) -> Path:
    """A movie with a burst of sound at every half second from ``late`` on, and a grey step at the same moments."""
    wav = clicks(tmp_path / "clicks.wav", seconds - late)
    path = tmp_path / f"sound.{suffix}"
    codec = {"webm": ["-c:v", "libvpx-vp9", "-c:a", "libopus"]}.get(suffix, ["-c:v", "libx264", "-c:a", "aac"])
    pictures = f"testsrc2=s=64x48:r=12000/1001:d={seconds}"
    run(
        "-f", "lavfi", "-i", pictures, "-itsoffset", late, "-i", wav, "-map", 0, "-map", 1, "-b:a", "128k", *codec, path
    )
    return path


@pytest.mark.parametrize("late", [0.0, 0.7])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
def test_sound_stays_in_step_to_the_end(store: Store, tmp_path: Path, suffix: str, late: float) -> None:
    path = sounding(tmp_path, suffix, late=late)
    for part, formats in (({}, ("mp4",)), ({"start": 3.1, "end": 8.6}, ("mp4", "webm", "ffv1"))):
        clip = extracted(store, path, **part)
        begin = float(Fraction(clip.meta["source"]["range"]["start"]))
        length = float(Fraction(clip.meta["source"]["range"]["duration"]))
        clock = [late + n / 2 - begin for n in range(24)]
        expected = [time for time in clock if 0.01 < time < length - 0.05]
        for name in formats:
            made = assembled(store, clip, path, format=name, preset="ultrafast", **PLAIN)
            found = [time for time in heard(made["movie"]) if 0.01 < time < length - 0.05]
            assert len(found) == len(expected) > 9, (name, found, expected)
            assert np.abs(np.array(found) - expected).max() < 0.012, (name, found, expected)


def test_sound_is_cut_to_the_range_and_missing_sound_is_no_error(store: Store, tmp_path: Path) -> None:
    import av

    path = sounding(tmp_path, "mp4", late=2.0, seconds=4)
    clip = extracted(store, path, start=1, end=3)
    with av.open(str(assembled(store, clip, path, **PLAIN)["movie"])) as container:
        sound = container.streams.audio[0]
        assert float(sound.duration * sound.time_base) == pytest.approx(2.0, abs=0.03)
    before = assembled(store, extracted(store, path, end=1), path, **PLAIN)
    assert before["sound"] is False
    silent = assembled(store, clip, path, sound=False, **PLAIN)
    with av.open(str(silent["movie"])) as container:
        assert not container.streams.audio


def test_another_source_is_refused(store: Store, tmp_path: Path) -> None:
    path = sounding(tmp_path, "mp4", seconds=1)
    clip = extracted(store, path)
    other = numbered(tmp_path / "b.mp4", 4)
    with pytest.raises(UserError, match="not the file that the frames were extracted from"):
        assembled(store, clip, other, **PLAIN)


def test_hostile_text_stays_text(store: Store, tmp_path: Path) -> None:
    import av

    facts = {"prompt": "a=b, \"q\" 'x' \\ %{n} :[0]; $(id)\nline 2 ñ😀", "seed": "7", "key": "ab" * 32}
    source = sounding(tmp_path, "mp4", seconds=1).rename(tmp_path / "-i 50%d 'x' [0:a];.mp4")
    clip = extracted(store, source, max_frames=4)
    for name in ("mp4", "ffv1", "webm", "prores"):
        made = assembled(store, clip, source, format=name, metadata=facts, **PLAIN)
        assert made["sound"]
        with av.open(str(made["movie"])) as container:
            said = {key.lower(): value for key, value in container.metadata.items()}
            assert json.loads(said["comment"]) == facts
