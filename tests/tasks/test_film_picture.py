"""The film's picture: transitions, shapes, colours, flashes, words; and the files that go with it."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import opentimelineio as otio
import pysubs2
import pytest

from reel.clip import Clip, ClipWriter, decode_png
from reel.errors import UserError
from reel.store import Store
from tasks.film import build, colours, conform, seams
from tasks.film.plan import Length
from tasks.film.settings import Captions, ColourMatch, Film, Frame, Music, Output, Shot, Title, Transition
from tasks.media.export import export
from tests.tasks import caption_reader
from tests.tasks.film_samples import clip, frames_of, greys, made, movie, samples_of, tone

LOSSLESS = Output(format="ffv1")


def test_a_crossfade_goes_evenly_from_one_shot_to_the_other(store: Store):
    shots = [Shot(), Shot(transition=Transition(kind="crossfade", frames=4))]
    film, _ = made(store, [clip(store, 8, level=50), clip(store, 8, level=100)], shots, Film(output=LOSSLESS))
    assert greys(film) == [50] * 4 + [60, 70, 80, 90] + [100] * 4


def test_a_fade_is_black_where_the_shots_meet_and_at_the_end(store: Store):
    shots = [Shot(), Shot(transition=Transition(kind="fade", frames=4))]
    clips = [clip(store, 6, level=100), clip(store, 6, level=100)]
    film, _ = made(store, clips, shots, Film(output=LOSSLESS, fade_out=2 / 24))
    assert greys(film) == [100] * 4 + [50, 0] + [0, 50] + [100] * 2 + [50, 0]


def test_mixed_rates_and_speeds_keep_each_shots_length(store: Store):
    clips = [clip(store, 6, "12", level=10, step=10), clip(store, 12, "24", level=10, step=10)]
    film, _ = made(store, clips, [Shot(), Shot(speed=2)], Film(output=LOSSLESS, frame=Frame(fps="24")))
    assert greys(film) == [10, 10, 20, 20, 30, 30, 40, 40, 50, 50, 60, 60, 10, 30, 50, 70, 90, 110]
    assert (film.meta["frames"], film.meta["fps"], film.meta["samples"]) == (18, "24", 36_000)


@pytest.mark.parametrize("fit", ["crop", "pad", "blur"])
def test_a_shot_of_another_shape(fit: str):
    frame = np.full((120, 60, 3), 200, np.uint8)
    frame[:10], frame[-10:] = (250, 0, 0), (0, 0, 250)
    found = conform.conformed(frame, (160, 90), fit, "#102030")
    assert found.shape == (90, 160, 3)
    assert (abs(found[45, 80].astype(int) - 200) < 4).all()
    if fit == "crop":
        assert (abs(found[0, 0].astype(int) - 200) < 4).all()  # the ends are cut
    else:
        assert found[1, 80, 0] > 200 > 60 > found[1, 80, 2]  # whole
    if fit == "pad":
        assert found[45, 5].tolist() == [16, 32, 48]
    if fit == "blur":
        assert 60 < found[45, 5].mean() < 140  # darker than the shot


@pytest.mark.parametrize(
    ("settings", "size"),
    [({}, (320, 180)), ({"aspect": "1:1"}, (180, 180)), ({"aspect": "9:16"}, (180, 320)),
     ({"aspect": "16:9", "short_side": 720}, (1280, 720)), ({"short_side": 90}, (160, 90))],
)  # fmt: skip
def test_sizes(settings: dict, size: tuple[int, int]):
    assert conform.film_size([(320, 180), (64, 64)], Frame(**settings)) == size
    assert conform.film_size([(321, 181)], Frame()) == (320, 180)


def test_a_shape_that_would_be_cut_to_a_strip_is_refused():
    conform.check_shape((100, 399), (100, 100), Frame(), "shot 1")
    with pytest.raises(UserError, match=r"shot 1: 100x500 px in a film of 100x100: less than a quarter"):
        conform.check_shape((100, 500), (100, 100), Frame(), "shot 1")
    conform.check_shape((100, 500), (100, 100), Frame(fit="blur"), "shot 1")


def coloured(store: Store, mean: tuple[int, int, int], spread: float, seed: int) -> Clip:
    random = np.random.default_rng(seed)
    with ClipWriter(store, "rgb", width=64, height=48, time_base=Fraction(1, 24)) as writer:
        for number in range(8):
            noise = random.normal(0, spread, (48, 64, 1)) @ np.array([[1.0, 0.8, 0.5]])
            writer.add(np.clip(np.array(mean) + noise, 0, 255).astype(np.uint8), number)
    return Clip.open(store, writer.digest)


def test_colours_are_brought_to_the_other_shots(store: Store):
    clips = [coloured(store, (150, 120, 90), 20, 1), coloured(store, (90, 110, 160), 8, 2)]
    shots = [Shot(), Shot()]
    match = ColourMatch(to="previous", strength=1.0)
    film, _ = made(store, clips, shots, Film(frame=Frame(colour_match=match), output=LOSSLESS))
    frames = frames_of(movie(film)).astype(float)
    first, second = frames[:8].reshape(-1, 3), frames[8:].reshape(-1, 3)
    assert second.mean(axis=0) == pytest.approx(first.mean(axis=0), abs=2)
    assert second.std(axis=0) == pytest.approx(first.std(axis=0), rel=0.2)
    figures = film.meta["figures"]["colour_match"]
    assert figures["before"][0] > 60
    assert figures["after"][0] < 5
    same = colours.colours_of(clips[0])
    assert colours.distance(same, same) == pytest.approx(0, abs=1e-4)


def flashing(store: Store, count: int, flashes: dict[int, int]) -> Clip:
    with ClipWriter(store, "rgb", width=32, height=32, time_base=Fraction(1, 24)) as writer:
        for number in range(count):
            writer.add(np.full((32, 32, 3), flashes.get(number, 100 + number), np.uint8), number)
    return Clip.open(store, writer.digest)


def test_flashes_at_seams_are_told_and_held(store: Store, caplog: pytest.LogCaptureFixture):
    clips = [flashing(store, 24, {22: 180, 23: 240}), flashing(store, 24, {0: 20})]
    ends = seams.ends_of(clips[0])
    assert (ends.head, ends.tail) == (0, 2)
    assert ends.after < 2 < 40 < ends.step
    film, _ = made(store, clips, [Shot(), Shot()], Film(frame=Frame(flash="hold"), output=LOSSLESS))
    assert [round(frame.mean()) for frame in frames_of(movie(film))[20:28]] == [120, 121, 121, 121, 101, 101, 102, 103]
    assert film.meta["figures"]["flashes"]["1"]["tail"] == 2
    made(store, clips, [Shot(), Shot()], Film(output=LOSSLESS))
    assert "shot 2 flashes at an end" in caplog.text


def test_even_motion_and_a_lasting_change_are_no_flashes(store: Store):
    assert seams.ends_of(flashing(store, 24, {})).tail == 0
    long = flashing(store, 80, {78: 255, 79: 255, 40: 0})
    assert (seams.ends_of(long).head, seams.ends_of(long).tail) == (0, 2)
    lamp = flashing(store, 24, dict.fromkeys(range(12, 24), 200))
    assert (seams.ends_of(lamp).head, seams.ends_of(lamp).tail) == (0, 0)


def line_of(frame: np.ndarray, lines: int, number: int, size: float) -> np.ndarray:
    """The stretch of a frame where a caption's line is drawn, cut to its letters."""
    step = round(round(min(frame.shape[:2]) * size) * 1.25)
    bottom = frame.shape[0] - round(frame.shape[0] * 0.06) - step * (lines - 1 - number)
    found = frame[bottom - step - 4 : bottom + 2]
    columns = np.flatnonzero((found.min(axis=2) > 200).any(axis=0))
    return found[:, max(0, columns[0] - 12) : columns[-1] + 12]


