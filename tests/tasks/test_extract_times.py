"""Which frame is shown when: containers that say it badly, clocks that start again, and the rule for constant rates."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reel.config import parse
from reel.errors import UserError
from reel.store import Store
from tasks.extract import Extract, prepare
from tasks.media import timeline
from tests.tasks.media_samples import clicks, extracted, numbered, numbers, run

RAW = {"multiple_of": 1, "color_range": "full"}
H264 = ("-c:v", "libx264", "-qp", 0, "-bf", 3, "-g", 12)
MPEG2 = ("-c:v", "mpeg2video", "-qscale:v", 1, "-bf", 2, "-pix_fmt", "yuv420p")


def reference(times: list[Fraction], fps: Fraction, count: int) -> list[int]:
    """The rule in its own words: the nearest frame, but none more than half a new frame early; the later of two."""
    shown = []
    for number in range(count):
        moment = Fraction(number) / fps
        due = [index for index, time in enumerate(times) if time <= moment + 1 / (2 * fps)]
        nearest = min(abs(times[index] - moment) for index in due)
        shown.append(max(index for index in due if abs(times[index] - moment) == nearest))
    return shown


RATES = st.sampled_from(list(map(Fraction, ("8", "10", "12", "24", "30000/1001", "25", "60", "240", "1/3", "7.3"))))
BASES = st.sampled_from([Fraction(1, ticks) for ticks in (25, 600, 1000, 12800, 90000)] + [Fraction(1001, 30000)])


@given(steps=st.lists(st.integers(1, 5000), max_size=40), base=BASES, fps=RATES)
def test_frames_are_due_as_the_rule_says(steps: list[int], base: Fraction, fps: Fraction) -> None:
    pts = [7]
    for step in steps:
        pts.append(pts[-1] + step)
    count = min(200, int((pts[-1] - pts[0]) * base * fps) + 2)
    starts = timeline.due(pts, base, fps)
    shown = [max(index for index, start in enumerate(starts) if start <= number) for number in range(count)]
    assert shown == reference([(tick - pts[0]) * base for tick in pts], fps, count)


def uneven(path: Path, milliseconds: list[int]) -> Path:
    """A movie whose frame ``n`` has grey level ``8 n`` and stands at the given moment."""
    shown = "+".join(f"{moment}*eq(N\\,{number})" for number, moment in enumerate(milliseconds))
    return numbered(path, len(milliseconds), "25", "64x48", "-vf", f"settb=1/1000,setpts={shown}", "-fps_mode",
                    "passthrough", "-enc_time_base", "1/1000", "-c:v", "ffv1")  # fmt: skip


@pytest.mark.parametrize(
    ("milliseconds", "fps", "shown"),
    [
        ([0, 100, 120, 620, 700], "10", [0, 1, 2, 2, 2, 2, 3]),
        ([0, 100, 120, 620, 700], "12.5", [0, 1, 2, 2, 2, 2, 2, 2, 3]),
        ([0, 5000, 5040], "1", [0, 0, 0, 0, 0]),  # nothing of a pause's end is shown before its time
    ],
)
def test_an_uneven_clip_at_a_constant_rate(
    store: Store, tmp_path: Path, milliseconds: list[int], fps: str, shown: list[int]
) -> None:
    clip = extracted(store, uneven(tmp_path / "a.mkv", milliseconds), fps=fps, **RAW)
    assert numbers(clip) == shown


@pytest.mark.parametrize("fps", ["3", "12.5", "24000/1001", "240"])
def test_ffmpeg_chooses_by_the_same_arithmetic(store: Store, tmp_path: Path, fps: str) -> None:
    times = [0, 3, 4, 83, 84, 101, 125, 126, 180, 220, 260, 261, 400, 410, 999, 1000, 1001, 1005, 1040, 1333]
    clip = extracted(store, uneven(tmp_path / "a.mkv", times), fps=fps, **RAW)
    assert numbers(clip) == reference([Fraction(time, 1000) for time in times], Fraction(fps), len(clip))


@pytest.mark.parametrize("copied", [False, True], ids=["encoded", "copied from mp4"])
def test_h264_in_avi(store: Store, tmp_path: Path, copied: bool) -> None:
    """AVI keeps the order of decoding alone, and its header counts more frames than there are."""
    path = tmp_path / "a.avi"
    if copied:
        run("-i", numbered(tmp_path / "a.mp4", 20, "25", "64x48", *H264), "-c", "copy", path)
    else:
        numbered(path, 20, "25", "64x48", *H264)
    clip = extracted(store, path, **RAW)
    assert numbers(clip) == list(range(20))
    assert clip.meta["source"]["range"]["duration"] == "4/5"
    assert numbers(extracted(store, path, fps=25, **RAW)) == list(range(20))
    assert numbers(extracted(store, path, fps=8, **RAW)) == [0, 3, 6, 9, 13, 16]
    assert numbers(extracted(store, path, start=0.2, end=0.4, **RAW)) == list(range(5, 10))


@pytest.mark.parametrize("codec", [("mjpeg", "-q:v", 1), ("mpeg4", "-qscale:v", 1, "-bf", 2), ("rawvideo",)], ids=str)
def test_older_codecs_in_avi(store: Store, tmp_path: Path, codec: tuple) -> None:
    path = numbered(tmp_path / "a.avi", 20, "25", "64x48", "-c:v", *codec, "-pix_fmt", "yuv420p")
    assert numbers(extracted(store, path, **RAW)) == list(range(20))


CODECS = {
    "h264 with B-frames": H264,
    "h264": ("-c:v", "libx264", "-qp", 0, "-bf", 0),
    "mpeg4 with B-frames": ("-c:v", "mpeg4", "-qscale:v", 1, "-bf", 2, "-pix_fmt", "yuv420p"),
    "mpeg2 with B-frames": MPEG2,
    "mjpeg": ("-c:v", "mjpeg", "-q:v", 1, "-pix_fmt", "yuvj420p"),
}


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Twenty numbered frames in each codec, as mov with a clock of its own."""
    folder = tmp_path_factory.mktemp("encoded")
    return {codec: numbered(folder / f"{codec}.mov", 20, "25", "64x48", *CODECS[codec]) for codec in CODECS}


