"""What lies beside a dropped clip: words for it, by the same rules as a run's overrides."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.serve import beside, request
from flows.serve.inbox import Inbox
from flows.serve.settings import Deployment, Serve
from flows.serve.state import State
from reel.errors import UserError
from tests.flows.test_serve import settings

SAMPLE = Path(__file__).parents[2] / "data/source/sample.mp4"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "walk.mp4").symlink_to(folder / "real.mp4")
    (folder / "real.mp4").write_bytes(SAMPLE.read_bytes())
    return folder


def of(place: Path) -> tuple[Serve, Deployment]:
    watch = {"folder": str(place), "stable_seconds": 0.5}
    return settings(f"paths.store={place.parent}/store"), Deployment(flow="dance", overrides=["seed=9"], watch=watch)


def said(place: Path) -> list[str]:
    usual, deployment = of(place)
    return beside.overrides(usual, deployment, request.target(usual, "dance").settings, place / "walk.mp4")


def test_words_and_settings_reach_the_render_literally(place):
    (place / "walk.txt").write_text("@a girl, ${HOME} (red:1.2), 'it'\n", "utf-8")
    (place / "walk.yaml").write_text("seed: 3\nextract:\n  end: '0:01'\n  fps: 12\ncontrol: [pose, lineart]\n", "utf-8")
    usual, deployment = of(place)
    dance = request.target(usual, "dance")
    given = [*deployment.overrides, *said(place)]
    config = request.composed(usual, deployment, dance, experiment=None, overrides=given).config
    assert config.prompt == "@a girl, ${HOME} (red:1.2), 'it'"
    assert (config.seed, str(config.extract.fps), sorted(config.controls)) == (3, "12", ["lineart", "pose"])
    assert request.cut(config) == [f"a part of the clip is rendered: extract.end={config.extract.end}"]


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("walk.yaml", "paths:\n  output: /tmp/elsewhere\n", "paths.output may not be set"),
        ("walk.yaml", "clip: /etc/passwd\n", "outside the allowed folders"),
        ("walk.yaml", "clip: ../../other.mp4\n", "outside the allowed folders"),
        ("walk.yaml", "tracking: {uri: 'http://elsewhere'}\n", "may not be set"),
        ("walk.yaml", "stylize: {scheduler: '${oc.env:HOME}'}\n", "an interpolation"),
        ("walk.yaml", "model: {base: {kind: file, id: x}}\n", "may not be set"),
        ("walk.yaml", "- seed=3\n", "a group of keys"),
        ("walk.yaml", "seed: [\n", "cannot be read as YAML"),
        ("walk.yaml", "prompt: a boy\n", "prompt is set in another file"),
        ("walk.yml", "~seed: 3\n", "not allowed"),
    ],
)
def test_what_is_not_allowed_is_told_with_the_file(place, name, text, what):
    (place / "walk.txt").write_text("a girl", "utf-8")
    (place / name).write_text(text, "utf-8")
    with pytest.raises(UserError, match=what) as told:
        said(place)
    assert name in told.value.message


def test_a_link_out_of_the_folder_is_not_followed(place):
    (place.parent / "secret.txt").write_text("secret", "utf-8")
    (place / "walk.txt").symlink_to(place.parent / "secret.txt")
    with pytest.raises(UserError, match="link out of the folder"):
        said(place)


def test_new_words_are_a_new_run_and_wrong_ones_wait(place, monkeypatch):
    usual, deployment = of(place)
    target = request.target(usual, "dance")
    served = SimpleNamespace(plan=SimpleNamespace(deployment=deployment, target=target, name="box"), id="0")
    heard: list[str] = []
    asked: list[dict[str, object]] = []
    inbox = Inbox(usual, served, State(usual.paths.store), heard.append)  # type: ignore[arg-type]

    async def submitted(entry: object, path: Path) -> bool:
        asked.append(inbox._parameters(path))
        return True

    monkeypatch.setattr(inbox, "_submit", submitted)
    inbox.watch = inbox.watch.model_copy(update={"stable_seconds": 0.0})

    async def look() -> None:
        for _ in range(3):
            await inbox.look()

    (place / "walk.mp4").unlink()
    (place / "real.mp4").rename(place / "walk.mp4")
    clip = str(place / "walk.mp4")
    asyncio.run(look())
    assert asked == [{"clip": clip}]
    (place / "walk.txt").write_text("a girl in red", "utf-8")
    asyncio.run(look())
    assert asked[1:] == [{"clip": clip, "overrides": ["seed=9", "prompt=a girl in red"]}]
    (place / "walk.yaml").write_text("paths: {store: /}", "utf-8")
    asyncio.run(look())
    assert len(asked) == 2
    assert "walk.mp4 is left alone: walk.yaml" in heard[-1]
    (place / "walk.yaml").write_text("seed: 4", "utf-8")
    os.utime(place / "walk.yaml", (time.time() + 5, time.time() + 5))
    asyncio.run(look())
    assert asked[2:] == [{"clip": clip, "overrides": ["seed=9", "prompt=a girl in red", "seed=4"]}]