def test_captions_are_read_back_from_the_picture(store: Store):
    words = ["She finds a lantern, at last!", "Dark is the wood: 7 owls call"]
    shots = [Shot(caption=words[0]), Shot(caption=words[1], transition=Transition(kind="crossfade", frames=4))]
    clips = [clip(store, 16, size=(640, 360), level=60), clip(store, 16, size=(640, 360), level=150)]
    film, _ = made(store, clips, shots, Film())
    frames = frames_of(movie(film))
    for number, text in ((2, words[0]), (13, words[0]), (14, words[1]), (27, words[1])):
        assert caption_reader.read(line_of(frames[number], 1, 0, 0.055)) == text
    subtitles = pysubs2.SSAFile.from_string(film.read("captions.srt").decode())
    assert [line.plaintext for line in subtitles] == words
    assert [(line.start, line.end) for line in subtitles] == [(0, 583), (583, 1167)]
    assert [line.plaintext for line in pysubs2.SSAFile.from_string(film.read("captions.ass").decode())] == words


def test_soft_captions_leave_the_picture_alone_and_stay_literal(store: Store):
    shots = [Shot(caption="{\\an8}A \\N is a word")]
    film, _ = made(store, [clip(store, 24)], shots, Film(captions=Captions(show="soft"), output=LOSSLESS))
    assert set(greys(film)) == {100}
    assert "{\\an8}A \\N is a word" in film.read("captions.srt").decode().replace("\n", " ")
    assert "\\{" in film.read("captions.ass").decode()
    silent, _ = made(store, [clip(store, 24)], shots, Film(captions=Captions(show="none"), output=LOSSLESS))
    assert silent.meta["subtitles"] == []


