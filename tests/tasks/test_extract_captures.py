"""What capture apps, phones, browsers and editors write, rebuilt small."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reel.clip import Clip
from reel.config import parse
from reel.errors import UserError
from reel.store import Store
from tasks.extract import Extract, prepare
from tasks.media import ffmpeg, frames
from tests.tasks.media_samples import assembled, extracted, numbered, numbers, run

RAW = {"multiple_of": 1, "color_range": "full"}


def piped(path: Path, count: int, *options: object) -> Path:
    """A numbered movie written to a pipe, which its muxer cannot go back in: a recording that nobody finished."""
    numbered(path.with_name("whole.mkv"), count, "25", "64x48", "-c:v", "ffv1")
    command = [
        ffmpeg.binary(),
        "-v",
        "error",
        "-nostdin",
        "-i",
        path.with_name("whole.mkv"),
        "-color_range",
        "pc",
        *options,
        "-",
    ]
    path.write_bytes(subprocess.run([str(part) for part in command], capture_output=True, check=True).stdout)
    return path


UNFINISHED = {
    "fragments.mp4": ("-c:v", "libx264", "-qp", 0, "-g", 5, "-movflags", "frag_keyframe+empty_moov", "-f", "mp4"),
    "browser.webm": ("-c:v", "libvpx", "-b:v", "2M", "-pix_fmt", "yuv420p", "-live", 1, "-f", "webm"),
    "crashed.mkv": ("-c:v", "ffv1", "-f", "matroska"),
}


@pytest.mark.parametrize("name", UNFINISHED)
def test_recordings_without_an_end(store: Store, tmp_path: Path, name: str) -> None:
    """OBS's fragmented mp4, a browser's MediaRecorder (no length, no index), a recorder that was killed."""
    assert numbers(extracted(store, piped(tmp_path / name, 20, *UNFINISHED[name]), **RAW)) == list(range(20))


def clean_aperture(path: Path, width: int) -> Path:
    """An mp4 whose index asks for the middle ``width`` px alone."""
    data = bytearray(path.read_bytes())
    clap = (40).to_bytes(4, "big") + b"clap"
    clap += b"".join(value.to_bytes(4, "big") for value in (width, 1, 48, 1, 0, 1, 0, 1))
    at = data.index(b"avcC") - 4
    at += int.from_bytes(data[at : at + 4], "big")
    data[at:at] = clap
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        size = data.index(name) - 4
        data[size : size + 4] = (int.from_bytes(data[size : size + 4], "big") + len(clap)).to_bytes(4, "big")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("suffix", "degrees"), [("mp4", 0), ("mp4", 90), ("mkv", 0)])
def test_what_the_container_crops_is_cropped(store: Store, tmp_path: Path, suffix: str, degrees: int) -> None:
    striped = np.zeros((48, 64, 3), np.uint8)
    striped[:, 16:32], striped[:, 32:48] = (200, 40, 40), (40, 40, 200)
    Image.fromarray(striped).save(tmp_path / "p.png")
    run("-i", tmp_path / "p.png", "-pix_fmt", "yuv444p", "-c:v", "libx264", "-qp", 0, tmp_path / "a.mp4")
    run("-display_rotation", degrees, "-i", tmp_path / "a.mp4", "-c", "copy", tmp_path / "b.mp4")
    path = clean_aperture(tmp_path / "b.mp4", 32)
    if suffix == "mkv":
        run("-i", path, "-c", "copy", tmp_path / "b.mkv")
    frame = extracted(store, tmp_path / f"b.{suffix}", multiple_of=1).frame(0)
    upright = np.rot90(striped[:, 16:48], degrees // 90).astype(int)
    assert frame.shape == upright.shape
    assert np.abs(frame - upright).mean() < 4


def test_a_front_camera_that_mirrors(store: Store, tmp_path: Path) -> None:
    left = np.zeros((48, 64, 3), np.uint8)
    left[:, :32] = (200, 40, 40)
    Image.fromarray(left).save(tmp_path / "p.png")
    run("-i", tmp_path / "p.png", "-pix_fmt", "yuv444p", "-c:v", "libx264", "-qp", 0, tmp_path / "a.mp4")
    run("-display_hflip", "-i", tmp_path / "a.mp4", "-c", "copy", tmp_path / "b.mp4")
    frame = extracted(store, tmp_path / "b.mp4").frame(0)
    assert frame.shape == left.shape
    assert frame[24, 48, 0] > 150 > frame[24, 16, 0]


def test_a_picture_that_changes_its_size_midway(store: Store, tmp_path: Path) -> None:
    """Shared windows and calls do that; frames of another shape would be squeezed into the first one's."""
    for number, size in enumerate(("64x48", "96x48")):
        numbered(tmp_path / f"{number}.h264", 10, "25", size, "-c:v", "libx264", "-qp", 0)
    (tmp_path / "both.h264").write_bytes(b"".join((tmp_path / f"{n}.h264").read_bytes() for n in range(2)))
    run("-framerate", 25, "-i", tmp_path / "both.h264", "-c", "copy", tmp_path / "both.ts")
    for settings in ({}, {"fps": 10}):
        with pytest.raises(UserError, match=r"both\.ts changes its size at frame 10: "):
            extracted(store, tmp_path / "both.ts", **RAW, **settings)


