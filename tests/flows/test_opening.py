"""What a `dance` says before it computes anything, and what it says of the people before it draws."""

from __future__ import annotations

import re

import pytest

from flows.config.compose import settings
from flows.config.root import Root
from flows.dance.opening import opening
from flows.dance.people import lines
from flows.dance.settings import Dance
from reel.errors import UserError
from reel.framing import Framing, Seen


def said(*overrides: str) -> dict[str, str]:
    found = opening(settings(Root("dance", Dance), overrides).config)
    told: dict[str, str] = {}
    for what, text in found:
        told[what] = f"{told.get(what, '')}{text}\n"
    return told


def test_the_clip_and_what_is_drawn_of_it() -> None:
    told = said("extract.end=1")
    assert told["clip"] == "sample.mp4: 480x480, 24 fps, 1 s of 2 s, 48 frames, with sound (aac)\n"
    assert told["drawn"].startswith("8 frames at 8 fps of the clip's 24, ")
    assert "extract.fps=source draws all 24" in told["drawn"], "those of the part that is taken"
    assert "every one of the clip's" in said("extract.fps=source")["drawn"]
    assert said("extract.fps=48")["drawn"].startswith("96 frames at 48 fps, ")
    assert "draws all" not in said("extract.max_frames=3")["drawn"], "it would draw three again"


def test_a_clip_that_cannot_be_read_is_told_at_once() -> None:
    with pytest.raises(UserError, match=r"clip: there is no file nowhere\.mp4"):
        said("clip=nowhere.mp4")


def test_words_that_the_embedded_family_does_not_know() -> None:
    note = said("prompt=a warrior with long pink hair in a red coat, green background")["note"]
    assert "sprite does not know: warrior, coat." in note
    assert "hair short or long, in black, blonde, pink" in note, "what it draws instead"
    assert re.search(r"does not say the colour of the top, .*the skin", note)
    full = "a girl with short blonde hair and light skin in a red top and a blue skirt, gray background, dancing"
    assert "note" not in said(f"prompt={full}")


def test_words_of_a_schedule() -> None:
    head = "a girl with short black hair and light skin, blue skirt, green background"
    note = said(f"prompt_schedule=head: {head}; 0: red top; -1: silver top")["note"]
    assert "does not know: silver." in note


def test_of_other_families_no_words_are_known() -> None:
    assert "note" not in said("model=sd15", "prompt=a warrior")


def people(*each: tuple[int, Framing | None], framings: tuple[Framing, ...] = ("whole figure",)) -> dict[str, str]:
    seen = Seen(tuple(count for count, _ in each), tuple(framing for _, framing in each))
    return dict(lines(seen, "sprite", framings))


def test_people_of_a_frame_and_how_they_are_framed() -> None:
    told = people((1, "whole figure"), (1, "whole figure"), (2, "whole figure"), (0, None))
    assert told == {"people": "1 in 2 of 4 frames, 2 in 1; the largest: whole figure in 100%"}


def test_a_portrait_for_a_family_of_whole_figures() -> None:
    portrait = [(1, "face only")] * 9 + [(1, "whole figure")]
    told = people(*portrait)  # type: ignore[arg-type]
    assert "sprite draws a whole figure, which 10% of these frames show" in told["warning"]
    assert "whole person is in the picture" in told["warning"], "what to do"
    assert "warning" not in people(*portrait, framings=())  # type: ignore[arg-type]


def test_nobody_in_most_frames() -> None:
    told = people((0, None), (0, None), (1, "whole figure"))
    assert "nobody is found in 2 of 3 frames" in told["warning"]
    assert people((0, None), (0, None))["people"] == "none in 2 frames"
