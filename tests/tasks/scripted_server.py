"""An OpenAI-compatible server on loopback that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer: a status, a body (text, or data for JSON), headers; ``hang``: seconds before it."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang: float = 0


@dataclass
class Scripted:
    """Answers in order, the last one over and over.

    Attributes:
        requests: bodies that it got.
        headers: of each.
    """

    replies: list[Reply]
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def next(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def said(content: Any, reason: str = "stop", **message: Any) -> Reply:
    """A model's answer as a server wraps it."""
    text = content if isinstance(content, str | None) else json.dumps(content)
    choice = {"message": {"role": "assistant", "content": text, **message}, "finish_reason": reason}
    return Reply({"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 20}})


def refused(message: str, status: int = 400, **headers: str) -> Reply:
    return Reply(
        {"error": {"message": message}}, status, {name.replace("_", "-"): one for name, one in headers.items()}
    )


def story(shots: int = 2, **shot_has: Any) -> dict[str, Any]:
    """An answer that is a storyboard."""
    shot = {"prompt": "Mira on a pier", "motion": "she waves", "camera": "static", "caption": "Hello.", **shot_has}
    people = [{"name": "Mira", "words": "a girl with long hair"}]
    return {"title": "A", "style": "ink", "characters": people, "shots": [shot] * shots}


@contextmanager
def scripted(*replies: Reply) -> Iterator[Scripted]:
    script = Scripted(list(replies))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            script.requests.append({**json.loads(body), "path": self.path})
            script.headers.append(dict(self.headers))
            reply = script.next()
            time.sleep(reply.hang)
            data = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(data.encode()))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data.encode())

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *args: Any) -> None:  # a client that went away is what some tests are about
            pass

    server = Server(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
