"""What watched folders take beside clips: still pictures for `animate`, storyboards with the files that they name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.serve import allow, register, request
from flows.serve.inbox import Inbox
from flows.serve.settings import Deployment, read
from flows.serve.state import State
from reel.errors import UserError
from tests.flows.test_serve import ROOT, settings
from tests.tasks import animate_models as tiny

SAMPLE = ROOT / "data" / "source" / "sample.mp4"
STORY = "title: x\ncharacters: [{name: Mira, words: a girl, pictures: [mira.png]}]\nshots:\n"
SHOT = "  - {picture: key.png, motion: Mira waves}\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    for number, name in enumerate(("key.png", "mira.png")):
        tiny.picture(number, 96, 96).save(folder / name)
    tiny.picture(3, 96, 96).save(tmp_path / "secret.png")
    return folder


@pytest.fixture
def inbox(place: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Of a flow: what was handed over, by name, and what was said."""

    def made(flow: str) -> tuple[Inbox, list[dict[str, Any]], list[str]]:
        usual = settings(f"paths.store={place.parent}/store")
        deployment = Deployment(flow=flow, watch={"folder": str(place), "stable_seconds": 0.5})
        plan = SimpleNamespace(deployment=deployment, target=request.target(usual, flow), name="box")
        heard: list[str] = []
        asked: list[dict[str, Any]] = []
        one = Inbox(usual, SimpleNamespace(plan=plan, id="0"), State(usual.paths.store), heard.append)  # type: ignore[arg-type]

        async def submitted(entry: object, path: Path) -> bool:
            asked.append(one._parameters(path))
            return True

        monkeypatch.setattr(one, "_submit", submitted)
        one.watch = one.watch.model_copy(update={"stable_seconds": 0.0})
        return one, asked, heard

    return made


def looked(inbox: Inbox) -> None:
    async def look() -> None:
        for _ in range(3):
            await inbox.look()

    asyncio.run(look())


def test_a_story_is_taken_with_what_it_names_and_once(place: Path, inbox: Any):
    (place / "a.yaml").write_text(STORY + SHOT)
    one, asked, heard = inbox("storyboard")
    looked(one)
    assert asked == [{"file": str(place / "a.yaml")}]
    assert sum("matches none of" in line for line in heard) == 2  # the pictures are no stories
    (place / "b.yaml").write_text(STORY + SHOT)
    looked(one)
    assert "b.yaml holds what was taken before" in heard[-1]
    tiny.picture(4, 96, 96).save(place / "mira.png")
    (place / "b.yaml").write_text(STORY + SHOT + "\n")
    (place / "c.yaml").write_text(STORY + SHOT)
    looked(one)
    assert len(asked) == 3  # the same words of another Mira are another film


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (STORY + SHOT.replace("key.png", "../secret.png"), "shots.1.picture: {up}/secret.png is outside the allowed"),
        (STORY.replace("mira.png", "/etc/passwd") + SHOT, "characters: Mira: /etc/passwd is outside the allowed"),
        (STORY + SHOT.replace("}", ", sound: link.wav}"), "shots.1.sound: {up}/link.wav is outside the allowed"),
        (STORY + SHOT.replace("key", "later"), "shots.1.picture: {here}/later.png does not exist"),
        ("prompt: a girl\nseed: 3\n", "unknown key 'prompt'"),
        ("title: [", "a.yaml:1:"),
    ],
)
def test_a_story_that_may_not_be_or_names_what_it_may_not_is_left_alone(place: Path, inbox: Any, text: str, says: str):
    (place / "link.wav").symlink_to(place.parent / "secret.png")
    (place / "a.yaml").write_text(text)
    one, asked, heard = inbox("storyboard")
    looked(one)
    assert asked == []
    [told] = [line for line in heard if "a.yaml is left alone" in line]
    assert says.format(up=place / "..", here=place).replace("/../link", "/link") in told


def test_a_run_by_hand_is_held_to_the_same(place: Path):
    usual = settings(f"paths.store={place.parent}/store")
    deployment = Deployment(flow="storyboard", watch={"folder": str(place)})
    target = request.target(usual, "storyboard")

    def composed(story: str) -> Any:
        (place / "a.yaml").write_text(story)
        base = ["model=ltx_2b", "approve=yes", "shots.1.seed=3"]
        return request.composed(
            usual, deployment, target, experiment=None, overrides=base, dropped=str(place / "a.yaml")
        ).config

    assert composed(STORY + SHOT).file == place / "a.yaml"
    with pytest.raises(UserError, match=r"shots\.1\.picture: .*secret\.png is outside the allowed folders"):
        composed(STORY + SHOT.replace("key.png", "../secret.png"))
    rules = allow.Rules(usual, deployment, target.settings)
    for override in ("shots.1.picture=/etc/passwd", "film.music.file=/etc/passwd", "story=@/etc/passwd"):
        with pytest.raises(UserError, match="outside the allowed folders"):
            rules.check(override)
    for override in ("write=openai_compatible", "animate.loras=[x]", "shots=/etc/passwd"):
        with pytest.raises(UserError, match=r"may not be set|a model's files"):
            rules.check(override)


def test_a_picture_is_taken_with_its_words(place: Path, inbox: Any):
    (place / "key.txt").write_text("she waves")
    (place / "walk.mp4").write_bytes(SAMPLE.read_bytes())
    (place / "note.png").write_text("no picture")
    one, asked, heard = inbox("animate")
    looked(one)
    assert asked == [
        {"picture": str(place / "key.png"), "overrides": ["prompt=she waves"]},
        {"picture": str(place / "mira.png")},
    ]
    assert sum("left alone" in line for line in heard) == 2


def test_the_example_of_a_folder_for_stories_is_sound():
    usual = settings(f"folder={ROOT}/docs/deployments", "deployments=[stories]")
    [plan] = register.check(usual)
    assert (plan.point.config.approve, plan.point.config.model.name) == ("yes", "ltx_distilled")
    assert read(usual, "stories").watch is not None
