"""Folders of pictures whose names do not go together."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from reel.config import parse
from reel.errors import UserError
from tasks.extract import Extract, prepare
from tasks.media.series import remark
from tasks.media.source import open_source

ODD = {
    "a frame is missing": (
        ["f_001", "f_002", "f_003", "f_005", "f_006"], "leaves 1 of its numbers out, the first one after f_003.png",
    ),
    "of every tenth": (["f_0", "f_10", "f_20", "f_50"], "leaves 2 of its numbers out, the first one after f_20.png"),
    "two passes of a renderer": (
        ["beauty_1", "beauty_2", "depth_1", "depth_2"],
        "holds 2 series of pictures, which are read as one clip: beauty_1.png ... (2), depth_1.png ... (2)",
    ),
    "copies": (
        ["f_1", "f_2", "f_2 (1)", "f_3", "f_3 copy"],
        "holds 2 pictures that are not of its series f_1.png ...: f_2 (1).png, f_3 copy.png",
    ),
    "whole": (["f_8", "f_9", "f_10", "f_11"], None),
    "from any number": (["take2_0099", "take2_0100", "take2_0101"], None),
    "by tens": (["f_0", "f_10", "f_20"], None),
    "photographs": (["IMG_1", "IMG_7", "IMG_20", "IMG_31"], None),
    "names": (["anna", "ben 2", "carl 3"], None),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_what_names_tell(case: str) -> None:
    names, told = ODD[case]
    assert remark([Path(f"{name}.png") for name in names]) == told


def test_a_missing_frame_is_told_where_the_folder_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in (1, 2, 3, 5):
        Image.new("RGB", (16, 16)).save(tmp_path / f"f_{number}.png")
    _, job = prepare(parse(Extract, {"fps": 10}), tmp_path)
    assert len(job.expected) == 4
    assert f"the folder {tmp_path.name} leaves 1 of its numbers out, the first one after f_3.png" in caplog.text


def test_the_same_picture_in_two_formats_is_not_two_frames(tmp_path: Path) -> None:
    for name in ("IMG_1.jpg", "IMG_1.png", "IMG_2.png"):
        Image.new("RGB", (16, 16)).save(tmp_path / name)
    with pytest.raises(UserError, match=r"holds pictures twice, such as IMG_1\.jpg and IMG_1\.png"):
        open_source(tmp_path)
