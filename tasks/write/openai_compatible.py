"""The writer that asks a language model, behind OpenAI's server, or llama.cpp's, Ollama's, vLLM's or LM Studio's."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence

from reel.errors import UserError
from reel.op import Context, op
from reel.story.model import Storyboard
from reel.work import Work
from tasks.write import draft
from tasks.write.server import Cut, Server
from tasks.write.settings import OpenaiCompatible, put

log = logging.getLogger(__name__)


@op("write", "openai_compatible", version=1, config=OpenaiCompatible, inputs=(), gives="storyboard",
    work=lambda cfg, given, ctx: Work({"shots": cfg.shots}))  # fmt: skip
def openai_compatible(cfg: OpenaiCompatible, inputs: Mapping[str, str], ctx: Context) -> str:
    """A storyboard by a language model, as it was answered first; the same request is never sent again.

    Raises:
        UserError: the server cannot be reached, asks for a key, or the model does not answer with a storyboard.
    """
    return put(ctx.store, written(cfg, ctx))


def written(cfg: OpenaiCompatible, ctx: Context) -> Storyboard:
    """What the model writes; an answer that breaks the schema is sent back with what is wrong about it."""
    server = Server(cfg.url)
    tokens, wrong = cfg.max_tokens, ""
    more: list[dict[str, str]] = []
    for attempt in range(1, cfg.attempts + 1):
        try:
            answer = server.answer(functools.partial(_body, cfg, more, tokens), ctx)
        except Cut:
            wrong = f"the answer is cut off at {tokens} tokens"
            log.warning("write: %s; asked again with twice as many", wrong)
            tokens *= 2
            continue
        try:
            board = draft.storyboard(answer, cfg.shots, cfg.style)
        except UserError as error:
            wrong = error.message
            log.warning("write: answer %d of %d is no storyboard: %s", attempt, cfg.attempts, wrong.split("\n")[0])
            more = [
                {"role": "assistant", "content": answer[:20_000]},
                {"role": "user", "content": f"That does not fit: {wrong}\nAnswer with the whole JSON object again."},
            ]
        else:
            ctx.note(answers=attempt, model=cfg.model, **server.usage)
            return board
    raise UserError(
        f"write: {cfg.model} did not write a storyboard in {cfg.attempts} answers; the last one: {wrong}",
        fix="a larger model, write.openai_compatible.attempts or .max_tokens, or write=template",
    )


def _body(cfg: OpenaiCompatible, more: list[dict[str, str]], tokens: int, refused: Sequence[str]) -> dict[str, object]:
    """A request for JSON, without what the server refuses; the schema stands in the text where it is refused."""
    in_words = "response_format" in refused
    found: dict[str, object] = {
        "model": cfg.model,
        "messages": [*draft.messages(cfg.story, cfg.shots, cfg.style, schema_in_words=in_words), *more],
        "stream": False,
        "temperature": cfg.temperature,
        "seed": cfg.seed,
        "max_tokens": tokens,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "storyboard", "strict": True, "schema": draft.json_schema(cfg.shots)},
        },
    }
    if "max_tokens" in refused:  # newer models of OpenAI call it otherwise
        found["max_completion_tokens"] = tokens
    return {name: value for name, value in found.items() if name not in refused}
