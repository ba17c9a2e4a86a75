"""A server on loopback that speaks ComfyUI's protocol as `recorded.json` has it, and remembers what it was asked.

What it answers and sends was recorded from a real ComfyUI (`record.py`); when it breaks off, forgets or refuses, a test
says. Graphs are not run: one whose probe is to fail fails as the real one did, any other gives the recorded pictures.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded.json").read_text("utf-8"))


@dataclass
class Scripted:
    """A ComfyUI, and what goes wrong with it.

    Attributes:
        pace: seconds between two messages.
        settle: seconds from a graph's last message to its entry in the history.
        lose_answers: so many times a graph is queued and the connection closed without an answer.
        drop_after: message of each run after which the websocket is closed once; None: never.
        refuse: so many requests are answered with 503.
        ends: how graphs end: a part of the recording; empty: as the graph says.
        own_ids: the ids that it is asked for are not heeded, as by older servers.
        waiting: graphs of others in the queue.
        answers: what a path answers instead, as (status, text, headers).
        prompts: ids that were queued, in order; ``cancelled``: deleted or interrupted.
        uploads: bytes by name.
    """

    url: str = ""
    pace: float = 0.0
    settle: float = 0.05
    lose_answers: int = 0
    drop_after: int | None = None
    refuse: int = 0
    ends: str = ""
    own_ids: bool = False
    waiting: int = 0
    answers: dict[str, tuple[int, str, dict[str, str]]] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(RECORDED["object_info"]))
    system: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(RECORDED["system_stats"]))
    files: dict[str, bytes] = field(
        default_factory=lambda: {name: base64.b64decode(one) for name, one in RECORDED["files"].items()}
    )
    prompts: list[str] = field(default_factory=list)
    graphs: list[dict[str, Any]] = field(default_factory=list)
    extra: list[dict[str, Any]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    connections: int = 0
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    running: str = ""
    client: str = ""
    history: dict[str, Any] = field(default_factory=dict)
    sockets: dict[str, web.WebSocketResponse] = field(default_factory=dict)

    def forget(self) -> None:
        """Be restarted: the queue and the history are empty."""
        self.running = ""
        self.history.clear()


def filled(found: Any, prompt: str, client: str) -> Any:
    """A part of the recording with a prompt's ids."""
    return json.loads(json.dumps(found).replace("$prompt", prompt).replace("$client", client))


