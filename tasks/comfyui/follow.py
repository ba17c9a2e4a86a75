"""A graph from the queue to its end: queued once, whatever happens to the connection, and cancelled when one stops.

A graph's id follows from what it is made of and the store that it is made for, so that a command that was killed finds
it again on the server, waiting, running or done. A try that failed or was interrupted leaves its id behind; the next
one has another.
"""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reel import interrupt
from reel.comfy.graph import Graph
from reel.errors import UserError
from reel.files import sha256_bytes
from reel.masking import masked
from reel.op import Context
from tasks.comfyui.messages import Message, Messages
from tasks.comfyui.server import Server, Unreachable
from tasks.comfyui.shown import Shown

log = logging.getLogger(__name__)

LOOK = 2.0
"""Seconds without a message after which the server is asked."""
LOST = 180.0
"""Seconds without an answer after which the server is given up."""
SETTLING = 10.0
"""Seconds that a graph may be neither in the queue nor in the history: it is moved from one to the other."""
MOST_TRIES = 1000
_ENDS = ("execution_success", "execution_error", "execution_interrupted")


@dataclass(frozen=True)
class Ended:
    """How a graph ended: what its nodes saved, by node; ``found``: an earlier command had it made."""

    prompt: str
    outputs: Mapping[str, Any]
    found: bool


def run(server: Server, graph: Graph, ticket: str, ctx: Context) -> Ended:
    """Have a graph made, and wait for it.

    Args:
        ticket: what it is made of and for, as a text.

    Raises:
        UserError: the server refuses it, it fails, or the server is lost.
        KeyboardInterrupt: one wished to stop; the graph is cancelled.
    """
    prompt, entry, queued = _free(server, ticket)
    if entry is not None:
        return Ended(prompt, _outputs(entry, graph), found=True)
    client = uuid.uuid5(uuid.NAMESPACE_OID, prompt).hex  # the same after a kill, so that messages go on
    try:
        with Messages(server.address, client) as messages, Shown(graph.nodes, ctx) as shown:
            if queued:
                log.warning("an earlier command left this graph on the server; it is taken over")
            else:
                prompt = _queue(server, graph, prompt, client, ctx)
            entry = _followed(server, prompt, messages, shown)
            ctx.note(connections_lost=messages.lost)
    except KeyboardInterrupt:
        with contextlib.suppress(UserError):
            server.cancel(prompt)
        raise
    return Ended(prompt, _outputs(entry, graph), found=queued)


def _free(server: Server, ticket: str) -> tuple[str, dict[str, Any] | None, bool]:
    """The id of the first try that did not fail: how it ended well, None if it has not ended; whether it is queued."""
    for number in range(MOST_TRIES):
        prompt = str(uuid.UUID(bytes=bytes.fromhex(sha256_bytes(f"{ticket} {number}".encode()))[:16], version=4))
        queued = server.place(prompt) is not None  # first: a graph goes from the queue into the history
        entry = server.history(prompt)
        if entry is None:
            return prompt, None, queued
        if _failure(entry) is None:
            return prompt, entry, False
    raise UserError(f"server: {MOST_TRIES} tries of this graph failed on {server.address.base}")


def _queue(server: Server, graph: Graph, prompt: str, client: str, ctx: Context) -> str:
    """Queue a graph; where no answer comes, look whether it is there before it is sent again."""
    previews = ctx.live is not None and ctx.live.every > 0
    given_up = time.monotonic() + LOST
    while True:
        interrupt.check()
        try:
            return server.queue(graph.plain, prompt, client, previews=previews)
        except Unreachable as error:
            trouble = error
        while True:
            interrupt.check()
            time.sleep(LOOK / 4)
            try:
                if (found := server.find(client)) is not None:
                    return found
                break
            except Unreachable as error:
                if time.monotonic() > given_up:
                    raise error from trouble
        if time.monotonic() > given_up:
            raise trouble


def _followed(server: Server, prompt: str, messages: Messages, shown: Shown) -> dict[str, Any]:
    """What the history says of a graph when it has ended."""
    answered = there = time.monotonic()
    ended, next_look = False, 0.0
    while True:
        interrupt.check()
        message = messages.next(0.1 if ended else LOOK)
        if message is not None and _is_about(message, prompt):
            shown.tell(message)
            ended = ended or message.kind in _ENDS
        now = time.monotonic()
        if message is not None:
            answered = there = now
        if (message is not None and not ended) or now < next_look:
            continue
        next_look = now + (0.0 if ended else LOOK / 2)
        try:
            if (entry := server.history(prompt)) is not None:
                return entry
            place = server.place(prompt)
        except Unreachable as error:
            if now - answered > LOST:
                raise UserError(
                    f"{error.message}: no answer for {LOST:.0f} s",
                    fix="when it is back, the same command goes on: what the server has queued is found again",
                ) from None
            continue
        answered = now
        there = now if place is not None else there
        shown.waits(place)
        if now - there > SETTLING:
            raise UserError(
                f"server: {server.address.base} has lost the graph: it was restarted, or its queue was cleared",
                fix="run the same command again",
            )


def _is_about(message: Message, prompt: str) -> bool:
    """Whether a message is about a graph; pictures of older servers do not say, and go to who queued it."""
    return message.data.get("prompt_id", prompt if message.kind == "preview" else None) == prompt


def _failure(entry: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """How a graph of the history failed: the message's kind, and what it says; None: it ended well."""
    status = entry.get("status")
    status = status if isinstance(status, dict) else {}
    said = [one for one in status.get("messages") or () if isinstance(one, list) and len(one) == 2]
    for kind, data in said:
        if kind in _ENDS[1:] and isinstance(data, dict):
            return kind, data
    return None if status.get("status_str", "success") == "success" else ("execution_error", {})


def _outputs(entry: Mapping[str, Any], graph: Graph) -> Mapping[str, Any]:
    """What the nodes saved.

    Raises:
        UserError: the graph failed; the message names the node.
    """
    if (failure := _failure(entry)) is None:
        found = entry.get("outputs")
        return found if isinstance(found, dict) else {}
    kind, data = failure
    id = str(data.get("node_id", ""))
    name = graph.nodes[id].name if id in graph.nodes else f"{id or '?'} ({data.get('node_type', '')})"
    if kind == "execution_interrupted":
        raise UserError(f"workflow: the graph was interrupted on the server, at node {name}", fix="run it again")
    told = masked(" ".join(str(data.get("exception_message", "no message")).split())[:1000])
    what = str(data.get("exception_type", "error")).rpartition(".")[2]
    memory = "OutOfMemory" in what or "out of memory" in told.lower()
    raise UserError(
        f"workflow: node {name} failed: {what}: {told}",
        fix="fewer frames or a smaller size; or start ComfyUI with --lowvram" if memory else "see the server's own log",
    )
