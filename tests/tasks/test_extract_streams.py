"""Which of several video streams is read: the one that FFmpeg would take, or the one that was asked for."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from reel.errors import UserError
from reel.store import Store
from tests.tasks.media_samples import extracted, numbered, numbers, run

RAW = {"multiple_of": 1, "color_range": "full"}


def two(path: Path, first: str, second: str, *more: object) -> Path:
    """A file with two video streams of these sizes; the first one shows a single frame."""
    numbered(path.with_name("1.mkv"), 1, "25", first, "-c:v", "ffv1")
    numbered(path.with_name("2.mkv"), 20, "25", second, "-c:v", "ffv1")
    run("-i", path.with_name("1.mkv"), "-i", path.with_name("2.mkv"), "-map", 0, "-map", 1, "-c:v", "libx264", "-qp", 0,
        "-color_range", "pc", *more, path)  # fmt: skip
    return path


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov", "ts"])
def test_a_thumbnail_as_first_stream_is_not_the_movie(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    path = two(tmp_path / f"{suffix}.{suffix}", "32x24", "64x48")
    with caplog.at_level(logging.WARNING):
        clip = extracted(store, path, **RAW)
    assert numbers(clip) == list(range(20))
    assert f"{path.name} has several video streams: 1 (h264) is read, not 0 (h264, 32x24)" in caplog.text
    small = extracted(store, path, stream=0, **RAW)
    assert (small.width, small.height, len(small)) == (32, 24, 1)


def test_the_default_stream_and_attached_pictures(store: Store, tmp_path: Path) -> None:
    default = two(tmp_path / "a.mkv", "96x64", "64x48", "-disposition:v:0", 0, "-disposition:v:1", "default")
    assert len(extracted(store, default, **RAW)) == 20
    cover = two(tmp_path / "b.mp4", "96x64", "64x48", "-disposition:v:0", "attached_pic", "-c:v:0", "mjpeg")
    assert len(extracted(store, cover, **RAW)) == 20
    alone = extracted(store, cover, stream=1, **RAW)  # mp4 puts it behind the movie
    assert (alone.width, len(alone), alone.meta["source"]["range"]["duration"]) == (96, 1, "1/25")


def test_a_stream_that_is_not_there(store: Store, tmp_path: Path) -> None:
    path = two(tmp_path / "a.mkv", "32x24", "64x48")
    with pytest.raises(UserError, match=r"a\.mkv has no video stream 7; .* 0 \(h264, 32x24\), 1 \(h264, 64x48\)"):
        extracted(store, path, stream=7)


def test_a_codec_that_nobody_decodes(store: Store, tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.mov", 3)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    with pytest.raises(UserError, match=r"a\.mov holds a video in a codec that FFmpeg does not decode"):
        extracted(store, path)
