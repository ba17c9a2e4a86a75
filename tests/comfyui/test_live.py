"""Against a real ComfyUI: ``COMFYUI_URL=http://127.0.0.1:8188 pytest tests/comfyui/test_live.py``.

Core nodes without weights are enough (`main.py --cpu`); what needs a node that takes its time is skipped where
`probe_nodes.py` is not among the server's custom nodes.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reel import interrupt
from reel.clip import Clip
from reel.comfy.definitions import definitions, look
from reel.comfy.graph import load, parsed
from reel.files import sha256_file
from reel.live import PREVIEW, Live
from reel.op import Context
from reel.store import Store
from tasks.comfyui.address import Address
from tasks.comfyui.frames import frames
from tasks.comfyui.run import run, version
from tasks.comfyui.server import Server
from tasks.comfyui.settings import Frames, Run
from tests.comfyui.record import graph

URL = os.environ.get("COMFYUI_URL", "")
pytestmark = pytest.mark.skipif(not URL, reason="COMFYUI_URL names no server")


@pytest.fixture
def server() -> Server:
    return Server(Address(URL))


@pytest.fixture
def probe(server: Server) -> None:
    if "RotoscopeProbe" not in definitions(server.object_info()):
        pytest.skip("the server has no probe_nodes.py")


def settings(server: Server, nodes: dict[str, Any], output: str, **more: Any) -> Run:
    return Run(graph=nodes, output=output, server=version(server.system()), **more)


def new(**probe: Any) -> dict[str, Any]:
    """A graph that the server has not run yet."""
    return graph(seed=random.randrange(2**40), **probe)


@pytest.mark.parametrize("saver", ["pictures", "webp", "mp4"])
def test_a_picture_goes_there_and_comes_back(server: Server, tmp_path: Path, saver: str):
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    Image.fromarray(pixels).save(path := tmp_path / "key.png")
    nodes: dict[str, Any] = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "rotoscope/live_key.png"}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
    }
    prefix = {"filename_prefix": "rotoscope/live"}
    if saver == "mp4":
        nodes["3"] = {"class_type": "CreateVideo", "inputs": {"images": ["2", 0], "fps": 12.0}}
        nodes["4"] = {
            "class_type": "SaveVideo",
            "inputs": {"video": ["3", 0], "format": "mp4", "codec": "h264", **prefix},
        }
    elif saver == "webp":
        how = {"fps": 12.0, "lossless": True, "quality": 80, "method": "default"}
        nodes["4"] = {"class_type": "SaveAnimatedWEBP", "inputs": {"images": ["2", 0], **how, **prefix}}
    else:
        nodes["4"] = {"class_type": "SaveImage", "inputs": {"images": ["2", 0], **prefix}}
    looked = look(parsed(json.dumps(nodes).encode()), definitions(server.object_info()), {("1", "image")})
    assert looked.problems == []
    cfg = settings(server, nodes, "4", uploads={"file_0": "live_key.png"})
    ctx = Context(Store(tmp_path / "store"), addresses={"comfyui": URL}, files={"file_0": path})
    files = run(cfg, {"file_0": sha256_file(path)}, ctx)
    clip = Clip.open(ctx.store, frames(Frames(fps=6), {"files": files}, ctx))
    assert (clip.count, clip.width, clip.height) == (1, 64, 48)
    off = np.abs(clip.frame(0).astype(int) - (255 - pixels.astype(int)))
    assert off.max() <= 1 if saver != "mp4" else off.mean() < 60  # noise is what H.264 keeps worst


@pytest.mark.usefixtures("probe")
def test_previews_and_progress_come_while_it_works(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = Store(tmp_path / "store")
    live = Live(store, "r", tmp_path / "out", every=0.01)
    seen: list[tuple[str, int, int]] = []
    tell = live.step
    live.step = lambda stage, unit, done, total, left: (
        seen.append((stage, done, total)) or tell(stage, unit, done, total, left)
    )  # type: ignore[method-assign, func-returns-value]
    ctx = Context(store, addresses={"comfyui": URL}, live=live)
    files = run(settings(server, new(steps=5, seconds=0.1), "3"), {}, ctx)
    assert store.get(files).meta["count"] == 5
    assert [done for stage, done, total in seen if stage == "RotoscopeProbe" and total == 5] == [0, 1, 2, 3, 4, 5]
    with Image.open(tmp_path / "out" / PREVIEW) as picture:
        assert picture.size == (96, 64)


@pytest.mark.usefixtures("probe")
@pytest.mark.parametrize("others", [0, 1])
def test_who_stops_cancels_their_own_graph_alone(server: Server, tmp_path: Path, others: int):
    ahead = [server.queue(new(steps=300, seconds=0.1), str(uuid.uuid4()), "x", previews=False) for _ in range(others)]
    ctx = Context(Store(tmp_path), addresses={"comfyui": URL})
    cfg = settings(server, new(steps=100, seconds=0.1), "3")
    threading.Timer(1.0, interrupt.remember).start()
    started = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(cfg, {}, ctx)
        assert time.monotonic() - started < 8
        time.sleep(1)
        assert [one.prompt for each in server.queued() for one in each] == ahead
    finally:
        interrupt.forget()
        for one in ahead:
            server.cancel(one)


@pytest.mark.usefixtures("probe")
def test_a_killed_command_finds_its_graph_again(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from tasks.comfyui import follow

    def killed(*_: Any) -> Any:
        raise SystemExit

    ctx = Context(Store(tmp_path), addresses={"comfyui": URL})
    cfg = settings(server, new(steps=20, seconds=0.1), "3")
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(follow, "_followed", killed)
        run(cfg, {}, ctx)
    assert sum(map(len, server.queued())) == 1
    first = run(cfg, {}, ctx)
    assert ctx.facts["taken_over"] is True
    assert run(cfg, {}, ctx) == first


@pytest.mark.usefixtures("probe")
def test_a_node_that_fails_is_named(server: Server, tmp_path: Path):
    from reel.errors import UserError

    with pytest.raises(UserError, match=r"node 1 \(RotoscopeProbe\) failed: ValueError: the probe fails"):
        run(settings(server, new(fail=True), "3"), {}, Context(Store(tmp_path), addresses={"comfyui": URL}))


@pytest.mark.parametrize("name", ["pyramid_flow", "videocrafter"])
def test_the_workflows_fit_the_packs_where_they_are_installed(server: Server, name: str):
    known, found = definitions(server.object_info()), load(Path("data/workflows") / f"{name}.json")
    if any(node.kind not in known for node in found.nodes.values()):
        pytest.skip("the server does not have the pack")
    problems = [one.message for one in look(found, known, {("1", "image")}).problems]
    assert [one for one in problems if "model files on the server" not in one] == []
