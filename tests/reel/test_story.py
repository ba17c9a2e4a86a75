"""Storyboard files: what is read, what is refused and where, what prompts are made of it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from reel.errors import UserError
from reel.story import file, prompts
from reel.story.model import MOVES_OF_CAMERA, Character
from reel.story.schema import schema, text

TEXT = """\
title: The lantern
style: flat cartoon
characters:
  - {name: Mira, words: "a girl with short blonde hair, in a red top", pictures: [mira.png]}
seed: 7
shots:
  - prompt: Mira on a pier, Mira's lantern is lit
    motion: Mira waves
    camera: push_in
    seconds: 4
    caption: "12"
  - name: bow
    picture: own.png
    motion: no
    transition: crossfade
  - prompt: a Miranda bridge
    transition: {kind: fade, frames: 12}
    frames: 25
    animate: {guidance_scale: 4}
"""


def told(text: str) -> str:
    with pytest.raises(UserError) as error:
        file.of_text(text, "story.yaml")
    return str(error.value)


def test_a_file_is_read_with_paths_from_where_it_lies(tmp_path: Path):
    path = tmp_path / "story.yaml"
    path.write_text(TEXT)
    board = file.read(path).board
    assert [shot.seconds for shot in board.shots] == [4, None, None]
    assert board.shots[1].picture == tmp_path / "own.png"
    assert board.characters[0].pictures == [tmp_path / "mira.png"]
    assert board.shots[1].motion == "no"  # a word, as people mean it
    assert board.shots[0].caption == "12"
    assert board.shots[1].transition.kind == "crossfade"


def test_what_is_written_reads_back_as_the_same():
    board = file.of_text(TEXT, "story.yaml").board
    odd = [': "#', "true", "null", "0x1f", "1e3", "- a", "a: b", "  two  ", "line\nbreak", "é 🦊 \u200b", "@x", "{"]
    board.shots[0].caption, board.style = odd[0], odd[1]
    for one in odd:
        board.shots[0].prompt = one
        assert file.of_text(file.text_of(board), "again").board == board
        assert yaml.safe_load(file.text_of(board))["shots"][0]["prompt"] == one  # any YAML reader


@pytest.mark.parametrize(
    ("was", "now", "place", "said"),
    [
        ("seconds: 4", "seconds: x", "10:14", "shots.1.seconds: must be a valid number"),
        ("seconds: 4", "secnds: 4", "10:5", "unknown key 'shots.1.secnds'; nearest: seconds"),
        ("kind: fade", "kind: wipe", "17:24", "'cut', 'fade' or 'crossfade'"),
        ("picture: own.png\n    ", "", "12:5", "shots.2: a shot needs words"),
        ("seed: 7", "seed: -1", "5:7", "seed: must be greater than or equal to 0"),
        ("frames: 25", "frames: 25\n    frames: 9", "19:5", "frames stands here twice"),
        ("frames: 25", "frames: 25\n    seconds: 3", "16:5", "leave one of them out"),
        ("camera: push_in", "camera: [push_in, pan_left]", "9:13", "shots.1.camera: must be"),
        ("title: The", "title: [The", "1:8", "is never closed"),
        ('caption: "12"', "caption: 12", "11:14", "must be a valid string"),
        ('caption: "12"', "caption:", None, None),
        ("name: Mira", "name: ' '", "4:12", "must not be empty"),
        ("style: flat", "style: &x flat", "2:8", "anchors and aliases"),
    ],
)
def test_mistakes_are_told_at_their_line_and_column(was: str, now: str, place: str | None, said: str | None):
    assert was in TEXT
    changed = TEXT.replace(was, now, 1)
    if place is None:
        assert file.of_text(changed, "story.yaml").board.shots[0].caption is None
        return
    message = told(changed)
    assert message.startswith(f"story.yaml:{place}: ")
    assert said is not None
    assert said in message


@pytest.mark.parametrize(
    "bad", ["", "[]", "just words", "shots: []", "shots: hello", "title: x", "a: b: c", "shots: [{"]
)
def test_what_is_no_storyboard_is_one_error(bad: str):
    assert told(bad).startswith("story.yaml:1:")


def test_several_mistakes_are_told_at_once():
    message = told(TEXT.replace("seconds: 4", "seconds: x").replace("frames: 25", "frames: y"))
    assert "story.yaml:10:" in message
    assert "story.yaml:18:" in message


def test_five_hundred_shots_are_one_error():
    message = told("shots:\n" + "  - prompt: a\n" * 500)
    assert "500 shots" in message
    assert message.count("\n") < 5


def test_a_file_that_cannot_be_read(tmp_path: Path):
    for make in (lambda p: None, lambda p: p.mkdir(), lambda p: p.write_bytes(b"\xff\xfe\x00"),
                 lambda p: p.write_bytes(b"a" * (2 << 20))):  # fmt: skip
        path = tmp_path / f"{id(make)}.yaml"
        make(path)
        with pytest.raises(UserError, match=str(path)):
            file.read(path)


def test_a_character_is_put_in_with_the_very_words():
    board = file.of_text(TEXT, "story.yaml").board
    words = board.characters[0].words
    assert prompts.picture_prompt(board, board.shots[0]) == f"{words} on a pier, Mira's lantern is lit, flat cartoon"
    assert words in prompts.motion_prompt(board, board.shots[0])
    assert prompts.motion_prompt(board, board.shots[0]).endswith(". Mira waves. the camera pushes in slowly")
    assert words not in prompts.picture_prompt(board, board.shots[2])  # Miranda is somebody else
    assert prompts.named(board, board.shots[0]) == board.characters
    assert prompts.named(board, board.shots[2]) == []


def test_every_camera_move_has_its_words():
    assert set(prompts.MOVES) == set(MOVES_OF_CAMERA)


def test_doubts_are_told():
    board = file.of_text(TEXT, "story.yaml").board
    assert prompts.doubts(board) == []
    board.shots[0].motion = "she waves, then she bows while the camera pans left"
    assert [line.split(":")[0] for line in prompts.doubts(board)] == ["shot 1", "shot 1"]


def test_changes_of_a_command_line():
    found = file.of_text(TEXT, "story.yaml")
    changed = found.with_changes({2: {"seed": 5}, 3: {"frames": None, "seconds": 2.0}})
    assert changed.board.shots[1].seed == 5
    assert changed.board.shots[2].seconds == 2
    assert [a == b for a, b in zip(found.board.shots, changed.board.shots, strict=True)] == [True, False, False]
    assert str(changed.error(2, "seed", "no")) == "shots.2.seed: no"  # by its key: the command line has its place
    assert str(changed.error(1, "seconds", "no")).startswith("story.yaml:10:14: shots.1.seconds: no")
    assert str(changed.error(3, "picture", "no")).startswith("story.yaml:16:5: shots.3.picture: no")
    with pytest.raises(UserError, match=r"shots\.4: there is no such shot, story\.yaml has 3"):
        found.with_changes({4: {"seed": 5}})
    with pytest.raises(UserError, match=r"^shots\.2\.seed: must be"):
        found.with_changes({2: {"seed": -5}})


def test_the_published_schema_is_the_one_of_the_code_and_takes_what_is_read():
    published = Path(__file__).parents[2] / "docs" / "storyboard.schema.json"
    assert published.read_text() == text(), "python -m reel.story.schema > docs/storyboard.schema.json"
    checker = jsonschema.Draft202012Validator(schema())
    data = yaml.safe_load(TEXT)
    data["shots"][1]["motion"] = "no"
    assert list(checker.iter_errors(data)) == []
    for wrong in ({**data, "shot": 1}, {**data, "shots": [{"prompt": "a", "camera": "wipe"}]},
                  {**data, "shots": [{"prompt": "a", "transition": "wipe"}]}):  # fmt: skip
        assert list(checker.iter_errors(wrong)) != []
    json.loads(text())
    assert all(one.get("description") for one in schema()["$defs"]["Shot"]["properties"].values())


@pytest.mark.parametrize(
    ("words", "text", "told"),
    [
        ({"Mira": "a girl, Tom's sister", "Tom": "a boy"}, "Mira and Tom wait", "a girl, Tom's sister and a boy wait"),
        ({"Tom": "a boy", "Mira": "a girl, Tom's sister"}, "Mira and Tom wait", "a girl, Tom's sister and a boy wait"),
        ({"Mira": "a girl", "Mira Two": "a robot"}, "Mira Two waits", "a robot waits"),
        ({"Mira": "a girl"}, "Miranda waits", "Miranda waits"),
        ({"Mira": "a girl"}, "Mira and Mira", "a girl and Mira"),
    ],
)
def test_words_of_characters_stand_for_their_names_and_are_not_searched_themselves(
    words: dict[str, str], text: str, told: str
):
    assert prompts.described(text, [Character(name=name, words=own) for name, own in words.items()]) == told