@pytest.mark.parametrize("suffix", ["avi", "mp4", "mkv", "ts"])
@pytest.mark.parametrize("codec", CODECS)
def test_a_stream_that_was_copied_has_all_frames_and_its_whole_time(
    tmp_path: Path, encoded: dict[str, Path], codec: str, suffix: str
) -> None:
    """Copied streams keep a clock finer than a frame, and AVI says that a packet lasts one tick of it."""
    path = tmp_path / f"copied.{suffix}"
    # transport streams need MPEG-4's headers in the stream, as their encoders write them
    how = CODECS[codec] if suffix == "ts" and codec.startswith("mpeg4") else ("-c", "copy")
    if (codec, suffix) == ("mjpeg", "ts"):
        return  # transport streams have none
    run("-i", encoded[codec], *how, path)
    for fps, count in (("source", 20), (25, 20), (50, 40), (12.5, 10)):
        _, job = prepare(parse(Extract, {"fps": fps}), path)
        assert (len(job.expected), float(job.selection.duration)) == (count, pytest.approx(0.8, abs=0.0011))


def test_a_last_frame_of_a_tick_has_lost_its_time(tmp_path: Path, encoded: dict[str, Path]) -> None:
    """What a stream has that came through AVI before it was copied into mp4."""
    path = tmp_path / "tick.mp4"
    cut = "setts=duration='if(eq(N,19),1,DURATION)'"
    run("-i", encoded["h264"], "-c", "copy", "-bsf:v", cut, path)
    for fps, count in (("source", 20), (25, 20)):
        _, job = prepare(parse(Extract, {"fps": fps}), path)
        assert (len(job.expected), float(job.selection.duration)) == (count, pytest.approx(0.8, abs=0.0011))


