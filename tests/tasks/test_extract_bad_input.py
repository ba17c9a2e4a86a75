"""What is wrong with an input is said at once, by name, with the likely repair; nothing half-read is kept."""

from __future__ import annotations

import os
import resource
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from PIL import Image

from reel.config import parse
from reel.errors import UserError
from reel.store import Store
from tasks.extract import Extract
from tasks.measure.clip_image import read_picture as read_reference
from tasks.media import ffmpeg
from tasks.stylize.settings.reference import IpAdapter, read_picture
from tests.tasks.media_samples import clicks, extracted, numbered, run


def refused(store: Store, path: Path, **settings: object) -> str:
    with pytest.raises(UserError) as error:
        extracted(store, path, **settings)
    assert store.digests() == []
    assert not [item for item in (store.root / "tmp").iterdir() if item.is_dir()]
    return str(error.value)


def test_missing_file(store: Store, tmp_path: Path) -> None:
    (tmp_path / "dance.mp4").write_bytes(b"x")
    message = refused(store, tmp_path / "dnace.mp4")
    assert "there is no file" in message
    assert "nearby: dance.mp4" in message
    assert "only local files" in refused(store, Path("https://example.com/a.mp4"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty (0 bytes)"),
        (b"hello, this is a text\n" * 50, "is not a video that can be read"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\n/etc/passwd\n", "is an HLS playlist"),
        (b"\xef\xbb\xbf\n#extm3u\n", "is an HLS playlist"),
        (b"ffconcat version 1.0\nfile other.mp4\n", "is an FFmpeg concat script"),
        (b"<?xml version='1.0'?><MPD></MPD>", "is an XML file"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", "is an SDP session description"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00" + b"\x00" * 64, "truncated or damaged: its index (moov)"),
    ],
)
def test_not_a_video(store: Store, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    message = refused(store, path)
    assert said in message
    assert "clip.mp4" in message
    assert "fix: " in message


def test_a_playlist_inside_nothing_reads_other_files(store: Store, tmp_path: Path) -> None:
    numbered(tmp_path / "other.mp4", 3)
    (tmp_path / "a.txt").write_text("file 'other.mp4'\n")
    assert "not a video" in refused(store, tmp_path / "a.txt")


def test_only_sound(store: Store, tmp_path: Path) -> None:
    wav = clicks(tmp_path / "a.wav", 0.5)
    assert "a.wav holds only sound" in refused(store, wav)
    Image.new("RGB", (64, 64)).save(tmp_path / "cover.png")
    run("-i", wav, "-i", tmp_path / "cover.png", "-map", 0, "-map", 1, "-c:a", "libmp3lame", "-c:v", "copy",
        "-disposition:v:0", "attached_pic", tmp_path / "song.mp3")  # fmt: skip
    assert "song.mp3 holds only sound" in refused(store, tmp_path / "song.mp3")


def test_zero_frames(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "none.mkv"
    run("-f", "lavfi", "-i", "color=s=64x64", "-frames:v", 0, "-c:v", "libx264", path)
    assert "none.mkv holds zero frames" in refused(store, path)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_truncated(store: Store, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    run("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25", "-frames:v", 75, "-g", 10, "-c:v", "libx264", "-movflags",
        "+faststart", path)  # fmt: skip
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    message = refused(store, path)
    assert f"cut.{suffix}" in message
    assert "truncated" in message or "damaged" in message
    assert "extract.damaged=keep" in message
    kept = extracted(store, path, damaged="keep")
    assert 20 < len(kept) < 70


def test_damage_in_the_middle(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "hurt.mp4"
    run("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25", "-frames:v", 50, "-g", 10, "-c:v", "libx264", path)
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 3
    data[middle : middle + 3000] = b"\xff" * 3000
    path.write_bytes(data)
    assert "hurt.mp4 is damaged" in refused(store, path)


def test_truncated_without_an_index(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    run("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25", "-frames:v", 25, path)
    path.write_bytes(path.read_bytes()[:-2000])
    assert "its index (moov) is missing" in refused(store, path)


def test_ranges_outside(store: Store, tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.mp4", 20)
    assert "extract.start: 1:05.000 is outside the clip: a.mp4 ends at 0.800 s" in refused(store, path, start="1:05")
    assert "extract.end: 3.000 s is outside the clip" in refused(store, path, end=3)


def test_sides(store: Store, tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.mp4", 2)
    message = refused(store, path, width=1000, height=700, multiple_of=16)
    assert "extract.width and extract.height: sides must be multiples of 16: 1000x700 -> 992x688" in message
    assert "fix: extract.width=992 extract.height=688" in message


def test_pictures_that_do_not_belong_together(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "seq"
    folder.mkdir()
    assert "holds no pictures" in refused(store, folder, fps=5)
    Image.new("RGB", (32, 24)).save(folder / "1.png")
    Image.new("RGB", (32, 32)).save(folder / "2.png")
    assert "1.png is 32x24, 2.png is 32x32" in refused(store, folder, fps=5)
    Image.effect_noise((32, 24), 99).convert("RGB").save(folder / "2.png")
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:-300])
    assert "2.png is damaged" in refused(store, folder, fps=5)
    (folder / "2.png").write_text("no picture")
    assert "2.png is not a readable picture" in refused(store, folder, fps=5)


def test_a_full_disk_is_one_clear_error(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "noise.mkv"
    run("-f", "lavfi", "-i", "nullsrc=s=640x480:r=25,geq=random(1)*255:128:128", "-frames:v", 4, "-c:v", "ffv1", path)
    script = (
        "import sys\nfrom pathlib import Path\nfrom reel.store import Store\nfrom reel.errors import UserError\n"
        "from tests.tasks.media_samples import extracted\n"
        "try:\n    extracted(Store(Path(sys.argv[1])), Path(sys.argv[2]))\n"
        "except UserError as error:\n    print(error); sys.exit(7)\n"
    )

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(
        [sys.executable, "-c", script, store.root, path], preexec_fn=limited, capture_output=True, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert "no room left while writing" in done.stdout
    assert store.digests() == []


def head_of_png(path: Path, width: int, height: int) -> Path:
    """A file that says it is a picture of that size, and holds none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
    return path


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [(60_000, 60_000), (20_000, 10_000), (40_000, 8)])
def test_a_picture_that_fits_no_memory_is_refused_by_its_head(
    store: Store, tmp_path: Path, size: tuple[int, int]
) -> None:
    path = head_of_png(tmp_path / "wide.png", *size)
    message = refused(store, path, fps=8)
    assert message.startswith("clip: wide.png has ")
    assert "px; at most 32768 a side and 178 million in all are read" in message
    for read in (lambda: read_picture(IpAdapter(picture=path)), lambda: read_reference(path)):
        with pytest.raises(UserError, match=r"wide\.png has .* px; at most 32768 a side"):
            read()


@pytest.mark.timeout(20)
def test_a_pipe_is_no_picture(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for read in (
        lambda: read_picture(IpAdapter(picture=tmp_path / "pipe.png")),
        lambda: read_reference(tmp_path / "pipe.png"),
    ):
        with pytest.raises(UserError, match="is not a regular file"):
            read()


@pytest.mark.parametrize("rate", ["1e400", "1e-400", "1/0", "24.5.1", "0x18", "", "1" * 20, True, "nan"])
def test_a_rate_is_a_plain_number(rate: object) -> None:
    with pytest.raises(UserError, match=r"fps: must be (a number of|more than 0)"):
        parse(Extract, {"fps": rate})
    assert parse(Extract, {"fps": "2.4e1"}).fps == "24"


@pytest.mark.parametrize(("script", "hangs"), [("while True: pass", True), ("import time; time.sleep(60)", False)])
def test_a_program_that_works_without_end_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, hangs: bool
) -> None:
    monkeypatch.setattr(ffmpeg, "_WORK", 0.1)
    monkeypatch.setattr(ffmpeg, "arguments", lambda output: [sys.executable, "-c", script])
    with ffmpeg.start(None, tmp_path) as run:
        until = time.monotonic() + (60 if hangs else 2)
        while not (found := run.hangs("no progress", 64 * 48)) and time.monotonic() < until:
            time.sleep(0.05)
    assert found is hangs
