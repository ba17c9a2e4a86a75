"""Settings of the writers, and what all of them share."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from reel.config import Config, Field, Finite, Text
from reel.store import Store
from reel.story.file import StoryFile, of_text, text_of
from reel.story.model import MOST_SHOTS, Storyboard, Words


class Asked(Config):
    """What every writer is asked for; the flow fills it in."""

    story: Words
    shots: int = Field(ge=1, le=MOST_SHOTS)
    """How many it has to write: no more and no fewer."""
    style: Text = ""
    """How the pictures look; empty: the writer's choice."""


class Template(Asked):
    """The writer without a model."""


def _server(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be the address of a server, such as http://127.0.0.1:8080/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "must hold no user, password or query: a key belongs into the environment variable WRITER_API_KEY"
        )
    return url.rstrip("/")


class OpenaiCompatible(Asked):
    """A language model behind the interface that OpenAI's, llama.cpp's, Ollama's and vLLM's servers share."""

    url: Annotated[str, AfterValidator(_server)]
    """Up to and with /v1."""
    model: Text = Field(min_length=1)
    """As the server calls it."""
    temperature: Finite = Field(default=0.7, ge=0, le=2)
    """0: always the likeliest word."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """For servers that keep to one; another seed is another storyboard."""
    max_tokens: int = Field(default=4096, ge=64, le=131_072)
    """Of an answer; one that is cut off is asked for once more with twice as many."""
    attempts: int = Field(default=3, ge=1, le=10)
    """How often it may answer before its answer is given up; each time it is told what was wrong."""


def put(store: Store, board: Storyboard) -> str:
    """Keep a storyboard as the file that it is; returns its digest."""
    with store.draft("storyboard") as draft:
        draft.add("story.yaml", text_of(board).encode())
        return draft.commit(title=board.title, shots=len(board.shots))


def take(store: Store, digest: str) -> StoryFile:
    """The inverse of `put`."""
    return of_text(store.get(digest).read("story.yaml").decode(), "story.yaml")
