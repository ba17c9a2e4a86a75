"""One POST to an OpenAI-compatible server, until it answers: what may pass is tried again, what it refuses is left out.

The key comes from the environment alone and goes into one header: never into a setting, a message, a log or a record.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from reel.config import Config
from reel.errors import UserError
from reel.masking import masked
from reel.op import Context
from tasks.write.settings import OpenaiCompatible

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

KEY, OPENAI_KEY = "WRITER_API_KEY", "OPENAI_API_KEY"
"""Environment variables: a key for whatever server is named; and one that goes to OpenAI's alone."""
CONNECT, ANSWER = 10.0, 600.0
"""Seconds that a server may take to be reached, and between two pieces of its answer."""
TRIES = 5
"""Requests that may fail in ways that pass, in a row."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before the second try, twice as many before each further one; and the most that a server can ask for."""
MOST_BYTES = 8 << 20
"""Of an answer."""
_PASSES = (408, 425, 429, 500, 502, 503, 504, 529)
_OPTIONAL = {
    "response_format": ("response_format", "json_schema", "structured output", "grammar", "schema"),
    "max_tokens": ("max_tokens",),
    "temperature": ("temperature",),
    "seed": ("seed",),
}
"""What some servers refuse, and what their errors call it."""


class Cut(Exception):
    """An answer that ended at the most tokens that it may have."""


@dataclass
class Server:
    """A server and what it was found to refuse.

    Attributes:
        url: up to and with /v1.
        refused: parts of the request that it does not take.
        requests: how many were sent.
        usage: tokens, as it counted them.
    """

    url: str
    refused: list[str] = field(default_factory=list)
    requests: int = 0
    usage: dict[str, int] = field(default_factory=dict)

    def answer(self, body_without: Callable[[Sequence[str]], Mapping[str, Any]], ctx: Context) -> str:
        """The text that a model answers with.

        Args:
            body_without: the request without what the server is known to refuse.

        Raises:
            Cut: it ended at ``max_tokens``.
            UserError: no answer can be had, or the model refuses.
        """
        while True:
            body = body_without(self.refused)
            response = self._posted(body)
            if response.status_code not in (400, 422):
                break
            named = self._named(response.text, body)
            if named is None:
                break
            log.warning("the server does not take %s: asked again without it", named)
            self.refused.append(named)
        ctx.note(requests=self.requests, left_out=list(self.refused))
        self._check(response)
        return self._text(response)

    def _named(self, told: str, body: Mapping[str, Any]) -> str | None:
        """The part of the request that an error is about."""
        low = told.lower()
        names = (name for name, words in _OPTIONAL.items() if any(word in low for word in words))
        return next((name for name in names if name in body), None)

    def _posted(self, body: Mapping[str, Any]) -> httpx.Response:
        """The server's response; one that may be another a moment later is waited for."""
        import httpx

        for number in range(1, TRIES + 1):
            self.requests += 1
            try:
                response = _post(f"{self.url}/chat/completions", body, _headers(self.url))
            except httpx.HTTPError as error:
                trouble, wait = _trouble(error), FIRST_WAIT * 2 ** (number - 1)
                if isinstance(error, httpx.UnsupportedProtocol | httpx.ReadTimeout):  # it was waited for long enough
                    number = TRIES
            else:
                if response.status_code not in _PASSES or "insufficient_quota" in response.text:
                    return response
                trouble = f"answers {response.status_code} ({_message(response)})"
                wait = _asked_wait(response) or FIRST_WAIT * 2 ** (number - 1)
            if number == TRIES or wait > LONGEST_WAIT:
                raise UserError(f"write: {self.url} {trouble}", fix=_unreachable_fix(self.url))
            log.warning("%s %s: asked again in %.0f s", self.url, trouble, wait)
            sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _check(self, response: httpx.Response) -> None:
        status, told = response.status_code, _message(response)
        if status == 200:
            return
        if status in (401, 403):
            name = OPENAI_KEY if _is_openai(self.url) else KEY
            has = "refuses the key" if "Authorization" in _headers(self.url) else "asks for a key"
            raise UserError(
                f"write: {self.url} {has} ({status}: {told})",
                fix=f"export {name}=...; it is read from the environment alone",
            )
        if status == 404:
            raise UserError(
                f"write: {self.url} knows no such model or address ({told})",
                fix="write.openai_compatible.model and .url, which ends in /v1 on most servers",
            )
        if status == 429:
            raise UserError(f"write: {self.url}: nothing is left of what your account may use ({told})")
        if 300 <= status < 400:
            raise UserError(f"write: {self.url} sends elsewhere, which is not followed: name the address itself")
        raise UserError(f"write: {self.url} refuses the request ({status}: {told})")

    def _text(self, response: httpx.Response) -> str:
        """What was written, out of a response.

        Raises:
            Cut, UserError: see `answer`.
        """
        try:
            data = response.json()
            choice = data["choices"][0]
            message, reason = choice["message"], choice.get("finish_reason")
            content, refusal = message.get("content"), message.get("refusal")
            usage = data.get("usage") or {}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise UserError(
                f"write: {self.url} does not answer as OpenAI-compatible servers do: {masked(response.text[:120])!r}",
                fix="write.openai_compatible.url, which ends in /v1 on most servers",
            ) from None
        for name in ("prompt_tokens", "completion_tokens"):
            if isinstance(usage.get(name), int):
                self.usage[name] = self.usage.get(name, 0) + usage[name]
        if refusal or reason == "content_filter":
            raise UserError(
                f"write: the model refuses the story: {str(refusal or 'its content filter')[:300]}",
                fix="another story, another model, or write the storyboard yourself: shots=story.yaml",
            )
        if reason == "length":
            raise Cut
        if isinstance(content, list):  # parts, as some servers answer
            content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        return content if isinstance(content, str) else ""


