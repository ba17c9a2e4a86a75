"""A graph on a server that speaks ComfyUI's recorded protocol: queued once, followed, cancelled, fetched."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reel import interrupt
from reel.clip import Clip
from reel.errors import UserError
from reel.files import sha256_file
from reel.live import PREVIEW, Live
from reel.op import Context
from reel.store import Store
from tasks.comfyui import follow, messages, outputs
from tasks.comfyui import server as http
from tasks.comfyui.frames import frames
from tasks.comfyui.run import run, unknown, version
from tasks.comfyui.server import Fetched, Server
from tasks.comfyui.settings import Frames, Run
from tests.comfyui.record import graph
from tests.comfyui.server import RECORDED, Scripted, serving


@pytest.fixture
def comfy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    monkeypatch.setattr(follow, "LOOK", 0.1)
    monkeypatch.setattr(messages, "FIRST_WAIT", 0.02)
    with serving() as script:
        yield script


def context(comfy: Scripted, folder: Path, **more: Any) -> Context:
    return Context(Store(folder / "store"), addresses={"comfyui": comfy.url}, **more)


def settings(**probe: Any) -> Run:
    return Run(graph=graph(**probe), output="3", server=version(RECORDED["system_stats"]))


def test_a_graph_becomes_frames(comfy: Scripted, tmp_path: Path):
    said: list[tuple[str, str]] = []
    ctx = context(comfy, tmp_path, say=lambda *line: said.append(line))
    files = run(settings(), {}, ctx)
    assert sorted(ctx.store.get(files).files) == [f"files/00000{number}.png" for number in range(3)]
    clip = Clip.open(ctx.store, frames(Frames(fps=6), {"files": files}, ctx))
    assert (clip.count, clip.width, clip.height, clip.fps) == (3, 64, 48, 6)
    assert [int(frame[0, 0, 0]) for frame in clip.frames()] == [7, 23, 39]  # the probe's own levels
    assert comfy.graphs == [graph()]
    assert ctx.facts["server"] == {"comfyui": "0.8.0", "pytorch": "2.14.1+cu130", "device": "cpu"}


@pytest.mark.parametrize("settle", [0.05, 1.0])
@pytest.mark.parametrize("own_ids", [False, True])
def test_an_answer_that_is_lost_queues_nothing_twice(comfy: Scripted, tmp_path: Path, settle: float, own_ids: bool):
    comfy.lose_answers, comfy.settle, comfy.own_ids = 1, settle, own_ids
    run(settings(), {}, context(comfy, tmp_path))
    assert len(comfy.prompts) == 1


def test_a_lost_connection_is_made_anew_and_the_history_asked(comfy: Scripted, tmp_path: Path):
    comfy.drop_after, comfy.pace = 6, 0.03
    ctx = context(comfy, tmp_path)
    run(settings(), {}, ctx)
    assert (len(comfy.prompts), ctx.facts["connections_lost"]) == (1, 1)
    assert comfy.connections == 2


def test_without_a_connection_the_history_says_that_it_ended(
    comfy: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(messages, "FIRST_WAIT", 60)
    comfy.drop_after = 3
    run(settings(), {}, context(comfy, tmp_path))
    assert (len(comfy.prompts), comfy.connections) == (1, 1)


def test_a_server_that_answers_nothing_for_a_while_is_waited_for(comfy: Scripted, tmp_path: Path):
    comfy.settle, comfy.drop_after = 0.3, 8
    ctx = context(comfy, tmp_path)

    threading.Thread(target=when, args=(lambda: comfy.prompts, lambda: setattr(comfy, "refuse", 4))).start()
    run(settings(), {}, ctx)
    assert len(comfy.prompts) == 1


def test_a_server_that_is_gone_for_good_is_given_up(comfy: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(follow, "LOST", 0.3)
    comfy.settle, comfy.drop_after = 60, 3

    threading.Thread(target=when, args=(lambda: comfy.prompts, lambda: setattr(comfy, "refuse", 10**6))).start()
    with pytest.raises(UserError, match="answers 503: no answer for 0 s") as caught:
        run(settings(), {}, context(comfy, tmp_path))
    assert "the same command goes on" in str(caught.value)


def test_a_server_that_was_restarted_says_so(comfy: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(follow, "SETTLING", 0.2)
    comfy.pace = 0.2
    threading.Thread(target=when, args=(lambda: comfy.running, comfy.forget)).start()
    with pytest.raises(UserError, match="has lost the graph: it was restarted"):
        run(settings(), {}, context(comfy, tmp_path))


def when(true: Callable[[], object], act: Callable[[], object] = lambda: None) -> None:
    """Wait until something is so, 30 s at most."""
    until = time.monotonic() + 30
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    act()


@contextlib.contextmanager
def stopped_when(true: Callable[[], object]) -> Iterator[None]:
    """A wish to stop, as Ctrl-C leaves it, once something is so."""
    waiting = threading.Thread(target=when, args=(true, interrupt.remember))
    waiting.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        waiting.join()
        interrupt.forget()


def test_who_stops_interrupts_the_graph_and_a_later_try_is_another(comfy: Scripted, tmp_path: Path):
    comfy.pace = 0.1
    ctx = context(comfy, tmp_path)
    with stopped_when(lambda: comfy.running):
        run(settings(), {}, ctx)
    assert comfy.cancelled == comfy.prompts
    comfy.pace = 0
    when(lambda: comfy.history)  # the server has noted the interruption
    run(settings(), {}, ctx)
    assert len(set(comfy.prompts)) == 2


def test_who_stops_while_others_are_before_takes_it_out_of_the_queue(comfy: Scripted, tmp_path: Path):
    comfy.waiting = 2
    said: list[tuple[str, str]] = []
    with stopped_when(lambda: said):
        run(settings(), {}, context(comfy, tmp_path, say=lambda *line: said.append(line)))
    assert comfy.cancelled == comfy.prompts
    assert "POST /interrupt" not in comfy.paths, "what runs is another's"
    assert said == [("queue", "2 graphs before this one")]


def test_a_killed_command_finds_its_graph_again(comfy: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The first one dies without a word, as by ``kill -9``; a later one joins, while it runs or when it is done."""
    comfy.pace = 0.1

    def killed(*_: Any) -> Any:
        raise SystemExit

    ctx = context(comfy, tmp_path)
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(follow, "_followed", killed)
        run(settings(), {}, ctx)
    first = run(settings(), {}, ctx)
    assert (len(comfy.prompts), ctx.facts["taken_over"]) == (1, True)
    assert run(settings(), {}, ctx) == first
    assert len(comfy.prompts) == 1
    run(settings(), {}, context(comfy, tmp_path / "another store"))
    assert len(comfy.prompts) == 2