def test_frames_at_the_same_moment(store: Store, tmp_path: Path) -> None:
    """Rounded clocks have them; of such frames the last one is seen."""
    path = numbered(tmp_path / "a.mkv", 6, "25", "64x48", "-vf", "settb=1/1000,setpts=40*floor(N/2)", "-fps_mode",
                    "passthrough", "-enc_time_base", "1/1000", "-c:v", "ffv1")  # fmt: skip
    clip = extracted(store, path, **RAW)
    assert numbers(clip) == [1, 3, 5]
    assert [clip.time_base * pts for pts in clip.pts] == [0, clip.time_base * 40, clip.time_base * 80]


def test_a_camcorders_clock_that_wraps(store: Store, tmp_path: Path) -> None:
    """The clock of transport streams begins anew after 26 hours and a half."""
    path = numbered(tmp_path / "a.ts", 20, "25", "64x48", "-c:v", "libx264", "-qp", 0, "-output_ts_offset", 95443.3)
    assert numbers(extracted(store, path, **RAW)) == list(range(20))


def test_a_capture_that_begins_in_the_middle(store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Recorders of transport streams begin with whatever packet comes; players show it from the first key frame on."""
    whole = numbered(tmp_path / "whole.ts", 24, "25", "64x48", "-c:v", "libx264", "-qp", 0, "-bf", 2, "-g", 12)
    data = whole.read_bytes()
    (tmp_path / "a.ts").write_bytes(data[188 * (len(data) // 188 // 4) :])
    for fps in ("source", 25):
        assert numbers(extracted(store, tmp_path / "a.ts", fps=fps, **RAW)) == list(range(12, 24))
    assert re.search(r"a\.ts begins in the middle: \d frames before its first key frame", caplog.text)


def animated(path: Path, frames: Sequence[np.ndarray], durations: list[int], **options: object) -> Path:
    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(path, "WEBP", save_all=True, append_images=others, duration=durations, **options)
    return path


COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 90}], ids=["lossless", "lossy"])
def test_animated_webp(store: Store, tmp_path: Path, options: dict) -> None:
    """What ComfyUI and chats hand on."""
    frames = [np.full((48, 64, 3), colour, np.uint8) for colour in COLOURS]
    clip = extracted(store, animated(tmp_path / "a.webp", frames, [100, 300, 1000], **options))
    assert [list(map(int, frame[24, 32])) for frame in clip.frames()] == pytest.approx(np.array(COLOURS), abs=4)
    assert [float(pts * clip.time_base) for pts in clip.pts] == [0, 0.1, 0.4]
    assert clip.meta["source"]["range"]["duration"] == "7/5"
    even = extracted(store, tmp_path / "a.webp", fps=10)
    assert [int(frame[24, 32].argmax()) for frame in even.frames()] == [0, *[1] * 3, *[2] * 10]


@pytest.mark.parametrize(
    ("kind", "delays", "begins", "seconds"),
    [
        ("WEBP", [100, 11, 11], [0, 0.1, 0.111], 0.122),
        ("WEBP", [100, 10, 5], [0, 0.1, 0.2], 0.3),
        ("WEBP", [0, 0, 0], [0, 0.1, 0.2], 0.3),
        ("GIF", [100, 10, 10], [0, 0.1, 0.11], 0.12),
        ("GIF", [0, 0, 0], [0, 0.1, 0.2], 0.3),
        ("PNG", [100, 5, 5], [0, 0.1, 0.105], 0.11),
        ("PNG", [100, 0, 0], [0, 0.1, 0.1 + 1 / 15], 0.1 + 2 / 15),
        ("AVIF", [100, 300, 5], [0, 0.1, 0.4], 0.405),
    ],
)
def test_delays_of_nothing(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, delays: list[int], begins: list[float],
    seconds: float,
) -> None:  # fmt: skip
    """Formats that say "as fast as possible" are shown as FFmpeg shows them, the last frame as any other."""
    first, *others = (Image.fromarray(np.full((48, 64, 3), colour, np.uint8)) for colour in COLOURS)
    first.save(tmp_path / "a", kind, save_all=True, append_images=others, duration=delays)
    clip = extracted(store, tmp_path / "a")
    assert [float(pts * clip.time_base) for pts in clip.pts] == pytest.approx(begins, abs=1e-4)
    assert float(Fraction(clip.meta["source"]["range"]["duration"])) == pytest.approx(seconds, abs=1e-4)
    assert [int(frame[24, 32].argmax()) for frame in clip.frames()] == [0, 1, 2]
    assert "several video streams" not in caplog.text  # an AVIF in motion begins with a still of its own


def test_an_avif_in_motion_that_is_transparent(store: Store, tmp_path: Path) -> None:
    """Its transparency is a second track; what hides behind it was shown."""
    first, *others = (Image.new("RGBA", (64, 48), (200, 30, 30, alpha)) for alpha in (0, 128, 255))
    first.save(tmp_path / "a.avif", save_all=True, append_images=others, duration=100)
    with pytest.raises(UserError, match=r"a\.avif is transparent, by a track of its own") as error:
        extracted(store, tmp_path / "a.avif")
    assert error.value.fix is not None
    chosen = int(error.value.fix.rpartition("=")[2])
    assert len(extracted(store, tmp_path / "a.avif", stream=chosen)) == 3


def test_theora_is_decoded_on_one_thread(store: Store, tmp_path: Path) -> None:
    """With several, FFmpeg's decoder made other pictures of the very same file once in seventy times."""
    path = numbered(tmp_path / "a.ogv", 20, "25", "64x48", "-c:v", "libtheora", "-q:v", 10, "-pix_fmt", "yuv420p")
    assert numbers(extracted(store, path, **RAW)) == list(range(20))
    _, job = prepare(parse(Extract, {}), path)
    command = ffmpeg.arguments(frames.graph(job))
    assert command[command.index("-threads") + 1] == "1"
    assert command.index("-threads") < command.index("-i")


def test_our_own_webp_comes_back(store: Store, tmp_path: Path) -> None:
    clip = extracted(store, numbered(tmp_path / "a.mkv", 6, "25", "64x48", "-c:v", "ffv1"), **RAW)
    made = assembled(store, clip, None, format="webp", side_by_side=False, contact_sheet=0)
    again: Clip = extracted(store, made["movie"], multiple_of=1)
    assert numbers(again) == list(range(6))
    assert [pts * again.time_base for pts in again.pts] == [pts * clip.time_base for pts in clip.pts]
