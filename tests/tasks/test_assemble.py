"""Finished movies: every format decoded again, times and sound in step, labels and facts where they belong."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from reel.clip import Clip, ClipWriter
from reel.config import parse
from reel.errors import DamagedObject, UserError
from reel.store import Store
from tasks.assemble import Assemble
from tasks.media.export import export
from tasks.media.panels import SideBySide, contact_sheet, spread
from tests.tasks.media_samples import PLAIN, assembled, extracted, movie_times, numbered, run

ROOT = Path(__file__).parents[2]


def drawn(
    store: Store, times: list[int], time_base: Fraction, size: tuple[int, int] = (64, 48), kind: str = "rgb"
) -> Clip:
    """A clip whose frame ``n`` is grey of level ``20 + 10 n`` with a red corner."""
    with ClipWriter(store, kind, width=size[0], height=size[1], time_base=time_base) as writer:
        for number, pts in enumerate(times):
            frame = np.full((size[1], size[0], 3), 20 + 10 * number, np.uint8)
            frame[:12, :12] = (220, 20, 20)
            writer.add(frame, pts)
    return Clip.open(store, writer.digest)


def levels(path: Path) -> list[int]:
    import av

    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [round((float(frame[24:, 24:].mean()) - 20) / 10) for frame in frames]


@pytest.mark.parametrize(
    ("name", "suffix", "codec", "pixel_format"),
    [
        ("mp4", "mp4", "h264", "yuv420p"), ("prores", "mov", "prores", "yuv422p10le"), ("ffv1", "mkv", "ffv1", "bgr0"),
        ("webm", "webm", "vp9", "yuv420p"), ("gif", "gif", "gif", "bgra"),
    ],
)  # fmt: skip
def test_formats(store: Store, name: str, suffix: str, codec: str, pixel_format: str) -> None:
    import av

    made = assembled(store, drawn(store, list(range(10)), Fraction(1, 25)), None, format=name, **PLAIN)
    assert made["movie"].suffix == f".{suffix}"
    assert levels(made["movie"]) == list(range(10))
    assert [float(time) for time in movie_times(made["movie"])] == pytest.approx([n / 25 for n in range(10)], abs=1e-3)
    with av.open(str(made["movie"])) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.codec.canonical_name == codec
        assert stream.average_rate == 25
        frame = next(container.decode(stream))
        assert frame.format.name == pixel_format
        if pixel_format.startswith("yuv"):
            assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)
            colour = stream.codec_context
            assert (colour.color_primaries, colour.color_trc, colour.colorspace) == (1, 1, 1)
        assert container.duration == pytest.approx(400_000, abs=2000)


def test_webp_and_a_folder_of_pictures(store: Store) -> None:
    clip = drawn(store, list(range(6)), Fraction(1, 10))
    webp = assembled(store, clip, None, format="webp", **PLAIN)
    with Image.open(webp["movie"]) as picture:
        assert picture.n_frames == 6
        assert sum(_duration(picture, n) for n in range(6)) == pytest.approx(600, abs=2)
    folder = assembled(store, clip, None, format="png", **PLAIN)
    assert folder["movie"] == "frames"
    assert [folder["stored"].read(f"frames/{n:06d}.png") for n in range(6)] == [
        clip.stored.read(f"frames/{n:06d}.png") for n in range(6)
    ]


def _duration(picture: Image.Image, index: int) -> int:
    picture.seek(index)
    picture.load()
    return picture.info["duration"]


def shown(path: Path) -> tuple[int, Fraction]:
    """How many frames a movie has, and how many seconds it lasts until the last one is gone."""
    import av

    if path.suffix in (".webp", ".gif"):
        with Image.open(path) as picture:
            times = [_duration(picture, number) for number in range(picture.n_frames)]
        return len(times), Fraction(sum(times), 1000)
    with av.open(str(path)) as container:
        count = sum(1 for _ in container.decode(video=0))
        return count, Fraction(container.duration, 1_000_000)


def fade(number: int) -> tuple[int, int, int]:
    return (100 + number // 3, 100, 100 + number // 2)


LOOKS = {"fade": fade, "still": lambda number: (90, 120, 60), "flat": lambda number: (255 * (number % 2), 0, 128)}


@pytest.mark.parametrize("name", ["mp4", "prores", "ffv1", "webm", "gif", "webp"])
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    look=st.sampled_from(sorted(LOOKS)),
    steps=st.lists(st.integers(20, 400), max_size=7),
    last=st.integers(20, 1500),
    fps=st.sampled_from(["clip", "clip", "12", "24000/1001"]),
)
@example(look="fade", steps=[40] * 20, last=40, fps="clip")
@example(look="still", steps=[300], last=1000, fps="clip")
@example(look="still", steps=[], last=700, fps="clip")
@example(look="flat", steps=[100, 300, 100], last=1000, fps="source")
def test_every_format_has_the_frames_and_the_time_of_the_plan(
    store: Store, name: str, look: str, steps: list[int], last: int, fps: str
) -> None:
    times = [sum(steps[:number]) for number in range(len(steps) + 1)]
    length = times[-1] + last
    source = {"range": {"start": "0", "duration": str(Fraction(length, 1000))}, "sound": None, "digest": "",
              "video": {"fps": "10"}}  # fmt: skip
    with ClipWriter(store, "rgb", width=32, height=24, time_base=Fraction(1, 1000), meta={"source": source}) as writer:
        for number, pts in enumerate(times):
            writer.add(np.full((24, 32, 3), LOOKS[look](number), np.uint8), pts)
    made = assembled(store, Clip.open(store, writer.digest), None, format=name, fps=fps, contact_sheet=0,
                     side_by_side=name == "ffv1")  # fmt: skip
    rate = {"clip": None, "source": Fraction(10)}.get(fps, None if fps in ("clip", "source") else Fraction(fps))
    count = len(times) if rate is None else max(1, round(Fraction(length, 1000) * rate))
    seconds = Fraction(length, 1000) if rate is None else count / rate
    for movie in filter(None, (made["movie"], made.get("side_by_side"))):
        found = shown(movie)
        assert found[0] == count, movie
        assert abs(found[1] - seconds) <= Fraction(1, 100 if name == "gif" else 1000) + Fraction(1, 2000), movie


def test_the_last_picture_of_a_gif_stays_as_long_as_there(store: Store, tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (64, 48), (50 * number, 0, 90)) for number in range(4)]
    path = tmp_path / "a.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[100, 300, 100, 1000], loop=0)
    clip = extracted(store, path)
    made = assembled(store, clip, path, contact_sheet=0)
    assert shown(made["movie"]) == shown(made["side_by_side"]) == (4, Fraction(3, 2))
    assert Fraction(made["duration"]) == Fraction(3, 2)
    assert movie_times(made["movie"]) == [0, Fraction(1, 10), Fraction(2, 5), Fraction(1, 2)]
    even = assembled(store, clip, path, fps="source", **PLAIN)
    assert shown(even["movie"]) == (15, Fraction(3, 2))


def test_what_a_format_cannot_tell_apart_is_refused(store: Store) -> None:
    close = drawn(store, [0, 1, 1000], Fraction(1, 1000))
    with pytest.raises(UserError, match=r"some frames are closer to each other than gif can tell \(10 ms\)"):
        assembled(store, close, None, format="gif", **PLAIN)


def test_mp4_starts_at_once_and_plays_everywhere(store: Store) -> None:
    data = assembled(store, drawn(store, list(range(4)), Fraction(1, 25)), None, **PLAIN)["movie"].read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert b"avcC" in data
    assert b"nclx" in data  # the colour tags, as browsers and QuickTime read them


def test_variable_times_survive(store: Store) -> None:
    times = [0, 1001, 1500, 4004, 9009]
    clip = drawn(store, times, Fraction(1, 30000))
    for name, rounding in (("mp4", 0), ("ffv1", 1 / 1000), ("webm", 1 / 1000), ("gif", 1 / 100)):
        made = assembled(store, clip, None, format=name, **PLAIN)
        assert [float(t) for t in movie_times(made["movie"])] == pytest.approx(
            [t / 30000 for t in times], abs=rounding + 1e-9
        )
        assert levels(made["movie"]) == list(range(5))


def test_rates_kept_restored_and_chosen(store: Store, tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.mp4", 24, "30000/1001")
    clip = extracted(store, path, fps=10)
    kept = assembled(store, clip, path, **PLAIN)
    assert movie_times(kept["movie"]) == [Fraction(n, 10) for n in range(8)]
    restored = assembled(store, clip, path, fps="source", **PLAIN)
    assert movie_times(restored["movie"]) == [Fraction(1001 * n, 30000) for n in range(24)]
    chosen = assembled(store, clip, path, fps=20, **PLAIN)
    assert movie_times(chosen["movie"]) == [Fraction(n, 20) for n in range(16)]


def test_side_by_side_shows_source_maps_and_result_in_step(store: Store) -> None:
    clip, depth = drawn(store, list(range(5)), Fraction(1, 5)), drawn(store, list(range(5)), Fraction(1, 5), kind="map")
    made = assembled(store, clip, None, maps={"depth": depth, "pose": depth}, contact_sheet=3)
    composed = SideBySide({"source": clip, "depth": depth, "pose": depth, "result": clip})
    import av

    with av.open(str(made["side_by_side"])) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 5
    wide, high = composed.panel
    assert (wide, high) == (6 * 64, 6 * 48)  # small frames are enlarged by a whole factor
    assert frames[0].shape == (composed.band + high, 4 * wide, 3)
    for number, frame in enumerate(frames):
        for panel in range(4):
            level = float(frame[composed.band + high // 2 :, panel * wide + wide // 2 : (panel + 1) * wide - 8].mean())
            assert level == pytest.approx(20 + 10 * number, abs=3)
    band = frames[0][: composed.band].astype(int)
    assert all(band[:, panel * wide : (panel + 1) * wide].max() > 150 for panel in range(4))  # a label over each
    assert made["map_preview"] == "map_preview.png"


def test_contact_sheet(store: Store) -> None:
    clip = drawn(store, list(range(9)), Fraction(1, 5), (80, 160))
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet({"source": clip, "result": clip}, 3, thumb=160))))
    assert sheet.shape[0] == 24 + 2 * 164
    left = sheet.shape[1] - 3 * 84
    for row in range(2):
        for column, number in enumerate((0, 4, 8)):
            middle = sheet[24 + row * 164 + 80, left + column * 84 + 40]
            assert abs(int(middle[0]) - (20 + 10 * number)) <= 1
    assert np.array_equal(
        sheet, np.asarray(Image.open(io.BytesIO(contact_sheet({"source": clip, "result": clip}, 3, thumb=160))))
    )
    assert spread(10, 4) == [0, 3, 6, 9]
    assert spread(3, 8) == [0, 1, 2]
    assert spread(9, 1) == [4]


@pytest.mark.parametrize("name", ["mp4", "webm", "gif", "ffv1"])
def test_digests_repeat_whatever_the_cores(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.mp4"
    run("-f", "lavfi", "-i", "testsrc2=s=160x96:r=25", "-f", "lavfi", "-i", "sine=d=1", "-frames:v", 20, "-pix_fmt",
        "yuv420p", path)  # fmt: skip
    cores, found = os.sched_getaffinity(0), set()
    for number, allowed in enumerate((cores, {min(cores)}, cores)):
        os.sched_setaffinity(0, allowed)
        try:
            store = Store(tmp_path / f"s{number}")
            clip = extracted(store, path)
            found.add(
                assembled(store, clip, path, format=name, contact_sheet=4, side_by_side=name == "mp4")["stored"].digest
            )
        finally:
            os.sched_setaffinity(0, cores)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crf": 60}, "crf of mp4 goes from 1 to 51"),
        ({"crf": 10, "format": "gif"}, "crf does nothing for gif"),
        ({"format": "avi"}, "assemble.format: must be 'mp4'"),
        ({"fps": "fast"}, "assemble.fps: must be a number"),
        ({"preset": "best"}, "assemble.preset"),
        ({"contact_sheet": 99}, "assemble.contact_sheet: must be less than or equal to 32"),
        ({"sidebyside": True}, "unknown key 'assemble.sidebyside'; nearest: side_by_side"),
    ],
)
def test_wrong_settings_are_named(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(Assemble, settings, "assemble")


def test_what_a_format_cannot_hold_is_refused(store: Store) -> None:
    odd = drawn(store, [0, 1], Fraction(1, 25), (63, 47))
    with pytest.raises(UserError, match="sides that are multiples of 2: 63x47 -> 62x46"):
        assembled(store, odd, None, **PLAIN)
    with pytest.raises(UserError, match="60 frames a second are too fast for gif"):
        assembled(store, drawn(store, [0, 1, 2], Fraction(1, 60)), None, format="gif", **PLAIN)
    with pytest.raises(UserError, match="clips that do not belong together: source 64x48 px x 2 frames, depth 32x48"):
        assembled(store, drawn(store, [0, 1], Fraction(1, 25)), None,
                  maps={"depth": drawn(store, [0, 1], Fraction(1, 25), (32, 48))}, **PLAIN)  # fmt: skip
    assert not [item for item in (store.root / "tmp").iterdir() if item.is_dir()]


def test_a_full_disk_is_one_clear_error(store: Store) -> None:
    with ClipWriter(store, "rgb", width=640, height=480, time_base=Fraction(1, 25)) as writer:
        noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
        for number in range(8):
            writer.add(np.roll(noise, 31 * number, axis=1), number)
    script = (
        "import sys, resource, signal\nfrom pathlib import Path\n"
        "from reel.store import Store\nfrom reel.clip import Clip\n"
        "from reel.errors import UserError\nfrom tests.tasks.media_samples import assembled\n"
        "store = Store(Path(sys.argv[1]))\nclip = Clip.open(store, sys.argv[2])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n    assembled(store, clip, None, format='ffv1', side_by_side=False, contact_sheet=0)\n"
        "except UserError as error:\n    print(error); sys.exit(7)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, store.root, writer.digest], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 7, done.stderr
    assert "no room left while writing" in done.stdout
    assert store.digests() == [writer.digest]
    assert not [item for item in (store.root / "tmp").iterdir() if item.is_dir()]


def test_a_folder_that_was_only_tried_is_not_left_behind(tmp_path: Path) -> None:
    from tasks.media.export import check_writable

    check_writable(tmp_path / "renders" / "new")
    assert list((tmp_path / "renders").iterdir()) == []
    (tmp_path / "there").mkdir()
    check_writable(tmp_path / "there")
    assert (tmp_path / "there").is_dir()


def test_export_copies_whole_files_or_none(store: Store, tmp_path: Path) -> None:
    made = assembled(store, drawn(store, [0, 1, 2], Fraction(1, 25)), None, contact_sheet=2)
    digest, stored = made["stored"].digest, made["stored"]
    target = tmp_path / "out" / "run 1"
    paths = export(store, digest, target)
    assert {name: path.read_bytes() for name, path in paths.items()} == {
        name: stored.read(name) for name in stored.files
    }
    assert sorted(item.name for item in target.iterdir()) == sorted(stored.files)
    movie = stored.path("movie.mp4")
    data = bytearray(movie.read_bytes())
    data[len(data) // 2] ^= 1
    movie.write_bytes(data)
    with pytest.raises(DamagedObject):
        export(store, digest, tmp_path / "second")
    assert not list((tmp_path / "second").glob("*movie*"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"paths.output: .* is not a folder"):
        export(store, digest, tmp_path / "file")
