"""ComfyUI's HTTP interface: one request each, with limits; redirections lead nowhere and answers are met in words.

Written against ComfyUI 0.8.0 and held to what that server answers (`tests/comfyui/`).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reel.errors import UserError
from reel.masking import masked
from tasks.comfyui.address import PASSWORD, TOKEN, Address

if TYPE_CHECKING:
    import httpx

CONNECT, ANSWER = 5.0, 60.0
"""Seconds that a server may take to be reached, and between two pieces of an answer."""
MOST_JSON = 128 << 20
"""Bytes of an answer in JSON; a server with many packs says of its nodes some 5 MB."""
MOST_FILE = 8 << 30
"""Bytes of a fetched file."""
RECENT = 64
"""Graphs of the history that are looked through for one whose id is not known."""
SUBFOLDER = "rotoscope"
"""Of the server's input folder, where uploads lie, by their content."""


class Unreachable(UserError):
    """The server does not answer, or breaks off; another moment it may."""


class Gone(UserError):
    """The server does not have a file any more that it said it made."""


@dataclass(frozen=True)
class Fetched:
    """A file that a node made: its name, subfolder and folder (``output``, ``temp``), as the server calls them."""

    name: str
    subfolder: str
    folder: str


@dataclass(frozen=True)
class Item:
    """A graph in the queue: its number, by which it is ordered, its id, and who queued it."""

    number: float
    prompt: str
    client: str