def test_long_captions_are_shown_one_part_after_the_other(store: Store):
    text = " ".join(f"word{number}" for number in range(24))
    film, _ = made(store, [clip(store, 96, size=(320, 180))], [Shot(caption=text)], Film())
    lines = pysubs2.SSAFile.from_string(film.read("captions.srt").decode())
    assert len(lines) > 1
    assert " ".join(line.plaintext.replace("\n", " ") for line in lines) == text
    assert all(line.plaintext.count("\n") < 2 for line in lines)
    assert (lines[0].start, lines[-1].end) == (0, 4000)


def checked(shots: list[Shot], seconds: int = 2, **film: object) -> None:
    lengths = [Length(Fraction(seconds), Fraction(24))] * len(shots)
    build.check(shots, lengths, [(320, 180)] * len(shots), Film(**film))


def test_words_that_cannot_be_shown_or_read(tmp_path: Path):
    with pytest.raises(UserError, match=r"shot 1: caption: the font DejaVu Sans has no sign for 光 燈"):
        checked([Shot(caption="燈光")])
    with pytest.raises(UserError, match=r"film.opening.text: the font DejaVu Sans has no sign for 燈"):
        checked([Shot()], opening=Title(text="燈"))
    with pytest.raises(UserError, match=r"shot 1: its caption fills \d+ screens of 2 lines, and the shot lasts 1.00 s"):
        checked([Shot(caption="many words " * 60)], seconds=1)
    (tmp_path / "font.ttf").write_text("no font")
    with pytest.raises(UserError, match=r"captions.font: font.ttf is not a font"):
        checked([Shot(caption="a")], captions=Captions(font=tmp_path / "font.ttf"))
    checked([Shot(caption="Καλημέρα, Привет, čšž")])


@pytest.fixture
def cut_film(store: Store, tmp_path: Path) -> Path:
    """The folder of a film of a title and three shots, with timelines and all."""
    shots = [
        Shot(name="The find!"),
        Shot(transition=Transition(kind="crossfade", frames=7)),
        Shot(transition=Transition(kind="crossfade", frames=4), caption="x"),
    ]
    film = Film(opening=Title(text="a", seconds=0.5), music=Music(file=tone(tmp_path / "m.wav", 1)))
    clips = [clip(store, 24), clip(store, 30), clip(store, 24)]
    own = {0: tone(tmp_path / "a.wav", 1), 1: tone(tmp_path / "b.wav", 1)}
    done, _ = made(store, clips, shots, film, own, timeline=True)
    export(store, done.digest, tmp_path / "film")
    return tmp_path / "film"


