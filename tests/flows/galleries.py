"""A store with renders of every kind, and its gallery served on a free port."""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.synthetic_renders import START, grid, settings
from flows.gallery.server import Gallery
from reel.history.record import RenderRecord, save
from reel.live import Live
from reel.store import Store
from tasks.media import webp

HOSTILE = "</script><img src=x onerror='window.hacked=1'>{{SCRIPT}} \u2028 \u202eright to left\u202c 👩‍🎤"
FAILED, RUNNING = "20260103-000000-00000a", "20260103-000001-00000b"
SEARCH, TRIAL = "20260101-000000-00000c", "20260101-000001-00000d"


def fill(store: Store, folder: Path) -> list[RenderRecord]:
    """Nine renders of two weights, one with words that would like to be markup; one that failed; one that goes on; and
    a search's trial, which the page lays aside."""
    made = grid(store, 3, size=(48, 64), count=8, prompts=["a girl in a red top", "a boy", HOSTILE])
    common: dict[str, Any] = {"flow": "dance", "started": START + timedelta(days=1), "config": settings(0.5, 0.1)}
    reason = f"no room left while writing {folder}/deep/movie.mp4"
    save(store, RenderRecord(run=FAILED, status="failed", reason=reason, ended=common["started"], **common))
    trial = {**common, "flow": "trial", "parent": SEARCH, "title": "trial 3 quick", "ended": common["started"]}
    save(store, RenderRecord(run=TRIAL, status="failed", reason="out of memory", **trial))
    save(store, RenderRecord(run=RUNNING, status="running", output=str(folder / "out"), **common))
    live = Live(store, RUNNING, folder / "out", every=1)
    live.expect(60.0)
    live.step("denoise", "step", 4, 16, 30.0)
    frame = np.full((24, 24, 3), 90, np.uint8)
    live.picture(lambda path: webp.write(path, (24, 24), [frame, frame], [100, 100]))
    return made


@contextlib.contextmanager
def served(store: Store) -> Iterator[Gallery]:
    """The gallery of a store; it has the record of the render that goes on held open, as a living render has."""
    with store.lock(f"run-{RUNNING}"), Gallery(store, 0) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()


def ask(url: str, body: Any = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of an answer to a program, which no browser keeps from anything."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)
