"""Pictures on frame ranges for the back-ends that take them, and what a person sees of a schedule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reel.errors import UserError
from reel.schedule.compile import compile_pictures, compile_prompts, compile_values
from reel.schedule.model import Key, Schedule
from reel.schedule.read import read
from reel.schedule.show import plot, table, thumbnails, timeline
from reel.schedule.times import frame
from reel.schedule.track import described, ltx_conditions, sparse_conditions, tile_track
from reel.schedule.write import write

SEED = (
    "0-6: eyes closed --pic closed.png; 6-12: eyes open --pic open.png; 12-22: leaning forward --pic lean.png; "
    "22-32: head tilts --pic tilt.png; 32-40: leaning forward slightly --pic lean.png; "
    "40-46: one-eye blink --pic blink.png"
)


def test_ranges_show_their_pictures_on_their_own_frames() -> None:
    intervals = compile_pictures(read(SEED, what="track"), 46)
    assert [(i.picture, i.start, i.stop) for i in intervals] == [
        ("closed.png", 0, 6),
        ("open.png", 6, 12),
        ("lean.png", 12, 22),
        ("tilt.png", 22, 32),
        ("lean.png", 32, 40),
        ("blink.png", 40, 46),
    ]
    assert all((i.strength == 1).all() for i in intervals)


def test_a_range_says_by_what_its_picture_is_held_in_every_form() -> None:
    written = "kind: track\nkeys:\n  0-4: {picture: a.png, by: sparsectrl}\n  4-8: {picture: b.png, prompt: x}\n"
    schedule = read(written, what="track")
    assert [i.by for i in compile_pictures(schedule, 8)] == ["sparsectrl", None]
    short = write(schedule, "short", 8)
    assert short.exact
    assert "0-4: --pic a.png --by sparsectrl" in short.text
    assert read(short.text, what="track").keys[0].by == "sparsectrl"
    assert [key.by for key in read(write(schedule, "yaml", 8).text, what="track").keys] == ["sparsectrl", None]
    with pytest.raises(UserError, match=r"'tilee' is not what holds to a picture; nearest: tile"):
        read("0-4: --pic a.png --by tilee", what="track")


def test_a_gap_shows_nothing_with_hold_and_crosses_over_with_blend() -> None:
    held = compile_pictures(read("0-4: --pic a.png; 8-12: --pic b.png", what="track"), 16)
    assert [(i.picture, i.start, i.stop) for i in held] == [("a.png", 0, 4), ("b.png", 8, 12)]
    blended = compile_pictures(
        read("then: blend; 0-4: --pic a.png --strength 0.8; 8-12: --pic b.png", what="track"), 16
    )
    assert [(i.picture, i.start, i.stop) for i in blended] == [("a.png", 0, 8), ("b.png", 4, 12)]
    np.testing.assert_allclose(blended[0].strength, [0.8, 0.8, 0.8, 0.8, 0.64, 0.48, 0.32, 0.16])
    np.testing.assert_allclose(blended[1].strength, [0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])


def test_pictures_stay_sparse() -> None:
    keys = "; ".join(f"{k}-{k + 5}: --pic p{k}.png" for k in range(0, 100_000, 10))
    intervals = compile_pictures(read(keys, what="track"), 100_000)
    assert len(intervals) == 10_000
    assert sum(len(i.strength) for i in intervals) == 50_000


def test_tile_has_a_picture_for_each_frame() -> None:
    tile = tile_track(read("then: blend(2); 0-4: --pic a.png; 4-8: --pic b.png", what="track"), 10)
    assert tile.pictures == ("a.png", "b.png")
    assert tile.a.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, -1, -1]
    assert tile.b.tolist() == [-1, -1, -1, 1, -1, -1, -1, -1, -1, -1]
    assert tile.strength_a.tolist() == [1, 1, 1, 0.5, 1, 1, 1, 1, 0, 0]
    assert tile.strength_b.tolist() == [0, 0, 0, 0.5, 0, 0, 0, 0, 0, 0]


def test_sparse_conditions_begin_each_range() -> None:
    schedule = read(SEED, what="track")
    assert [(c.frame, c.picture) for c in sparse_conditions(schedule, 46)][:3] == [
        (0, "closed.png"),
        (6, "open.png"),
        (12, "lean.png"),
    ]
    assert [c.frame for c in sparse_conditions(schedule, 46, every=4)][:5] == [0, 4, 6, 10, 12]


def test_ltx_moves_to_multiples_of_8_and_says_so() -> None:
    plan = ltx_conditions(read("0-10: --pic a.png; 13-30: --pic b.png --strength 1.5", what="track"), 46)
    assert plan.frames == 49
    assert [(c.frame, c.picture, c.strength) for c in plan.conditions] == [(0, "a.png", 1.0), (16, "b.png", 1.0)]
    assert len(plan.moved) == 3
    assert "is at frame 16 instead of 13" in plan.moved[1]
    assert ltx_conditions(read("0-8: --pic a.png; 8-16: --pic b.png", what="track"), 17).moved == ()
    with pytest.raises(UserError, match="both land on frame 8"):
        ltx_conditions(read("6-9: --pic a.png; 9-12: --pic b.png", what="track"), 17)


def test_what_a_back_end_gets_can_be_read() -> None:
    schedule = read("then: blend(2); 0-6: --pic a.png; 6-13: --pic b.png --strength 0.5", what="track")
    assert described(schedule, "tile", 14).splitlines()[1:] == [
        "    0-4  a.png 1.00",
        "      5  a.png 0.50 + b.png 0.25",
        "   6-12  b.png 0.50",
        "     13  ",
    ]
    assert described(schedule, "sparsectrl", 14).splitlines()[1:] == ["      0  a.png 1.00", "      6  b.png 0.50"]
    assert described(schedule, "ltx", 14).splitlines()[1:] == [
        "      0  a.png 1.00",
        "      8  b.png 0.50",
        "moved: the clip has 17 frames instead of 14 (LTX needs 8k + 1)",
        "moved: 'b.png' is at frame 8 instead of 6",
    ]


def test_a_track_without_pictures_is_refused() -> None:
    with pytest.raises(UserError, match="no pictures"):
        tile_track(read("0: a"), 8)


def test_errors_of_compilers_are_for_people() -> None:
    with pytest.raises(UserError, match="undefined at frame 3"):
        compile_values(read("0: 1/(t-3)", what="value"), 8)
    with pytest.raises(UserError, match="at least 1 frame"):
        compile_prompts(read("0: a"), 0)
    with pytest.raises(UserError, match="formula `2\\*` in a prompt"):
        compile_prompts(Schedule("prompt", (Key(frame(0), prompt="a `2*` b"),)), 8)
    with pytest.raises(UserError, match="no values"):
        compile_values(read("0: a"), 8)
    with pytest.raises(UserError, match="negative at frame 0"):
        compile_pictures(read("0-4: --pic a.png --strength -1", what="track"), 8)


def test_seconds_follow_the_frame_rate() -> None:
    schedule = read("0: a; 1s: b")
    assert compile_prompts(schedule, 30, fps=24).b.tolist().index(1) == 24
    assert compile_prompts(schedule, 30, fps=8).b.tolist().index(1) == 8


def test_table_and_timeline() -> None:
    schedule = read("0-2 blend: red top; 4: blue top")
    rows = table(schedule, 6).splitlines()
    assert rows[1].split() == ["0-1", "0.00s", "red", "top"]
    assert rows[2].split() == ["2", "0.17s", "0.667", "red", "top", "|", "0.333", "blue", "top"]
    assert rows[-1].split() == ["4-5", "0.33s", "blue", "top"]
    shown = timeline(schedule, 6).splitlines()
    assert shown[1].startswith("██▓░  ")
    assert shown[1].endswith("red top")
    assert len(shown) == 3
    curve = timeline(read("0: 0; 7: 1", what="value"), 8).splitlines()[1]
    assert curve.startswith(" ▁▂▃▅▆▇█")


def test_a_prompt_with_a_formula_is_one_row() -> None:
    schedule = read("0: (smile:`t/9`); 6 blend: (sad:`t`); 10: end")
    rows = timeline(schedule, 12).splitlines()[1:]
    assert [row.split("  ")[-1] for row in rows] == ["(smile:`t/9`)", "(sad:`t`)", "end"]
    assert rows[0].startswith("██████ ")
    assert table(schedule, 12).count("smile") == 6  # the table has the numbers


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_plots_are_drawn(tmp_path: Path, suffix: str) -> None:
    from PIL import Image

    Image.new("RGB", (64, 48), "red").save(tmp_path / "a.png")
    out = tmp_path / f"timeline{suffix}"
    plot(
        read("then: blend; 0-4: closed $x$ --pic a.png; 8-12: open --pic b.png", what="track"), out, 16, folder=tmp_path
    )
    data = out.read_bytes()
    assert data.startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")
    assert len(data) > 5000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", out.name]
    with pytest.raises(UserError, match=r"\.png or \.svg"):
        plot(read("0: a"), tmp_path / "x.gif", 4)


def test_thumbnails_name_what_is_missing(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 48), (200, 10, 10)).save(tmp_path / "a.png")
    shown = thumbnails(read("0-4: --pic a.png; 4-8: --pic b.png", what="track"), tmp_path)
    assert "38;2;200;10;10" in shown
    assert "b.png: not found" in shown
