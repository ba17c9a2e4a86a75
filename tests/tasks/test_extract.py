"""Extraction of real little movies: which frames, when, how large, from which kinds of source."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reel.errors import UserError
from reel.store import Store
from tasks.media.source import source_digest
from tests.tasks.media_samples import extracted, numbered, numbers, run

RAW = {"multiple_of": 1, "color_range": "full"}
"""Settings that show the numbered movies as they are."""


def test_every_frame_arrives_once_in_order_with_its_time(store: Store, tmp_path: Path) -> None:
    clip = extracted(store, numbered(tmp_path / "a.mp4", 20), **RAW)
    assert numbers(clip) == list(range(20))
    assert [pts * clip.time_base for pts in clip.pts] == [Fraction(n, 25) for n in range(20)]
    assert clip.meta["source"]["range"] == {"start": "0", "duration": "4/5"}
    assert clip.meta["source"]["video"]["fps"] == "25"
    assert clip.meta["source"]["sound"] is None


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("mkv", ["-c:v", "ffv1"]), ("avi", ["-c:v", "ffv1"]), ("webm", ["-c:v", "libvpx-vp9", "-lossless", 1]),
        ("mov", ["-c:v", "prores_ks"]), ("nut", ["-c:v", "ffv1"]), ("ts", ["-c:v", "libx264", "-qp", 0]),
        ("mpg", ["-c:v", "mpeg2video", "-qscale:v", 1, "-pix_fmt", "yuv420p", "-bf", 2]),
    ],
)  # fmt: skip
def test_containers(store: Store, tmp_path: Path, suffix: str, codec: list) -> None:
    path = numbered(tmp_path / f"a.{suffix}", 12, "25", "64x48", *codec)
    clip = extracted(store, path, **RAW)
    assert numbers(clip) == list(range(12))
    assert [float(pts * clip.time_base) for pts in clip.pts] == pytest.approx([n / 25 for n in range(12)], abs=6e-4)
    assert clip.meta["source"]["video"]["fps"] == "25"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"start": 0.2}, range(5, 20)),
        ({"start": "0:00.2", "end": 0.4}, range(5, 10)),
        ({"end": 0.4, "max_frames": 3}, range(3)),
        ({"fps": 12.5}, range(0, 20, 2)),
        ({"fps": 5, "start": 0.2}, range(5, 20, 5)),
        ({"fps": 12.5, "start": 0.12, "max_frames": 4}, [3, 5, 7, 9]),
        ({"fps": 50, "end": 0.12}, [0, 0, 1, 1, 2, 2]),
        ({"fps": 20}, [0, 1, 3, 4, 5, 6, 8, 9, 10, 11, 13, 14, 15, 16, 18, 19]),
    ],
)
def test_ranges_and_rates(store: Store, tmp_path: Path, settings: dict, expected: range) -> None:
    clip = extracted(store, numbered(tmp_path / "a.mp4", 20), **RAW, **settings)
    shown = numbers(clip)
    assert shown == list(expected)
    if "fps" in settings:
        assert clip.fps == Fraction(str(settings["fps"]))


def test_a_late_start_is_sought_exactly(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"  # key frames only every 250 frames, start well after the seek limit
    grey = "color=black:s=64x48:r=25,format=gray,geq=lum='mod(N,30)*8',format=yuv444p"
    run("-f", "lavfi", "-i", grey, "-frames:v", 500, "-color_range", "pc", "-c:v", "libx264", "-qp", 0, path)
    clip = extracted(store, path, start=15.2, end=15.6, **RAW)
    assert numbers(clip) == [n % 30 for n in range(380, 390)]
    assert clip.meta["source"]["range"]["start"] == "76/5"


def test_variable_frame_rate_keeps_its_times(store: Store, tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.mkv", 20, "25", "64x48", "-vf", "select='not(mod(n,5))+eq(n,7)+eq(n,19)'",
                    "-fps_mode", "vfr", "-c:v", "ffv1")  # fmt: skip
    shown = [0, 5, 7, 10, 15, 19]
    clip = extracted(store, path, **RAW)
    assert numbers(clip) == shown
    assert [float(pts * clip.time_base) for pts in clip.pts] == [n / 25 for n in shown]
    assert clip.meta["source"]["video"]["variable_rate"]
    even = extracted(store, path, fps=25, **RAW)
    assert numbers(even) == [max(n for n in shown if n <= k) for k in range(len(even))]
    assert len(even) in (20, 21)  # how long the last frame lasts is a guess in a variable-rate file


def test_a_clip_that_was_trimmed_without_encoding_it_again(store: Store, tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.mp4", 30, "25", "64x48", "-c:v", "libx264", "-qp", 0, "-g", 12, "-bf", 3)
    run("-ss", 0.6, "-i", path, "-c", "copy", tmp_path / "cut.mp4")  # an edit list hides the frames before the cut
    clip = extracted(store, tmp_path / "cut.mp4", **RAW)
    assert numbers(clip) == list(range(15, 30))
    assert clip.pts[0] == 0


def test_a_clock_that_does_not_begin_at_zero(store: Store, tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.ts", 20, "25", "64x48", "-c:v", "libx264", "-qp", 0, "-output_ts_offset", 30)
    assert numbers(extracted(store, path, start=0.2, end=0.32, **RAW)) == [5, 6, 7]


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (270, 3)])
def test_rotation_is_applied_before_the_size(store: Store, tmp_path: Path, degrees: int, turns: int) -> None:
    stored = np.zeros((32, 96, 3), np.uint8)
    stored[:, :48], stored[:, 48:], stored[:16, :16] = (200, 30, 30), (30, 30, 200), (240, 240, 240)
    Image.fromarray(stored).save(tmp_path / "p.png")
    run("-i", tmp_path / "p.png", "-pix_fmt", "yuv444p", "-c:v", "libx264", "-qp", 0, tmp_path / "flat.mp4")
    run("-display_rotation", degrees, "-i", tmp_path / "flat.mp4", "-c", "copy", tmp_path / "turned.mp4")
    clip = extracted(store, tmp_path / "turned.mp4", short_side=64)
    upright = np.rot90(stored, turns)
    assert (clip.height, clip.width) == (upright.shape[0] * 2, upright.shape[1] * 2)
    small = np.asarray(Image.fromarray(clip.frame(0)).resize(upright.shape[1::-1], Image.Resampling.BOX)).astype(int)
    assert np.abs(small - upright)[4:-4:5, 4:-4:5].mean() < 6
    assert np.abs(small - upright[::-1, ::-1])[4:-4:5, 4:-4:5].mean() > 50  # the comparison can tell


def test_sample_aspect_is_applied_before_the_size(store: Store, tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.mp4", 2, "25", "72x58", "-c:v", "libx264", "-qp", 0, "-vf", "setsar=2")
    clip = extracted(store, path, height=58, multiple_of=1)
    assert (clip.width, clip.height) == (144, 58)


def test_odd_sizes_padding_and_background(store: Store, tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.mkv", 3, "25", "63x47", "-c:v", "ffv1")
    odd = extracted(store, path, **RAW)
    assert (odd.width, odd.height) == (63, 47)
    padded = extracted(store, path, width=96, height=48, fit="pad", background="#Ff8000", color_range="full")
    frame = padded.frame(2)
    assert frame.shape == (48, 96, 3)
    assert tuple(frame[24, 2]) == tuple(frame[24, 93]) == (255, 128, 0)
    assert abs(int(frame[24, 48, 0]) - 16) <= 1


def combing(frame: np.ndarray) -> float:
    grey = frame.astype(float).mean(axis=2)
    return float(np.abs(grey[1:-1] - (grey[:-2] + grey[2:]) / 2).mean())


def test_interlaced_video_is_woven_apart(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "i.mp4"
    moving = (
        "color=black:s=160x96:r=50,geq=lum='235*lt(mod(X-6*N\\,80)\\,20)':cb=128:cr=128,interlace=scan=tff:lowpass=0"
    )
    run("-f", "lavfi", "-i", moving, "-frames:v", 10, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-qp", 4,
        "-flags", "+ildct+ilme", "-x264-params", "tff=1", path)  # fmt: skip
    auto, off = extracted(store, path), extracted(store, path, deinterlace="off")
    assert auto.meta["source"]["video"]["interlaced"]
    assert len(auto) == len(off) == 10
    assert auto.pts == off.pts
    assert combing(off.frame(5)) > 10
    assert combing(auto.frame(5)) < combing(off.frame(5)) / 5


def test_transparency_is_laid_on_the_background(store: Store, tmp_path: Path) -> None:
    picture = np.zeros((32, 64, 4), np.uint8)
    picture[:, :, 0], picture[:, 32:, 3], picture[:, 48:, 3] = 255, 128, 255
    (tmp_path / "seq").mkdir()
    Image.fromarray(picture).save(tmp_path / "seq" / "1.png")
    run(
        "-i",
        tmp_path / "seq" / "1.png",
        "-c:v",
        "libvpx-vp9",
        "-pix_fmt",
        "yuva420p",
        "-lossless",
        1,
        tmp_path / "a.webm",
    )
    run("-i", tmp_path / "seq" / "1.png", "-c:v", "prores_ks", "-pix_fmt", "yuva444p10le", tmp_path / "a.mov")
    run("-i", tmp_path / "seq" / "1.png", "-c:v", "png", tmp_path / "b.mov")
    for path in (tmp_path / "seq", tmp_path / "a.webm", tmp_path / "a.mov", tmp_path / "b.mov"):
        frame = extracted(store, path, background="#0000ff", fps=25).frame(0).astype(int)
        for x, colour in ((16, (0, 0, 255)), (40, (128, 0, 127)), (58, (255, 0, 0))):
            assert np.abs(frame[16, x] - colour).max() <= 4, (path.name, x, frame[16, x])


def test_resampled_transparency_has_no_hidden_colours_at_its_edge(store: Store, tmp_path: Path) -> None:
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[:, :32] = (0, 255, 0, 0)  # green that nobody may ever see
    picture[:, 32:] = (255, 0, 0, 255)
    Image.fromarray(picture).save(tmp_path / "a.png")
    frame = extracted(store, tmp_path / "a.png", short_side=24).frame(0)
    assert frame[..., 1].max() <= 2


def test_gif(store: Store, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), (40 * n, 0, 0)) for n in range(5)]
    frames[0].save(
        tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=[100, 50, 200, 100, 150], loop=0
    )
    clip = extracted(store, tmp_path / "a.gif")
    assert [round(float(frame[..., 0].mean()) / 40) for frame in clip.frames()] == list(range(5))
    assert [pts * clip.time_base for pts in clip.pts] == [
        0,
        Fraction(1, 10),
        Fraction(3, 20),
        Fraction(7, 20),
        Fraction(9, 20),
    ]
    assert Fraction(clip.meta["source"]["range"]["duration"]) == Fraction(3, 5)


def test_folder_of_pictures(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "seq"
    folder.mkdir()
    for number, suffix in ((1, "png"), (2, "jpg"), (10, "bmp"), (11, "tif"), (9, "webp")):
        Image.new("RGB", (32, 24), (20 * number, 20 * number, 20 * number)).save(folder / f"f{number}.{suffix}")
    (folder / "notes.txt").write_text("not a picture")
    clip = extracted(store, folder, fps=12)
    assert [round(float(frame.mean()) / 20) for frame in clip.frames()] == [1, 2, 9, 10, 11]
    assert clip.fps == 12
    cut = extracted(store, folder, fps=12, start=1 / 12, max_frames=2)
    assert [round(float(frame.mean()) / 20) for frame in cut.frames()] == [2, 9]
    with pytest.raises(UserError, match=r"extract\.fps: seq is a folder of 5 pictures"):
        extracted(store, folder)


def test_pictures_stand_upright_and_keep_their_depth(store: Store, tmp_path: Path) -> None:
    lying = Image.new("RGB", (40, 24), (200, 0, 0))
    lying.paste((0, 0, 200), (0, 0, 20, 24))
    exif = Image.Exif()
    exif[0x0112] = 6
    lying.save(tmp_path / "a.jpg", exif=exif, quality=95)
    clip = extracted(store, tmp_path / "a.jpg")
    assert (clip.width, clip.height) == (24, 40)
    frame = clip.frame(0)
    assert frame[5, 12, 2] > 150
    assert frame[35, 12, 0] > 150
    deep = np.full((16, 16), 128 * 257, np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert abs(float(extracted(store, tmp_path / "deep.png").frame(0).mean()) - 128) <= 1


HOSTILE = [
    "-i.mp4", "-y", "a:b.mp4", "http:x.mp4", "%d %03d 50%.mp4", "concat:a|b.mp4", "it's \"q\".mp4", "日本 😀 ñ.mp4",
    " lead and trail .mp4 ", "line\nbreak.mp4", "[0:v];,scale=2.mp4", "$(touch pwned) `x` ${HOME}.mp4", "a\\:b.mp4",
    "pipe:0", "subfile,,start,0,end,9,,:x.mp4", "~", "*.mp4",
]  # fmt: skip


def test_hostile_names_are_only_names(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = numbered(tmp_path / "made.mp4", 3)
    folder = tmp_path / "50% 'odd' {dir}"
    folder.mkdir()
    monkeypatch.chdir(folder)
    expected = extracted(store, made, **RAW).digest
    for name in HOSTILE:
        (folder / name).write_bytes(made.read_bytes())
        assert extracted(store, Path(name), **RAW).digest == expected, name
    assert len(list(folder.iterdir())) == len(HOSTILE)


def test_a_store_whose_path_looks_like_a_pattern(tmp_path: Path) -> None:
    clip = extracted(Store(tmp_path / "%d 50% [x]"), numbered(tmp_path / "a.mp4", 3), **RAW)
    assert numbers(clip) == [0, 1, 2]


def test_the_digest_does_not_depend_on_threads_or_store(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    run("-f", "lavfi", "-i", "testsrc2=s=322x182:r=25", "-frames:v", 12, "-pix_fmt", "yuv420p", path)
    cores = os.sched_getaffinity(0)
    digests = set()
    for number, allowed in enumerate((cores, {min(cores)}, cores)):
        os.sched_setaffinity(0, allowed)
        try:
            digests.add(extracted(Store(tmp_path / f"store{number}"), path, short_side=128, fps=12).digest)
        finally:
            os.sched_setaffinity(0, cores)
    assert len(digests) == 1


def test_the_source_digest_follows_content_and_order_only(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, names in ((one, ("1.png", "2.png")), (two, ("a9.png", "a10.png"))):
        folder.mkdir()
        for level, name in zip((10, 20), names, strict=True):
            Image.new("RGB", (16, 16), (level, level, level)).save(folder / name)
    assert source_digest(one) == source_digest(two)
    (two / "a9.png").rename(two / "a11.png")
    assert source_digest(one) != source_digest(two)
