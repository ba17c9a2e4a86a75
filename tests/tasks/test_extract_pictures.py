"""Still pictures as people have them: phones' tiles, gain maps and wide colours, cameras' raw files, odd formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from reel.errors import UserError
from reel.store import Store
from tests.tasks.heif_samples import grid
from tests.tasks.icc_samples import DISPLAY_P3
from tests.tasks.media_samples import extracted

CORNERS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


def corners(frame: np.ndarray) -> np.ndarray:
    """Colours in the middle of the four quarters: upper left, upper right, lower left, lower right."""
    high, wide = frame.shape[0] // 4, frame.shape[1] // 4
    return frame[[high, high, 3 * high, 3 * high], [wide, 3 * wide, wide, 3 * wide]].astype(int)


@pytest.mark.parametrize("name", ["a.heic", "a.jpg", "a.mp4"])
@pytest.mark.parametrize("brand", ["heic", "avif"])
def test_all_tiles_of_a_phones_picture(store: Store, tmp_path: Path, brand: str, name: str) -> None:
    frame = extracted(store, grid(tmp_path / name, brand)).frame(0)
    assert frame.shape == (128, 128, 3)
    assert np.abs(corners(frame) - list(CORNERS.values())).max() <= 8


def test_tiles_stand_upright_and_folders_hold_them(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "seq"
    grid(folder / "1.heic", turns=1)
    grid(folder / "2.avif", "avif", turns=1)
    for colour in CORNERS:
        (folder / f"{colour}.mp4").unlink()
    turned = np.array([CORNERS[colour] for colour in ("lime", "white", "red", "blue")])  # a quarter against the clock
    clip = extracted(store, folder, fps=5)
    assert len(clip) == 2
    for frame in clip.frames():
        assert np.abs(corners(frame) - turned).max() <= 8


@pytest.mark.parametrize("brand", ["heic", "avif"])
def test_hdr_pictures_are_refused(store: Store, tmp_path: Path, brand: str) -> None:
    for curve in (16, 18):
        with pytest.raises(UserError, match=r"is an HDR picture \(PQ or HLG\)"):
            extracted(store, grid(tmp_path / "a", brand, transfer=curve))
    assert len(extracted(store, grid(tmp_path / "a", brand, transfer=13))) == 1


LAB = {
    (50, 0, 0): (119, 119, 119),
    (70, -40, 40): (108, 190, 94),
    (40, 50, 20): (168, 49, 65),
    (30, 10, -40): (50, 68, 134),
}
"""L*, a*, b* (D50) and what they are in sRGB, by the standard's own arithmetic."""


def test_lab_colours(store: Store, tmp_path: Path) -> None:
    for lab, rgb in LAB.items():
        stored = np.array([round(lab[0] * 2.55), lab[1] % 256, lab[2] % 256], np.uint8)  # signed, in TIFF
        Image.fromarray(np.tile(stored, (32, 32, 1)), "LAB").save(tmp_path / "a.tif")
        assert np.abs(extracted(store, tmp_path / "a.tif").frame(0)[16, 16].astype(int) - rgb).max() <= 3


def test_print_colours(store: Store, tmp_path: Path) -> None:
    for name in ("a.jpg", "a.tif"):
        Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(tmp_path / name)
        assert np.abs(extracted(store, tmp_path / name).frame(0)[16, 16].astype(int) - (255, 0, 0)).max() <= 4


