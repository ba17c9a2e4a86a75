"""The gallery's server: its page, thumbnails and films to this machine's browser, stars and notes back.

It listens on loopback and answers requests by its own names alone, so a name that is made to lead here (DNS rebinding)
gets nothing. Pages of other origins cannot read what it answers, and cannot write: a write needs the token that stands
in the page, in a header that no other origin may send, as well as the page's own origin.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from flows.gallery.catalogue import Catalogue
from flows.gallery.page import ROLES, build
from reel.errors import UserError
from reel.history import marks
from reel.history.record import RenderRecord, locate
from reel.live import PREVIEW
from reel.store import Store
from tasks.gallery.thumbs import thumb

HOST = "127.0.0.1"
PORT = 4280
NAMES = (HOST, "localhost")
TOKEN = "X-Rotoscope-Token"  # a header's name, no secret
_MOST = 64 << 10
"""Bytes of a request's body."""
_TYPES = {".webp": "image/webp", ".mp4": "video/mp4", ".webm": "video/webm", ".mov": "video/quicktime",
          ".gif": "image/gif", ".apng": "image/apng", ".png": "image/png"}  # fmt: skip
_CHUNK = 1 << 18


class Gallery(ThreadingHTTPServer):
    """The server of one store's gallery; `serve_forever` runs it.

    Attributes:
        token: what a write must bring along.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, store: Store, port: int = PORT) -> None:
        self.catalogue = Catalogue(store)
        self.token = secrets.token_urlsafe(24)
        super().__init__((HOST, port), _Handler)

    @property
    def store(self) -> Store:
        return self.catalogue.store

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}/"

    @property
    def origins(self) -> set[str]:
        """The page's own, by each of its names."""
        return {f"http://{name}:{self.server_port}" for name in NAMES}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away while it is answered is no error."""
        with contextlib.suppress(ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Gallery
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "rotoscope", ""

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, *given: Any) -> None:
        pass

    def _answer(self, act: Callable[[str], None]) -> None:
        try:
            if self.headers.get("Host", "").lower() not in {urlsplit(one).netloc for one in self.server.origins}:
                self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "not a name of this server")
                return
            act(unquote(urlsplit(self.path).path))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except UserError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, error.message)

    def _get(self, path: str) -> None:
        catalogue = self.server.catalogue
        if path == "/":
            self._send(build(catalogue.data(), token=self.server.token), "text/html; charset=utf-8")
        elif path == "/data.json":
            self._json(catalogue.data())
        elif path == "/changes.json":
            catalogue.records()
            self._json({"version": catalogue.version(), "running": catalogue.running()})
        elif found := re.fullmatch(r"/(thumb|live|film|page|settings)/([\w-]+)(?:/(result|source))?(?:\.\w+)?", path):
            what, run, role = found.groups()
            self._of_render(what, run, role)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing of that name")

    def _of_render(self, what: str, run: str, role: str | None) -> None:
        record = self.server.catalogue.record(run)
        if record is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such render")
        elif what == "settings":
            self._send(_yaml(record), "text/plain; charset=utf-8")
        else:
            path = _path(self.server.store, record, what, role or "result")
            if what == "page" and path is not None:  # kept apart from this page's origin, and so from its token
                self._send(path.read_bytes(), "text/html; charset=utf-8", policy="sandbox allow-scripts")
            else:
                self._file(path, lasting=what == "thumb")

    def _post(self, path: str) -> None:
        """Stars and a note: nothing else is written."""
        length = self.headers.get("Content-Length", "")
        body = self.rfile.read(int(length)) if length.isdecimal() and int(length) <= _MOST else None
        own = self.headers.get("Origin") in self.server.origins
        token = self.headers.get(TOKEN, "")
        if body is None:
            self.close_connection = True
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too long, or of no known length")
        elif not own or not secrets.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(HTTPStatus.FORBIDDEN, "only the gallery's own page writes; load it again")
        elif (found := re.fullmatch(r"/marks/([\w-]+)", path)) is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing of that name")
        else:
            try:
                said = json.loads(body)
                given = marks.Marks(said["stars"], said["note"])
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"not stars and a note: {error}") from None
            marks.write(self.server.store, found[1], given)
            self._json({"stars": given.stars, "note": given.note})

    def _json(self, value: Any) -> None:
        self._send(json.dumps(value, allow_nan=False).encode(), "application/json")

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._send(why.encode(), "text/plain; charset=utf-8", status)

    def _send(self, data: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, policy: str = "") -> None:
        self._begin(status, kind, len(data), **({"Content-Security-Policy": policy} if policy else {}))
        self.wfile.write(data)

    def _file(self, path: Path | None, *, lasting: bool) -> None:
        """A file, or the part of it that a player asks for."""
        kind = _TYPES.get(path.suffix.lower()) if path else None
        if path is None or kind is None:
            self._refuse(HTTPStatus.NOT_FOUND, "no picture is left, or none that a browser shows")
            return
        with path.open("rb") as file:
            size = path.stat().st_size
            first, last = _range(self.headers.get("Range", ""), size)
            part = (first, last) != (0, size - 1)
            more = {"Content-Range": f"bytes {first}-{last}/{size}"} if part else {}
            kept = "private, max-age=31536000, immutable" if lasting else "no-store"
            status = HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK
            self._begin(status, kind, last - first + 1, kept, **more)
            file.seek(first)
            left = last - first + 1
            while left and (data := file.read(min(left, _CHUNK))):
                self.wfile.write(data)
                left -= len(data)

    def _begin(self, status: HTTPStatus, kind: str, length: int, kept: str = "no-store", **more: str) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(length),
            "Cache-Control": kept,
            "Accept-Ranges": "bytes",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            **more,
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _path(store: Store, record: RenderRecord, what: str, role: str) -> Path | None:
    """A file of a render: its thumbnail, its live picture, its film, the page of a comparison."""
    if what == "thumb":
        return thumb(store, record, ROLES[role])
    if what == "live":
        path = Path(record.output or "") / PREVIEW
        return path if record.output and path.is_file() else None
    wanted = "movie" if what == "film" else "page"
    item = next((output for output in record.outputs if output.role == wanted), None)
    return locate(store, record, item) if item else None


def _range(asked: str, size: int) -> tuple[int, int]:
    """First and last byte of what is asked for; all of it where nothing is, or nothing that fits."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked.strip())
    if found is None or not any(found.groups()) or not size:
        return 0, max(0, size - 1)
    first, last = (int(part) if part else None for part in found.groups())
    if first is None:
        first, last = max(0, size - (last or 0)), None
    last = min(size - 1, last if last is not None else size - 1)
    return (first, last) if first <= last else (0, size - 1)


def _yaml(record: RenderRecord) -> bytes:
    """A render's settings as a file of conf/experiment would have them."""
    import yaml

    settings = {name: value for name, value in record.config.items() if name not in ("paths", "tracking", "live")}
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=120).encode()