class _Server:
    def __init__(self, script: Scripted) -> None:
        self.script = script
        self.tasks: set[asyncio.Task[None]] = set()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.gate], client_max_size=1 << 20)
        app.add_routes(
            [
                web.get("/ws", self.socket),
                web.get("/system_stats", lambda _: self.json(self.script.system)),
                web.get("/object_info", lambda _: self.json(self.script.info)),
                web.post("/prompt", self.prompt),
                web.get("/queue", self.queue),
                web.post("/queue", self.delete),
                web.post("/interrupt", self.interrupt),
                web.get("/history", lambda _: self.json(self.script.history)),
                web.get("/history/{prompt}", self.ended),
                web.post("/upload/image", self.upload),
                web.get("/view", self.view),
            ]
        )
        return app

    @staticmethod
    async def json(found: Any) -> web.Response:
        return web.json_response(found)

    @web.middleware
    async def gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        script = self.script
        script.paths.append(f"{request.method} {request.path}")
        script.headers.append(dict(request.headers))
        if script.refuse > 0:
            script.refuse -= 1
            return web.Response(status=503)
        if request.path in script.answers:
            status, text, headers = script.answers[request.path]
            return web.Response(status=status, text=text, headers=headers)
        found: web.StreamResponse = await handler(request)
        return found

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.script.connections += 1
        self.script.sockets[request.query["clientId"]] = socket
        async for message in socket:
            if message.type == WSMsgType.TEXT and json.loads(message.data)["type"] == "feature_flags":
                await socket.send_json(RECORDED["made"]["messages"][1])
        return socket

    async def prompt(self, request: web.Request) -> web.StreamResponse:
        body, script = await request.json(), self.script
        unknown = [one["class_type"] for one in body["prompt"].values() if one["class_type"] not in script.info]
        if unknown:
            return web.json_response(RECORDED["refused_class"]["answer"], status=400)
        prompt, client = body["prompt_id"], body["client_id"]
        if script.own_ids:
            prompt = f"{len(script.prompts)}-of-its-own"
        script.client = client
        script.prompts.append(prompt)
        script.graphs.append(body["prompt"])
        script.extra.append(body["extra_data"])
        script.running = prompt
        self.spawn(self.run(prompt, client, body["prompt"]))
        if script.lose_answers > 0:
            script.lose_answers -= 1
            assert request.transport is not None
            request.transport.close()
        return web.json_response(filled(RECORDED["made"]["answer"], prompt, client))

    def spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def run(self, prompt: str, client: str, graph: dict[str, Any]) -> None:
        script = self.script
        while script.waiting > 0:
            await asyncio.sleep(0.02)
        fails = any(one["inputs"].get("fail") is True for one in graph.values())
        part = RECORDED[script.ends or ("failed" if fails else "made")]
        for number, message in enumerate(part["messages"]):
            if script.running != prompt:  # restarted
                return
            if prompt in script.cancelled:
                part = RECORDED["interrupted"]
                await self.send(client, filled(part["messages"][-1], prompt, client))
                break
            await self.send(client, filled(message, prompt, client))
            if number == script.drop_after:
                script.drop_after = None
                socket = script.sockets.pop(client, None)
                if socket is not None:
                    await socket.close(code=WSCloseCode.GOING_AWAY)
            await asyncio.sleep(script.pace)
        await asyncio.sleep(script.settle)
        if script.running == prompt:
            script.running = ""
            script.history[prompt] = filled(part["history"], prompt, client)[prompt]

    async def send(self, client: str, message: dict[str, Any]) -> None:
        socket = self.script.sockets.get(client)
        if socket is None or socket.closed:
            return
        if message["type"] == "preview":
            facts = json.dumps(message["facts"]).encode()
            head = struct.pack(">II", message["event"], len(facts))
            await socket.send_bytes(head + facts + base64.b64decode(message["picture"]))
        else:
            await socket.send_json(message)

    async def queue(self, request: web.Request) -> web.Response:
        others = [[number, f"other-{number}", {}, {}, []] for number in range(self.script.waiting)]
        extra = {"client_id": self.script.client}
        own = [[99, self.script.running, {}, extra, []]] if self.script.running else []
        items = others + own
        return web.json_response({"queue_running": items[:1], "queue_pending": items[1:]})

    async def delete(self, request: web.Request) -> web.Response:
        gone = (await request.json())["delete"]
        if self.script.waiting:
            self.script.cancelled += gone
            self.script.running = ""
        return web.Response()

    async def interrupt(self, request: web.Request) -> web.Response:
        self.script.cancelled.append((await request.json())["prompt_id"])
        return web.Response()

    async def ended(self, request: web.Request) -> web.Response:
        prompt = request.match_info["prompt"]
        return web.json_response({prompt: self.script.history[prompt]} if prompt in self.script.history else {})

    async def upload(self, request: web.Request) -> web.Response:
        fields = await request.post()
        image = fields["image"]
        assert isinstance(image, web.FileField)
        self.script.uploads[f"{fields['subfolder']}/{image.filename}"] = image.file.read()
        answer = {"name": image.filename, "subfolder": fields["subfolder"], "type": fields["type"]}
        return web.json_response(answer)

    async def view(self, request: web.Request) -> web.Response:
        data = self.script.files.get(request.query["filename"])
        return web.Response(status=404) if data is None else web.Response(body=data)


@contextmanager
def serving(script: Scripted | None = None) -> Iterator[Scripted]:
    """The server on a free port of loopback, in a thread."""
    script = script or Scripted()
    loop, ready = asyncio.new_event_loop(), threading.Event()
    runner = web.AppRunner(_Server(script).app(), access_log=None, shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        script.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()

    def work() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(start())
        loop.run_forever()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield script
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
