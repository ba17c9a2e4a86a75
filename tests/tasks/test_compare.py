"""What a comparison is made of: previews, the tile sheet, the grid film, the page, and their sizes."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic_renders import BITS, BLOCK, clip, grid
from reel.clip import Clip, ClipWriter, decode_png
from reel.files import sha256_file
from reel.history.comparison import compare, of_runs
from reel.history.record import Output
from reel.op import Context, get
from reel.store import Store
from tasks.compare.film import Film
from tasks.compare.footage import FILM_INSTEAD, find
from tasks.compare.page import Pictures, build, embedded, film_budget, label
from tasks.compare.plots import draw
from tasks.compare.preview import Player, Preview, at_rate, fitted
from tasks.compare.tile_sheet import HEIGHT, WIDTH, TileSheet, padded, shape, short_side

SAMPLE = Path(__file__).parents[2] / "data" / "source" / "sample.mp4"
NASTY = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>",
    "{{FILM}} {{SCRIPT}}",
    "\u2028\u2029\x00\ud83d",
    "'\"`&amp;",
    "x" * 10_000,
]


def made(store: Store, name: str, settings, **inputs: str):
    return store.get(get("compare", name).fn(settings, inputs, Context(store)))


def code(picture: np.ndarray) -> int:
    """The frame number that a drawn picture spells."""
    row = picture[BLOCK // 2, BLOCK // 2 : BITS * BLOCK : BLOCK, 1]
    return sum(1 << bit for bit, value in enumerate(row) if value > 127)


@pytest.mark.parametrize("text", NASTY)
def test_embedded_text_can_not_end_its_element_and_comes_back(text: str):
    held = embedded({"prompt": text})
    assert json.loads(held) == {"prompt": text}
    assert held.isascii()
    assert not set("<>&") & set(held)


def test_a_page_of_hostile_renders_parses_into_the_elements_that_were_meant(store):
    records = grid(store, 2, count=2, prompts=NASTY[:4])
    comparison = compare(NASTY[0], of_runs(records))
    text = build(comparison, [Pictures(missing="gone")] * 4, None).decode()

    class Reader(HTMLParser):
        scripts: list[str] = []
        inside = False

        def handle_starttag(self, tag, attrs):
            self.inside = tag == "script"
            if self.inside:
                self.scripts.append("")

        def handle_endtag(self, tag):
            self.inside = False

        def handle_data(self, data):
            if self.inside:
                self.scripts[-1] += data

    reader = Reader()
    reader.feed(text)
    assert len(reader.scripts) == 3  # the data, the film, the program
    prompts = {point["settings"].get("prompt") for point in json.loads(reader.scripts[0])["points"]}
    assert prompts == set(NASTY[:4])
    assert re.search(r"https?://(?!www\.w3\.org)", text) is None


def test_a_preview_keeps_frames_colours_and_times_and_never_grows(store):
    digest = clip(store, 6, (96, 64), 0.3)
    small = made(store, "preview", Preview(short_side=32), frames=digest)
    assert (small.meta["width"], small.meta["height"], small.meta["count"], small.meta["fps"]) == (48, 32, 6, "8")
    own = made(store, "preview", Preview(short_side=256), frames=digest)
    assert (own.meta["width"], own.meta["height"]) == (96, 64)
    shown = list(Player(own).frames(Fraction(8), 6))
    assert [code(picture) for picture in shown] == list(range(6))
    for picture, true in zip(shown, Clip.open(store, digest).frames(), strict=True):
        assert np.abs(picture[BLOCK:].astype(int) - true[BLOCK:]).mean() < 4


def test_frames_at_uneven_times_are_shown_when_they_are_due(store):
    with ClipWriter(store, "rgb", width=16, height=16, time_base=Fraction(1, 1000)) as writer:
        for pts in (0, 100, 199, 500, 601):  # one is 1 ms early, then a gap
            writer.add(np.zeros((16, 16, 3), np.uint8), pts)
    assert at_rate(Clip.open(store, writer.digest), Fraction(10)) == [0, 1, 2, 2, 2, 3, 4]


def test_a_fast_clip_loses_frames_and_a_slow_one_holds_them(store):
    preview = made(store, "preview", Preview(short_side=64, max_fps=4), frames=clip(store, 8, (64, 64), 0.1, fps=8))
    assert (preview.meta["count"], preview.meta["fps"]) == (4, "4")
    assert [code(picture) for picture in Player(preview).frames(Fraction(8), 10)] == [0, 0, 2, 2, 4, 4, 6, 6, 6, 6]


def test_every_tile_is_its_clip_at_the_frame_of_the_sheet(store):
    tiles = {
        f"tile_{n:04}": get("compare", "preview").fn(
            Preview(short_side=64), {"frames": clip(store, count, size, 0.2 * n)}, Context(store)
        )
        for n, (count, size) in enumerate([(6, (64, 96)), (6, (96, 64)), (3, (64, 64))])
    }
    tile_sheet = made(store, "tile_sheet", TileSheet(fps="8", frames=6, kilobytes=2000), **tiles)
    import av

    with av.open(str(tile_sheet.path("tiles.mp4"))) as film:
        pictures = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert film.streams.video[0].codec_context.has_b_frames == 0
    assert len(pictures) == 6
    sizes = []
    for tile in tile_sheet.meta["tiles"]:
        part = [picture[tile["y"] : tile["y"] + tile["h"], tile["x"] : tile["x"] + tile["w"]] for picture in pictures]
        assert [code(one) for one in part] == [min(n, tile["frames"] - 1) for n in range(6)]
        sizes.append((tile["w"], tile["h"], tile["frames"]))
    assert sizes == [(64, 96, 6), (96, 64, 6), (64, 64, 3)]


def test_the_tile_sheet_keeps_to_its_bytes_whatever_it_shows(store):
    noise = np.random.default_rng(1)
    with ClipWriter(store, "rgb", width=256, height=256, time_base=Fraction(1, 8)) as writer:
        for number in range(16):
            writer.add(noise.integers(0, 255, (256, 256, 3), dtype=np.uint8), number)
    preview = get("compare", "preview").fn(Preview(short_side=256), {"frames": writer.digest}, Context(store))
    tile_sheet = made(store, "tile_sheet", TileSheet(fps="8", frames=16, kilobytes=200), tile_0000=preview)
    assert tile_sheet.path("tiles.mp4").stat().st_size <= 200_000


@pytest.mark.parametrize(
    ("count", "size", "frames"),
    [(9, (512, 768), 48), (102, (512, 768), 48), (123, (768, 512), 240), (400, (512, 512), 16)],
)
def test_tiles_are_as_large_as_the_film_and_the_bytes_allow(count: int, size: tuple[int, int], frames: int):
    budget = film_budget(24)
    step = short_side([size] * count, frames, budget)
    columns, rows = shape(count, padded([fitted(size, step)]))
    cell = padded([fitted(size, step)])
    assert columns * rows >= count
    assert columns * cell[0] <= WIDTH
    assert rows * cell[1] <= HEIGHT
    assert step >= 64
    assert short_side([size] * count, frames, budget * 4) >= step


def test_nine_clips_of_a_usual_size_are_shown_whole():
    assert short_side([(512, 768)] * 11, 48, film_budget(24)) >= 512


def test_the_grid_film_has_every_cell_at_its_place_and_takes_any_label(store):
    tile = get("compare", "preview").fn(
        Preview(short_side=64), {"frames": clip(store, 4, (64, 64), 0.5)}, Context(store)
    )
    settings = Film(fps="8", frames=4, columns=["a", NASTY[0]], rows=["$x$", NASTY[-1][:200]],
                    cells={"cell_0000": (0, 0), "cell_0001": (1, 1)})  # fmt: skip
    film = made(store, "film", settings, cell_0000=tile, cell_0001=tile)
    still = decode_png(film.read("grid.png"))
    assert still.shape == (film.meta["height"], film.meta["width"], 3)
    lit = (still.max(axis=2) > 90).mean(axis=0) > 0.2  # columns that hold a picture
    assert lit[:].sum() >= 2 * 256
    assert film.meta["frames"] == 4


def test_footage_is_found_in_the_store_and_told_missing_where_it_is_gone(store):
    record = grid(store, 1, count=3)[0]
    found = find(store, record)
    assert found.result is not None
    assert found.result.count == 3
    assert found.source is not None
    assert list(found.maps) == ["pose"]
    store.discard(found.result.digest)
    gone = find(store, record)
    assert gone.result is None
    assert "no film" in gone.missing


def test_the_film_in_the_place_of_frames_that_are_gone_is_told(store, caplog):
    movie = Output(name=SAMPLE.name, sha256=sha256_file(SAMPLE), size=SAMPLE.stat().st_size, role="movie")
    rendered = grid(store, 1, count=2)[0]
    record = rendered.model_copy(update={"output": str(SAMPLE.parent), "outputs": [movie]})
    frames = find(store, record).result
    assert frames is not None
    assert frames.kind == "clip"
    assert not caplog.messages
    store.discard(frames.digest)
    film = find(store, record).result
    assert film is not None
    assert film.kind == "film"
    assert [record.run in message and FILM_INSTEAD in message for message in caplog.messages] == [True]


def test_plots_show_the_numbers_that_there_are(store, tmp_path):
    comparison = compare("x", of_runs(grid(store, 3, count=2, prompts=["$\\frac{1}{2}$ costs $5", "👩‍🎤 שלום"])))
    names = {path.name for path in draw(comparison, tmp_path)}
    assert {"tradeoff.png", "parallel.png"} <= names


def test_labels_are_short_while_they_differ():
    keys = ["controls.pose.weight", "controls.lineart.weight", "seed"]
    assert [label(key, keys) for key in keys] == ["pose weight", "lineart weight", "seed"]
    twins = ["a.pose.weight", "b.pose.weight"]
    assert [label(key, twins) for key in twins] == twins
