"""Colours: known bars through every matrix, range and depth, HDR, and the round trip through a finished movie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reel.clip import ClipWriter
from reel.errors import UserError
from reel.store import Store
from tests.tasks.media_samples import (
    BARS,
    assembled,
    bar_values,
    bars_movie,
    bars_picture,
    decoded_bt709,
    extracted,
    run,
)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le", "yuv422p10le"])
@pytest.mark.parametrize("spread", ["tv", "pc"])
@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
def test_bars_come_out_as_they_went_in(
    store: Store, tmp_path: Path, matrix: str, spread: str, pixel_format: str
) -> None:
    path = bars_movie(tmp_path / "a.mkv", bars_picture(tmp_path / "bars.png"), matrix, spread, pixel_format)
    clip = extracted(store, path)
    assert clip.meta["source"]["video"]["color"]["matrix"] == matrix
    assert clip.meta["source"]["video"]["color"]["assumed"] == []
    assert np.abs(bar_values(clip.frame(1)) - BARS).max() <= 2


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
def test_round_trip_through_a_finished_movie(store: Store, tmp_path: Path, matrix: str) -> None:
    path = bars_movie(tmp_path / "a.mkv", bars_picture(tmp_path / "bars.png"), matrix, "tv", "yuv420p")
    clip = extracted(store, path)
    made = assembled(store, clip, path)
    frames = decoded_bt709(made["movie"])
    assert len(frames) == 2
    for frame, original in zip(frames, clip.frames(), strict=True):
        assert np.abs(bar_values(frame) - bar_values(original)).max() <= 2
        assert np.abs(bar_values(frame) - BARS).max() <= 3


def test_the_test_can_tell_a_wrong_matrix(store: Store, tmp_path: Path) -> None:
    path = bars_movie(tmp_path / "a.mkv", bars_picture(tmp_path / "bars.png"), "bt601", "tv", "yuv444p")
    wrong = extracted(store, path, color_matrix="bt709")
    assert np.abs(bar_values(wrong.frame(0)) - BARS).max() > 10
    spread = extracted(store, path, color_range="full")
    assert np.abs(bar_values(spread.frame(0)) - BARS).max() > 10


def test_untagged_files_follow_convention_and_say_so(store: Store, tmp_path: Path) -> None:
    for high, matrix in ((96, "bt601"), (720, "bt709")):
        path = tmp_path / f"{high}.mp4"
        run("-f", "lavfi", "-i", f"color=red:s=64x{high},format=yuv420p", "-frames:v", 1, "-c:v", "libx264", path)
        colour = extracted(store, path).meta["source"]["video"]["color"]
        assert (colour["matrix"], colour["range"], colour["assumed"]) == (matrix, "limited", ["matrix", "range"])


def greys(path: Path, transfer: str, levels: list[int]) -> Path:
    """Patches of 10-bit limited-range grey of the given code values, as BT.2020 HDR."""
    expression = "+".join(f"between(X,{32 * i},{32 * i + 31})*{level}" for i, level in enumerate(levels))
    source = f"color=black:s={32 * len(levels)}x32:r=25,format=yuv420p10le,geq=lum='{expression}':cb=512:cr=512"
    tags = f"setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc={transfer}:range=tv"
    run("-f", "lavfi", "-i", f"{source},{tags}", "-frames:v", 2, "-c:v", "libx265", "-x265-params",
        f"log-level=error:lossless=1:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc", path)  # fmt: skip
    return path


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_is_brought_to_standard_range(store: Store, tmp_path: Path, transfer: str) -> None:
    levels = [64, 250, 400, 509, 650, 769]  # PQ: about 0, 4, 26, 96, 440, 1500 cd/m2
    clip = extracted(store, greys(tmp_path / "h.mp4", transfer, levels))
    patches = clip.frame(0)[16, 16::32].astype(int)
    assert clip.meta["source"]["video"]["color"]["transfer"] == {"smpte2084": "pq", "arib-std-b67": "hlg"}[transfer]
    assert np.ptp(patches, axis=1).max() <= 3  # grey stays grey
    assert (np.diff(patches[:, 0]) > 8).all()  # brighter stays brighter, up to the highlights
    assert patches[0, 0] <= 4
    if transfer == "smpte2084":
        assert 100 < patches[3, 0] < 215  # diffuse white is neither dark nor clipped


def test_hdr_may_be_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"extract.hdr: h.mp4 is HDR \(PQ\)"):
        extracted(store, greys(tmp_path / "h.mp4", "smpte2084", [64, 400]), hdr="refuse")


def test_a_matrix_that_cannot_be_undone_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "y.mkv"
    run("-f", "lavfi", "-i", "color=red:s=64x64,format=yuv444p,setparams=colorspace=ycgco", "-frames:v", 1, "-c:v",
        "libx264", path)  # fmt: skip
    with pytest.raises(UserError, match="colours are stored as YCgCo"):
        extracted(store, path)


def test_lossless_output_is_exact(store: Store) -> None:
    import av

    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (3, 33, 47, 3), np.uint8)
    with ClipWriter(store, "rgb", width=47, height=33, time_base=1) as writer:
        for index, picture in enumerate(pictures):
            writer.add(picture, index)
    from reel.clip import Clip

    made = assembled(store, Clip.open(store, writer.digest), None, format="ffv1", side_by_side=False)
    with av.open(str(made["movie"])) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert np.array_equal(np.stack(decoded), pictures)