def test_a_node_that_fails_is_named(comfy: Scripted, tmp_path: Path):
    with pytest.raises(
        UserError, match=r"node 1 \(RotoscopeProbe\) failed: ValueError: the probe fails, as it was asked"
    ):
        run(settings(fail=True), {}, context(comfy, tmp_path))
    comfy.ends = "interrupted"
    with pytest.raises(UserError, match="was interrupted on the server, at node 1"):
        run(settings(seed=2), {}, context(comfy, tmp_path))


def test_a_graph_of_which_a_part_is_refused_is_cancelled(comfy: Scripted, tmp_path: Path):
    refused = RECORDED["refused_value"]["answer"]["node_errors"]
    comfy.answers["/prompt"] = (200, json.dumps({"prompt_id": "p", "node_errors": refused}), {})
    with pytest.raises(UserError, match=r"refuses the graph: node 1 \(RotoscopeProbe\): Value 5000 bigger than max"):
        run(settings(), {}, context(comfy, tmp_path))
    assert "POST /queue" in comfy.paths


def test_the_live_picture_is_what_the_server_previews(comfy: Scripted, tmp_path: Path):
    from PIL import Image

    store = Store(tmp_path / "store")
    live = Live(store, "r", tmp_path / "out", every=0.01)
    ctx = Context(store, addresses={"comfyui": comfy.url}, live=live)
    run(settings(), {}, ctx)
    with Image.open(tmp_path / "out" / PREVIEW) as picture:
        assert picture.size == (96, 64)
    assert comfy.extra == [{"preview_method": "auto"}]