def test_timelines_are_read_back_with_handles(cut_film: Path):
    for name, adapter in (("timeline.otio", "otio_json"), ("timeline.xml", "fcp_xml")):
        timeline = otio.adapters.read_from_file(str(cut_film / name), adapter_name=adapter)
        track = timeline.video_tracks()[0]
        assert (
            round(track.duration().to_frames()) == 12 + 24 + 30 + 24 - 7 - 4 == len(frames_of(cut_film / "movie.mp4"))
        )
        shots = list(track.find_clips())
        spans = [(one.source_range.start_time.value, one.source_range.duration.value) for one in shots]
        assert spans == [(0, 20), (3, 25), (2, 22)]
        dissolves = [one for one in track if isinstance(one, otio.schema.Transition)]
        assert [(one.in_offset.value, one.out_offset.value) for one in dissolves] == [(3, 4), (2, 2)]
        for number, one in enumerate(shots):  # each movie is there, and long enough for its handles
            file = cut_film / one.media_reference.target_url
            frames = len(frames_of(file))
            assert one.media_reference.available_range.duration.value == frames == [24, 30, 24][number]
            behind = dissolves[number].out_offset.value if number < 2 else 0
            assert one.source_range.start_time.value + one.source_range.duration.value + behind <= frames
    heard = [list(track.find_clips()) for track in timeline.audio_tracks()]
    assert [len(one) for one in heard] == [2, 1]
    assert len(samples_of(cut_film / "sound" / "music.wav")) == 79 * 2000


def test_the_edl_has_every_shot_and_dissolve(cut_film: Path):
    text = (cut_film / "timeline.edl").read_text()
    assert re.findall(r"^\d+\s+(\d+)\s+V\s+D (\d+)", text, re.MULTILINE) == [("002", "007"), ("003", "004")]
    timeline = otio.adapters.read_from_string(text, adapter_name="cmx_3600", rate=24)
    files = ["shots/001-the-find.mp4", "shots/002.mp4", "shots/003.mp4"]
    assert re.findall(r"FROM CLIP: (.*)", text) == [files[0], *files[:2]]
    assert re.findall(r"TO CLIP: (.*)", text) == files[1:]
    assert len(list(timeline.find_clips())) == 3


def test_a_rate_without_time_code_has_the_otio_alone(store: Store, caplog: pytest.LogCaptureFixture):
    film, _ = made(store, [clip(store, 8, "12")], [Shot()], Film(), timeline=True)
    assert film.meta["timelines"] == ["timeline.otio"]
    assert "no time code for 12 frames a second" in caplog.text


def test_a_font_of_ones_own_is_in_the_film(store: Store, tmp_path: Path):
    import matplotlib

    serif = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSerif.ttf"
    shots, clips = [Shot(caption="lantern")], [clip(store, 8, size=(320, 180))]
    plain, _ = made(store, clips, shots, Film(output=LOSSLESS))
    own, _ = made(store, clips, shots, Film(output=LOSSLESS, captions=Captions(font=serif)))
    assert (frames_of(movie(plain)) != frames_of(movie(own))).any()


def test_the_bar_takes_no_frame_away(store: Store, monkeypatch: pytest.MonkeyPatch):
    """A bar says True when it was drawn anew, as it is after a while."""
    monkeypatch.setattr("tqdm.tqdm.update", lambda self, n=1: True)
    film, _ = made(store, [clip(store, 8)], [Shot()], Film(output=LOSSLESS), timeline=True)
    assert greys(film) == [100] * 8


def test_the_poster_has_no_words(store: Store):
    film, _ = made(store, [clip(store, 8, size=(320, 180))], [Shot(caption="lantern")], Film())
    assert set(np.unique(decode_png(film.read("poster.png"))[90:])) == {100}
