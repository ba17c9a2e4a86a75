"""ComfyUI's websocket: messages about a graph while it waits and runs. A lost connection is made anew by itself.

Texts are ``{"type": ..., "data": ...}``. Bytes are pictures: an event as a big-endian 32-bit number; 1: a format
(1 JPEG, 2 PNG) as another and the picture; 4: the length of a JSON text, that text, and the picture.
"""

from __future__ import annotations

import contextlib
import json
import logging
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.comfyui.address import Address

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

log = logging.getLogger(__name__)

MOST_BYTES = 64 << 20
"""Of one message."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 10.0
"""Seconds before a lost connection is made anew, twice as many after each failure."""
PICTURE, PICTURE_WITH_FACTS = 1, 4
"""Events of bytes."""


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        kind: ``executing``, ``progress``, ...; ``preview`` for a picture.
        data: what it says.
        picture: bytes of a JPEG or PNG.
    """

    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    picture: bytes = b""


def parsed(raw: str | bytes) -> Message | None:
    """A message; None: it is none that is known here."""
    try:
        if isinstance(raw, bytes):
            return _picture(raw)
        found = json.loads(raw)
    except (ValueError, RecursionError, struct.error):
        return None
    kind, data = (found.get("type"), found.get("data")) if isinstance(found, dict) else (None, None)
    return Message(kind, data) if isinstance(kind, str) and isinstance(data, dict) else None


def _picture(raw: bytes) -> Message | None:
    """Raises: ValueError, struct.error for bytes that are none."""
    event, number = struct.unpack_from(">II", raw)
    if event == PICTURE and number in (1, 2):
        return Message("preview", {}, raw[8:])
    if event == PICTURE_WITH_FACTS:
        facts = json.loads(raw[8 : 8 + number])
        return Message("preview", facts if isinstance(facts, dict) else {}, raw[8 + number :])
    return None


class Messages:
    """The messages that a server sends to a client; as a context manager.

    Attributes:
        lost: how often the connection was lost.
    """

    def __init__(self, address: Address, client: str) -> None:
        self.lost = 0
        self._address = address
        self._client = client
        self._socket: ClientConnection | None = None
        self._wait, self._not_before = FIRST_WAIT, 0.0

    def __enter__(self) -> Messages:
        self._connect()
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            with contextlib.suppress(Exception):
                self._socket.close()

    @property
    def connected(self) -> bool:
        return self._socket is not None

    def next(self, seconds: float) -> Message | None:
        """The next message; None: none came in time, none that is known here, or the connection is lost."""
        from websockets.exceptions import WebSocketException

        if self._socket is None:
            time.sleep(min(seconds, max(0.0, self._not_before - time.monotonic())))
            if time.monotonic() >= self._not_before:
                self._connect()
            return None
        try:
            return parsed(self._socket.recv(timeout=seconds))
        except TimeoutError:
            return None
        except (WebSocketException, OSError, EOFError) as error:
            log.info("connection to %s lost (%s), made anew", self._address.base, type(error).__name__)
            self.lost += 1
            self._socket = None
            self._later()
            return None

    def _connect(self) -> None:
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect

        try:
            self._socket = connect(
                self._address.websocket(self._client),
                additional_headers=self._address.headers,
                open_timeout=5.0,
                close_timeout=1.0,
                max_size=MOST_BYTES,
                proxy=None,
            )
            self._socket.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
        except (WebSocketException, OSError, EOFError, TimeoutError):
            self._socket = None
            self._later()
        else:
            self._wait = FIRST_WAIT

    def _later(self) -> None:
        self._not_before = time.monotonic() + self._wait
        self._wait = min(self._wait * 2, LONGEST_WAIT)
