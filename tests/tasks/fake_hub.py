"""A model hub on loopback that the real client talks to: repositories, commits, files, and ways to go wrong."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


@dataclass
class FakeHub:
    """Attributes:
    files: bytes by file name, of the one repository `owner/model`.
    commit: what `main` points to.
    fail_first: answer so many requests with 503 before behaving.
    status: answer everything with this status, if set.
    requests: paths asked for, in order.
    """

    files: dict[str, bytes]
    commit: str = "a" * 40
    fail_first: int = 0
    status: int | None = None
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        self.requests.append(path)
        if self.fail_first:
            self.fail_first -= 1
            return 503, b"try later", {}
        if self.status is not None:
            return self.status, b"{}", {"X-Error-Code": "GatedRepo"} if self.status == 403 else {}
        if path.startswith("/api/models/owner/model"):
            return 200, self._info(path), {"Content-Type": "application/json"}
        if path.startswith("/owner/model/resolve/"):
            name = path.split("/", 5)[5]
            if name in self.files:
                data = self.files[name]
                etag = hashlib.sha256(data).hexdigest()
                return 200, data, {"ETag": f'"{etag}"', "X-Repo-Commit": self.commit}
            return 404, b"", {"X-Error-Code": "EntryNotFound"}
        return 404, b"{}", {"X-Error-Code": "RepoNotFound"}

    def _info(self, path: str) -> bytes:
        if "/tree/" in path:
            entries = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in self.files.items()
            ]
            return json.dumps(entries).encode()
        siblings = [{"rfilename": name} for name in self.files]
        return json.dumps(
            {"id": "owner/model", "modelId": "owner/model", "sha": self.commit, "siblings": siblings}
        ).encode()


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve the hub; its `url` is set while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply(body=True)

        def do_HEAD(self) -> None:
            self._reply(body=False)

        def _reply(self, body: bool) -> None:
            status, data, headers = hub.answer(unquote(self.path.split("?")[0]))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