def _post(url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> httpx.Response:
    """One POST, of whose answer no more than `MOST_BYTES` are read; redirections are not followed: they get no key."""
    import httpx

    timeout = httpx.Timeout(ANSWER, connect=CONNECT)
    with httpx.stream("POST", url, json=dict(body), headers=dict(headers), timeout=timeout) as response:
        data = bytearray()
        for piece in response.iter_bytes():
            data += piece
            if len(data) > MOST_BYTES:
                raise UserError(f"write: {url} answers with more than {MOST_BYTES >> 20} MiB")
        kept = {name: value for name, value in response.headers.items() if name in ("retry-after", "content-type")}
        return httpx.Response(response.status_code, headers=kept, content=bytes(data), request=response.request)


def check_key(settings: Config) -> None:
    """What a writer's server asks for first can be told before anything is begun.

    Raises:
        UserError: as `_headers`.
    """
    if isinstance(settings, OpenaiCompatible):
        _headers(settings.url)


def _headers(url: str) -> dict[str, str]:
    """The key's header, where there is a key for this server.

    Raises:
        UserError: a server that needs one, or a key that no header can hold.
    """
    key = (os.environ.get(KEY) or (os.environ.get(OPENAI_KEY, "") if _is_openai(url) else "")).strip()
    if not key and _is_openai(url):
        raise UserError(f"write: {url} needs a key, and there is none", fix=f"export {OPENAI_KEY}=...")
    if key and not (key.isascii() and key.isprintable()):
        raise UserError(f"write: the key in the environment ({KEY}) holds characters that no key has")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _is_openai(url: str) -> bool:
    return (urlsplit(url).hostname or "").endswith("api.openai.com") and url.startswith("https:")


def _message(response: httpx.Response) -> str:
    """What a server says of an error, in one line."""
    try:
        found = response.json()["error"]
        text = found.get("message") if isinstance(found, dict) else found
    except (ValueError, LookupError, TypeError, RecursionError):
        text = response.text
    return masked(" ".join(str(text).split())[:300]) or "no message"


def _trouble(error: httpx.HTTPError) -> str:
    import httpx

    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return f"cannot be reached ({masked(str(error)) or 'timed out'})"
    if isinstance(error, httpx.TimeoutException):
        return f"timed out: no answer for {ANSWER:g} s"
    return f"breaks the connection off ({masked(str(error)) or type(error).__name__})"


def _asked_wait(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait; dates are not read."""
    text = response.headers.get("retry-after", "")
    return float(text) if re.fullmatch(r"\d{1,6}(\.\d+)?", text) else None


def _unreachable_fix(url: str) -> str:
    local = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    start = "start it (llama-server, ollama serve, vllm serve), or " if local else ""
    return f"{start}write=template, which needs no server; or shots=story.yaml, a storyboard of your own"