class Server:
    """A ComfyUI server."""

    def __init__(self, address: Address) -> None:
        self.address = address

    @functools.cached_property
    def _client(self) -> httpx.Client:
        """Without proxies and redirections: a request reaches the server that is named, or nobody."""
        import httpx

        timeout = httpx.Timeout(ANSWER, connect=CONNECT)
        return httpx.Client(headers=self.address.headers, timeout=timeout, trust_env=False, follow_redirects=False)

    # What it says of itself

    def system(self) -> dict[str, Any]:
        found = self._json("GET", "/system_stats")
        if not isinstance(found, dict) or not isinstance(found.get("system"), dict):
            raise UserError(
                f"server: {self.address.base} does not answer as ComfyUI does: /system_stats has no system",
                fix="server=http://127.0.0.1:8188, where ComfyUI runs",
            )
        return found

    def object_info(self) -> Any:
        return self._json("GET", "/object_info")

    # What is done and to do

    def queue(self, graph: Mapping[str, Any], prompt: str, client: str, *, previews: bool) -> str:
        """Queue a graph.

        Args:
            prompt: id that the server is asked to give it; older servers give their own.
            client: id under which it sends messages about it.

        Returns:
            the id that it has.

        Raises:
            Unreachable: no answer came: it may be queued or not.
            UserError: the server refuses it, all or a part.
        """
        extra = {"preview_method": "auto"} if previews else {}
        body = {"prompt": graph, "prompt_id": prompt, "client_id": client, "extra_data": extra}
        response = self._response("POST", "/prompt", json=body)
        answer = self._parsed(response, "/prompt")
        given = answer.get("prompt_id") if isinstance(answer, dict) else None
        errors = answer.get("node_errors") if isinstance(answer, dict) else None
        if response.status_code == 200 and isinstance(given, str) and not errors:
            return given
        if response.status_code == 200 and isinstance(given, str):  # the rest would run
            self.cancel(given)
        raise UserError(f"server: {self.address.base} refuses the graph: {refusal(answer, response.status_code)}")

    def history(self, prompt: str) -> dict[str, Any] | None:
        """How a graph ended; None: it has not, or is not known."""
        found = self._json("GET", f"/history/{prompt}")
        entry = found.get(prompt) if isinstance(found, dict) else None
        return entry if isinstance(entry, dict) else None

    def place(self, prompt: str) -> int | None:
        """How many graphs are before one in the queue; 0: it runs; None: it is not there."""
        running, waiting = ([one.prompt for one in each] for each in self.queued())
        if prompt in running:
            return 0
        return len(running) + waiting.index(prompt) if prompt in waiting else None

    def find(self, client: str) -> str | None:
        """The id of the graph that a client queued, whoever chose it; None: it is in the queue and the history not."""
        running, waiting = self.queued()  # first: a graph goes from here into the history, and never back
        recent = self._json("GET", f"/history?max_items={RECENT}")
        entries = recent.values() if isinstance(recent, dict) else ()
        done = _items([one.get("prompt") for one in entries if isinstance(one, dict)])
        return next((one.prompt for one in (*running, *waiting, *done) if one.client == client), None)

    def queued(self) -> tuple[list[Item], list[Item]]:
        """What runs and what waits, in order."""
        found = self._json("GET", "/queue")
        lists = [found.get(name) if isinstance(found, dict) else None for name in ("queue_running", "queue_pending")]
        running, waiting = (sorted(_items(one), key=lambda item: item.number) for one in lists)
        return running, waiting

    def cancel(self, prompt: str) -> None:
        """Take a graph out of the queue, or interrupt it; never another's, which older servers would."""
        self._response("POST", "/queue", json={"delete": [prompt]})
        if prompt in [one.prompt for one in self.queued()[0]]:
            self._response("POST", "/interrupt", json={"prompt_id": prompt})

    # Files

    def upload(self, path: Path, name: str) -> str:
        """Send a file to the server's input folder.

        Returns:
            the name by which a graph's inputs know it.

        Raises:
            UserError: the server refuses it, for its size most likely.
        """
        with path.open("rb") as file:
            fields = {"type": "input", "subfolder": SUBFOLDER, "overwrite": "true"}
            response = self._response("POST", "/upload/image", data=fields, files={"image": (name, file)})
        if response.status_code == 413:
            raise UserError(
                f"files: {path.name} is larger than what {self.address.base} takes",
                fix="start ComfyUI with --max-upload-size <MiB>, or give a smaller file",
            )
        answer = self._parsed(response, "/upload/image")
        if response.status_code != 200 or not isinstance(answer, dict) or answer.get("name") != name:
            raise UserError(f"files: {self.address.base} does not take {path.name} ({response.status_code})")
        return uploaded_name(name)

    def fetch(self, one: Fetched, target: Path) -> None:
        """Write a file that the server made.

        Raises:
            Gone: the server has it no more.
            UserError: it is too large.
        """
        import httpx

        path = self.address.http("/view", filename=one.name, subfolder=one.subfolder, type=one.folder)
        try:
            with self._client.stream("GET", path) as response, target.open("wb") as file:
                if response.status_code == 404:
                    raise Gone(
                        f"server: {self.address.base} does not have {one.name} any more, which it made",
                        fix="restart ComfyUI, whose memory of it is all that is left, and run this again",
                    )
                self._refuse(response, "/view")
                size = 0
                for piece in response.iter_bytes(1 << 20):
                    size += len(piece)
                    if size > MOST_FILE:
                        raise UserError(f"server: {one.name} has more than {MOST_FILE >> 20} MiB, and is not fetched")
                    file.write(piece)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from None

    # How it is asked

    def _json(self, method: str, path: str) -> Any:
        response = self._response(method, path)
        self._refuse(response, path)
        return self._parsed(response, path)

    def _response(self, method: str, path: str, **given: Any) -> httpx.Response:
        """A response, of which no more than `MOST_JSON` is read.

        Raises:
            Unreachable: none came.
        """
        import httpx

        try:
            with self._client.stream(method, self.address.http(path), **given) as response:
                data = bytearray()
                for piece in response.iter_bytes():
                    data += piece
                    if len(data) > MOST_JSON:
                        raise UserError(
                            f"server: {self.address.base}{path} answers with more than {MOST_JSON >> 20} MiB"
                        )
                if response.status_code in (401, 403, 407):
                    self._refuse(response, path)
                return httpx.Response(response.status_code, content=bytes(data), request=response.request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from None

    def _refuse(self, response: httpx.Response, path: str) -> None:
        """Raises: UserError for a status that is no answer."""
        status = response.status_code
        if status == 200:
            return
        if status in (401, 403):
            raise UserError(
                f"server: {self.address.base} asks who you are ({status})",
                fix=f"http://user@host with {PASSWORD} in the environment, or {TOKEN}",
            )
        if 300 <= status < 400:
            raise UserError(
                f"server: {self.address.base} sends elsewhere, which is not followed", fix="name that address itself"
            )
        kind = Unreachable if status in (502, 503, 504) else UserError
        raise kind(
            f"server: {self.address.base}{path} answers {status}",
            fix="server=http://127.0.0.1:8188, where ComfyUI runs" if status == 404 else "see the server's own log",
        )

    def _parsed(self, response: httpx.Response, path: str) -> Any:
        try:
            return json.loads(response.content)
        except (ValueError, RecursionError):
            raise UserError(
                f"server: {self.address.base} does not answer as ComfyUI does: {path} gives no JSON "
                f"({response.status_code})",
                fix="see the server's own log"
                if response.status_code >= 500
                else "server=http://127.0.0.1:8188, where ComfyUI runs",
            ) from None

    def _unreachable(self, error: Exception) -> Unreachable:
        import httpx

        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return Unreachable(
                f"server: {self.address.base} cannot be reached ({masked(str(error)) or 'timed out'})",
                fix="start ComfyUI (python main.py), or name where it runs: server=http://127.0.0.1:8188",
            )
        why = "no answer in time" if isinstance(error, httpx.TimeoutException) else masked(str(error)) or "no reason"
        return Unreachable(f"server: {self.address.base} broke off ({why})", fix="see the server's own log")


def uploaded_name(name: str) -> str:
    return f"{SUBFOLDER}/{name}"


def _items(found: Any) -> list[Item]:
    """The items of a queue, as far as they have the form: number, id, graph, what came beside it."""
    items = [one for one in found if isinstance(one, list) and len(one) > 3] if isinstance(found, list) else []
    return [
        Item(number, prompt, str(extra.get("client_id", "")) if isinstance(extra, dict) else "")
        for number, prompt, _, extra, *_ in items
        if isinstance(number, int | float) and isinstance(prompt, str)
    ]


def refusal(answer: Any, status: int) -> str:
    """What a server says of a graph that it does not take, in lines."""
    answer = answer if isinstance(answer, dict) else {}
    error, nodes = answer.get("error"), answer.get("node_errors")
    said = [" ".join(str(error.get(name) or "") for name in ("message", "details")) if isinstance(error, dict) else ""]
    for id, one in nodes.items() if isinstance(nodes, dict) else ():
        found: Sequence[Any] = one.get("errors", []) if isinstance(one, dict) else []
        kind = one.get("class_type", "") if isinstance(one, dict) else ""
        said += [f"node {id} ({kind}): {each.get('message', '')}: {each.get('details', '')}" for each in found
                 if isinstance(each, dict)]  # fmt: skip
    lines = [" ".join(line.split())[:400] for line in said]
    return masked("\n  ".join(line for line in lines[:10] if line)) or str(status)