def test_more_pictures_behind_a_jpeg(store: Store, tmp_path: Path) -> None:
    """Multi-Picture Format, which phones use for gain maps and depth: the first one is the photograph."""
    photo, behind = Image.new("RGB", (64, 48), (200, 40, 40)), Image.new("L", (32, 24), 9)
    photo.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[behind.convert("RGB")], quality=95)
    frame = extracted(store, tmp_path / "a.jpg").frame(0)
    assert frame.shape == (48, 64, 3)
    assert np.abs(frame[24, 32].astype(int) - (200, 40, 40)).max() <= 3


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "webp"])
def test_wide_colours_are_brought_to_srgb(store: Store, tmp_path: Path, kind: str) -> None:
    """Display P3 (234, 51, 35) is the red of sRGB, published by Apple and the CSS specification's sample code alike."""
    path = tmp_path / f"a.{kind}"
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(kind, {})
    Image.new("RGB", (32, 32), (234, 51, 35)).save(path, icc_profile=DISPLAY_P3, **options)
    assert np.abs(extracted(store, path).frame(0)[16, 16].astype(int) - (255, 0, 0)).max() <= 6
    Image.new("RGB", (32, 32), (234, 51, 35)).save(path, icc_profile=b"no profile at all", **options)
    assert np.abs(extracted(store, path).frame(0)[16, 16].astype(int) - (234, 51, 35)).max() <= 2


def test_a_cameras_raw_file_is_not_its_thumbnail(store: Store, tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[50706] = b"\x01\x04\x00\x00"  # DNGVersion
    Image.new("RGB", (160, 120)).save(tmp_path / "a.tif", tiffinfo=tags)
    with pytest.raises(UserError, match=r"a\.tif is a camera's raw picture"):
        extracted(store, tmp_path / "a.tif")


def test_numbers_without_a_range_are_refused(store: Store, tmp_path: Path) -> None:
    Image.fromarray(np.full((32, 32), 0.5, np.float32)).save(tmp_path / "depth.tif")
    with pytest.raises(UserError, match=r"depth\.tif holds floating-point numbers"):
        extracted(store, tmp_path / "depth.tif")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\x00\x00\x00\x01\x67\x42\xc0\x1e", "is a raw H.264 stream"),
        (b"\x00\x00\x00\x01\x40\x01\x0c\x01", "is a raw H.265 stream"),
        (b"v/1\x01\x02\x00\x00\x00", "is an OpenEXR picture"),
        (b"8BPS\x00\x01", "is a Photoshop document"),
        (b"\xff\x0a\xfa\x7f", "is a JPEG XL picture"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "is a JPEG 2000 picture"),
        (b"\x00\x00\x00\x18ftypcrx ", "is a camera's raw picture"),
        (b"PK\x03\x04\x14\x00", "is an archive"),
        (b"%PDF-1.7", "is a PDF document"),
    ],
)
def test_what_is_known_and_not_read_is_named(store: Store, tmp_path: Path, head: bytes, said: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(head + bytes(100))
    with pytest.raises(UserError, match=rf"clip\.mp4 {said}") as error:
        extracted(store, path)
    assert error.value.fix


def test_pictures_that_are_not_read_are_not_left_out_of_a_folder(store: Store, tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (32, 24)).save(tmp_path / f"{number}.png")
    (tmp_path / "2.dng").write_bytes(b"raw")  # of the same shot
    assert len(extracted(store, tmp_path, fps=5)) == 3
    (tmp_path / "3.exr").write_bytes(b"v/1\x01")
    with pytest.raises(UserError, match=r"holds pictures that are not read \(1, such as 3\.exr\)"):
        extracted(store, tmp_path, fps=5)


@pytest.mark.parametrize("brand", ["heic", "avif"])
@pytest.mark.parametrize("share", [0.9, 0.99])
def test_a_picture_of_tiles_that_is_cut_short(store: Store, tmp_path: Path, brand: str, share: float) -> None:
    """The library fills what is lost with a plain green and says nothing."""
    data = grid(tmp_path / "whole", brand).read_bytes()
    (tmp_path / f"cut.{brand}").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match=rf"cut\.{brand} is cut short: \d+ of {len(data)} bytes are there"):
        extracted(store, tmp_path / f"cut.{brand}", fps=10, multiple_of=1)


def test_what_a_camera_appends_to_a_picture_is_no_cut(store: Store, tmp_path: Path) -> None:
    path = grid(tmp_path / "a.heic")
    path.write_bytes(path.read_bytes() + b"\x7f\x01\x02\x03SEFT of a phone, no box")
    assert extracted(store, path, fps=10).frame(0).shape == (128, 128, 3)