CONTAINERS = {
    "avi": H264, "wmv": ("-c:v", "wmv2", "-q:v", 1, "-pix_fmt", "yuv420p"), "flv": (*H264, "-pix_fmt", "yuv420p"),
    "asf": H264, "mkv": H264, "mp4": H264, "ts": H264, "mpg": MPEG2,
}  # fmt: skip
SOUND = {"avi": "pcm_s16le", "wmv": "wmav2", "asf": "wmav2", "mpg": "mp2"}


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_sound_that_goes_on_and_pictures_that_begin_late_are_no_damage(
    store: Store, tmp_path: Path, suffix: str
) -> None:
    numbered(tmp_path / "pictures.mkv", 20, "25", "64x48", "-c:v", "ffv1")
    long = clicks(tmp_path / "long.wav", 3.0)
    coded = (*CONTAINERS[suffix], "-color_range", "pc", "-c:a", SOUND.get(suffix, "aac"))
    run("-i", tmp_path / "pictures.mkv", "-i", long, *coded, tmp_path / f"long.{suffix}")
    assert numbers(extracted(store, tmp_path / f"long.{suffix}", **RAW)) == list(range(20))
    run("-itsoffset", 1, "-i", tmp_path / "pictures.mkv", "-i", long, "-map", 0, "-map", 1, "-fps_mode", "passthrough",
        *coded, tmp_path / f"late.{suffix}")  # fmt: skip
    late = extracted(store, tmp_path / f"late.{suffix}", **RAW)
    assert numbers(late) == list(range(20))
    second = Fraction(late.meta["source"]["range"]["start"]) + late.pts[1] * late.time_base
    assert float(second) == pytest.approx(1.04, abs=0.09)  # AVI holds the first picture from 0 on, and has 25 a second


CUT = {
    **CONTAINERS, "webm": ("-c:v", "libvpx", "-b:v", "2M", "-pix_fmt", "yuv420p"), "nut": H264, "gif": ("-c:v", "gif"),
    "apng": ("-f", "apng"), "y4m": (),
    "mxf": ("-c:v", "mpeg2video", "-qscale:v", 1, "-pix_fmt", "yuv422p"),
}  # fmt: skip


@pytest.mark.parametrize("suffix", CUT)
def test_of_a_file_that_is_cut_off_all_or_what_is_whole_or_nothing(store: Store, tmp_path: Path, suffix: str) -> None:
    path = numbered(tmp_path / f"a.{suffix}", 20, "25", "64x48", *(CUT[suffix] or ("-pix_fmt", "yuv444p")))
    assert numbers(extracted(store, path, **RAW)) == list(range(20))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    if suffix not in ("ts", "y4m", "mxf"):  # where nothing says that there was more
        with pytest.raises(UserError) as error:
            extracted(store, path, **RAW)
        assert "\n" not in error.value.message
        assert error.value.fix
        return
    with contextlib.suppress(UserError):
        shown = numbers(extracted(store, path, **RAW))
        assert shown == list(range(len(shown)))


@pytest.mark.parametrize("suffix", ["avi", "wmv", "flv"])
def test_a_truncated_file_is_told_by_the_size_that_it_states(store: Store, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    run("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25", "-frames:v", 75, "-g", 10, *CONTAINERS[suffix][:2], path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(UserError, match=rf"a\.{suffix} is truncated: only .* bytes are in the file"):
        extracted(store, path)
    assert 20 < len(extracted(store, path, damaged="keep")) < 70


@pytest.mark.parametrize(("suffix", "codec"), [("ts", H264), ("mpg", MPEG2)])
def test_joined_recordings_whose_clock_starts_again(
    store: Store, tmp_path: Path, suffix: str, codec: tuple[object, ...]
) -> None:
    joined = tmp_path / f"joined.{suffix}"
    with joined.open("wb") as file:
        for name, count in (("one", 20), ("two", 8)):
            file.write(numbered(tmp_path / f"{name}.{suffix}", count, "25", "64x48", *codec).read_bytes())
    for settings in ({}, {"fps": 8}):
        with pytest.raises(UserError, match=rf"joined\.{suffix}: the clock restarts at frame 20: ") as error:
            extracted(store, joined, **settings)
    # what the message advises works
    assert error.value.fix is not None
    command = error.value.fix.partition(": ffmpeg ")[2].replace("OUT", str(tmp_path / "out")).split()
    run(*(str(joined) if word == "IN" else word for word in command))
    assert len(extracted(store, tmp_path / "out.mp4")) == 28