def test_files_are_uploaded_by_their_content(comfy: Scripted, tmp_path: Path):
    (picture := tmp_path / "key.png").write_bytes(b"pixels")
    cfg = settings().model_copy(update={"uploads": {"file_0": "abc.png"}})
    digest = sha256_file(picture)
    ctx = context(comfy, tmp_path, files={"file_0": picture})
    run(cfg, {"file_0": digest}, ctx)
    assert comfy.uploads == {"rotoscope/abc.png": b"pixels"}
    picture.write_bytes(b"other pixels")
    with pytest.raises(UserError, match=r"key.png changed while the render was prepared"):
        run(cfg, {"file_0": digest}, ctx)
    picture.write_bytes(bytes(2 << 20))  # aiohttp's own limit answers as ComfyUI's does
    with pytest.raises(UserError, match="larger than what"):
        run(cfg, {"file_0": sha256_file(picture)}, ctx)


def test_another_server_than_a_moment_ago_is_refused(comfy: Scripted, tmp_path: Path):
    comfy.system["system"]["comfyui_version"] = "0.9.0"
    with pytest.raises(UserError, match=r"was another one a moment ago: ComfyUI 0.8.0 on cpu, now 0.9.0"):
        run(settings(), {}, context(comfy, tmp_path))
    assert comfy.prompts == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((302, "", {"Location": "http://127.0.0.1:9/x"}), "sends elsewhere, which is not followed"),
        ((404, "", {}), "answers 404"),
        ((401, "", {}), "asks who you are"),
        ((200, "<html>", {}), "gives no JSON"),
        ((200, "[" * 100_000, {}), "gives no JSON"),
        ((200, "[1]", {}), "/system_stats has no system"),
        ((200, '{"system": 3}', {}), "/system_stats has no system"),
    ],
)
def test_what_is_no_comfyui_is_told(comfy: Scripted, answer: tuple[int, str, dict[str, str]], said: str):
    comfy.answers["/system_stats"] = answer
    with pytest.raises(UserError, match=said):
        Server(http.Address(comfy.url)).system()


def test_answers_and_files_have_limits(comfy: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = Server(http.Address(comfy.url))
    monkeypatch.setattr(http, "MOST_JSON", 1000)
    with pytest.raises(UserError, match="answers with more than"):
        server.object_info()
    monkeypatch.setattr(http, "MOST_FILE", 1000)
    comfy.files["x.png"] = bytes(2000)
    with pytest.raises(UserError, match=r"x.png has more than"):
        server.fetch(Fetched("x.png", "", "output"), tmp_path / "x")
    with pytest.raises(http.Gone, match=r"does not have y.png any more"):
        server.fetch(Fetched("y.png", "", "output"), tmp_path / "y")


def test_names_of_the_server_are_no_names_here(comfy: Scripted, tmp_path: Path):
    evil = "../../../etc/passwd\x00.PNG"
    comfy.files[evil] = next(iter(comfy.files.values()))
    found = outputs.named({"3": {"images": [{"filename": evil, "subfolder": "..", "type": "output"}]}}, "3",
                          follow.Graph({"3": graph_node()}))  # fmt: skip
    ctx = context(comfy, tmp_path)
    assert list(ctx.store.get(outputs.fetch(Server(http.Address(comfy.url)), found, ctx)).files) == ["files/000000.png"]


def graph_node() -> Any:
    from reel.comfy.node import Node

    return Node("3", "SaveImage", {})


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        ({}, "made no picture and no film"),
        ({"3": {"text": ["hello"]}}, "made no picture and no film"),
        ({"3": {"latents": [{"filename": "a.latent"}]}}, "made no picture and no film"),
        ({"3": None, "4": 3}, "made no picture and no film"),
        ({"3": {"gifs": [{"filename": "a.mp4"}, {"filename": "b.mp4"}]}}, "2 of them films"),
        ({"3": {"gifs": [{"filename": "a.mp4"}], "images": [{"filename": "b.png"}]}}, "1 of them films"),
    ],
)
def test_an_output_is_one_film_or_pictures(saved: Any, said: str):
    with pytest.raises(UserError, match=said):
        outputs.named(saved, "3", follow.Graph({"3": graph_node()}))


def test_what_cannot_be_known_is_said():
    loader = {"class_type": "Loader", "inputs": {"ckpt_name": "sd15.safetensors", "other": ["1", 0]}}
    cfg = settings().model_copy(update={"graph": {"1": loader}, "packs": {"Loader": "custom_nodes.some-pack"}})
    assert unknown(cfg) == ["code of the custom nodes in some-pack", "content of sd15.safetensors"]
